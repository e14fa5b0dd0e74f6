//! `verdict serve`: from flags to a server that answers, and to its polite end.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
};
use tracing::{info, warn};

use super::{
    CacheArgs, Ended, Failed,
    admin::{AdminArgs, AdminPlan},
    callers::CallerArgs,
    ceiling::Ceiling,
    certificates::{self, Certificates, Expiries, Files, Pair},
    cluster::{self, ClusterArgs, ClusterPlan},
    compiler,
    examples::{EXAMPLES, try_next},
    own::{OwnCertificates, own_certificates},
    reload::{self, Kept, Watched},
    runtime,
    seen::Seen,
    sources::Sources,
    terminal,
};
use crate::{
    admin::Admin,
    controller::{Controller, Ties},
    engine::{
        prepare::Priority,
        run::{Capacity, Engine},
    },
    observe::{self, Metrics},
    policy::{Keeper, Live, Loader, Namespaces, Set, State},
    server::{
        self, Bound,
        callers::Callers,
        routes::{self, Limits},
        tls::Current,
    },
    spec::PolicySpec,
};

/// Without certificates it makes its own and listens on loopback. Without policies it serves the built-in examples,
/// but only so.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where to answer reviews. Default: 127.0.0.1:8443; all addresses, port 8443, when certificates are given.
    #[arg(long, env = "VERDICT_BIND")]
    bind: Option<SocketAddr>,
    /// The server's certificate chain, PEM.
    #[arg(long, env = "VERDICT_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(long, env = "VERDICT_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// CAs whose clients are answered, PEM; then every caller must show a certificate of one of them.
    #[arg(long, env = "VERDICT_CLIENT_CA")]
    client_ca: Option<PathBuf>,
    #[command(flatten)]
    callers: CallerArgs,
    #[command(flatten)]
    admin: AdminArgs,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// End with an error if a policy cannot be loaded at the start. Without this, it fails whatever it is asked until it can be.
    #[arg(long, env = "VERDICT_REQUIRE_ALL")]
    require_all: bool,
    #[command(flatten)]
    cache: CacheArgs,
    /// How often to look whether the tags of images name something else now, such as 10m. Default: never; a tag stays what it was when it was fetched first.
    #[arg(long, env = "VERDICT_REGISTRY_REFRESH", value_name = "TIME", value_parser = often)]
    registry_refresh: Option<Duration>,
    /// Reviews in a policy at the same time: of sixteen, two each are for authentication and authorization, nine for admission, two for events, one for audits.
    #[arg(long, env = "VERDICT_MAX_INSTANCES", default_value_t = Capacity::default().instances, value_parser = clap::value_parser!(u32).range(1..=4096))]
    max_instances: u32,
    /// MiB that the memories of all instances may reach together, divided as --max-instances is; up to a quarter stays resident between reviews.
    #[arg(long, env = "VERDICT_GUEST_MEMORY", default_value_t = Capacity::default().memory >> 20)]
    guest_memory: usize,
    /// Bytes of the body of an AdmissionReview.
    #[arg(long, env = "VERDICT_MAX_ADMISSION_BODY", default_value_t = Limits::default().admission_body)]
    max_admission_body: usize,
    /// Bytes of any other body.
    #[arg(long, env = "VERDICT_MAX_BODY", default_value_t = Limits::default().body)]
    max_body: usize,
    /// MiB that all requests in flight may hold: bodies as far as they came, answers until they are sent. Of sixteen, one each is for authentication, authorization and events, eleven for admission, two for audits.
    #[arg(long, env = "VERDICT_MAX_BODIES", default_value_t = Limits::default().bodies >> 20)]
    max_bodies: usize,
    /// Open connections; callers that show a certificate have a quarter of them each at most. Where there are more, the one that was silent for longest ends.
    #[arg(long, env = "VERDICT_MAX_CONNECTIONS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(16..=65_536))]
    max_connections: u32,
    /// How long a review may have to wait for the work of others: where it would be longer, or longer than three quarters of its time, it is refused at once.
    #[arg(long, env = "VERDICT_MAX_WAIT", default_value = "500ms", value_parser = humantime::parse_duration)]
    max_wait: Duration,
    /// After this, a connection is ended politely.
    #[arg(long, env = "VERDICT_CONNECTION_AGE", default_value = "10m", value_parser = humantime::parse_duration)]
    connection_age: Duration,
    /// On SIGTERM: how long connections are still accepted.
    #[arg(long, env = "VERDICT_DRAIN_DELAY", default_value = "5s", value_parser = humantime::parse_duration)]
    drain_delay: Duration,
    /// On SIGTERM, after the drain delay: how long requests in flight may take.
    #[arg(long, env = "VERDICT_GRACE", default_value = "30s", value_parser = humantime::parse_duration)]
    grace: Duration,
    #[command(flatten)]
    seen: Seen,
}

/// What the flags mean.
struct Plan {
    bind: SocketAddr,
    admin: AdminPlan,
    callers: Arc<Callers>,
    /// Files of tokens that callers show.
    watched: Vec<Watched>,
    expiries: Expiries,
    certificates: Certificates,
    /// Where they come from.
    files: Files,
    /// Of our own: where the CA is.
    ca: Option<PathBuf>,
    /// The policies of each file.
    declared: Kept,
    /// Nothing was configured: somebody wants to look around.
    demo: bool,
    cluster: Option<ClusterPlan>,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let plan = plan(args)?;
    let capacity = Capacity { instances: args.max_instances, memory: args.guest_memory.saturating_mul(1 << 20) };
    let limits = Limits {
        admission_body: args.max_admission_body,
        body: args.max_body,
        bodies: args.max_bodies.saturating_mul(1 << 20),
        wait: args.max_wait,
        ..Limits::default()
    };
    if limits.bodies < limits.least_bodies() {
        let least = limits.least_bodies().div_ceil(1 << 20);
        return Err(Failed::configuration(format!(
            "--max-bodies is too small for one body of the largest size: give {least} or more, or lower --max-admission-body or --max-body"
        )));
    }
    raise_open_files();
    let runtime = runtime()?;
    runtime.block_on(serve(args, plan, capacity, limits))?;
    // A guest that still computes must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(Ended::Done)
}

fn plan(args: &Args) -> Result<Plan, Failed> {
    let own = args.tls_cert.is_none();
    let is_own = own && !args.cluster.has_kept_certificates();
    let (ip, loopback) =
        if is_own { (IpAddr::V4(Ipv4Addr::LOCALHOST), true) } else { (IpAddr::V6(Ipv6Addr::UNSPECIFIED), false) };
    let bind = args.bind.unwrap_or(SocketAddr::new(ip, 8443));
    let expiries = Expiries::default();
    let admin = args.admin.plan(SocketAddr::new(ip, 8080), &expiries)?;
    if is_own && !bind.ip().is_loopback() {
        return Err(Failed::configuration(format!(
            "--bind {bind} is not on loopback, and certificates made on the spot are for loopback only: give --tls-cert and --tls-key"
        )));
    }
    let is_alone = !admin.guard.is_open();
    let is_alone = is_alone && !args.cluster.is_given();
    let demo = args.sources.is_empty() && is_alone;
    if demo && !loopback {
        return Err(Failed::configuration(
            "--policies is missing: the built-in examples are served only on loopback, with certificates made on the spot",
        ));
    }
    let declared = if demo {
        [(PathBuf::new(), EXAMPLES.map(PolicySpec::builtin).to_vec())].into()
    } else {
        reload::kept(args.sources.read_each(is_alone)?)
    };
    let (callers, watched) = args.callers.read(args.client_ca.is_some() || bind.ip().is_loopback())?;
    let wrong = |words: String| Failed::configuration(words);
    let OwnCertificates { pair, made, ca } = match args.tls_cert.clone().zip(args.tls_key.clone()) {
        Some((certificate, key)) => {
            OwnCertificates { pair: Pair::Files { certificate, key }, made: watch::Sender::new(None), ca: None }
        }
        None => own_certificates(&args.cache, args.cluster.has_kept_certificates())?,
    };
    let files = Files { pair, client_ca: args.client_ca.clone(), client_names: callers.names() };
    let certificates = files.read().map_err(wrong)?;
    expiries.of_server(certificates.expiries().map_err(wrong)?);
    let callers = Arc::new(callers);
    let cluster = args.cluster.plan(!own, !args.cache.registry.is_limited(), made)?;
    Ok(Plan { bind, admin, callers, watched, expiries, certificates, files, ca, declared, demo, cluster })
}

/// Many systems allow 1024 open files unless a process asks for more, and connections alone may be five times that.
fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_err() {
        warn!(limit = current, "the limit of open files could not be raised: connections beyond it are turned away");
    }
}

async fn serve(args: &Args, plan: Plan, capacity: Capacity, limits: Limits) -> Result<(), Failed> {
    let Plan {
        bind,
        admin: AdminPlan { bind: admin_bind, tls: admin_tls, guard, kinds, store, watched: of_admin },
        callers,
        mut watched,
        expiries,
        certificates,
        files,
        ca,
        declared,
        demo,
        cluster,
    } = plan;
    let metrics = Arc::new(Metrics::new());
    let registers = guard.is_open();
    let decisions = args.seen.decisions(registers, &metrics)?;
    let tls = Current::new(certificates.config(&metrics).map_err(Failed::configuration)?);

    let admin = Admin::new(Arc::clone(&metrics), Arc::clone(&decisions), guard, kinds.clone());
    let admin_address = admin.listen(admin_bind, admin_tls).with_context(|| format!("--admin-bind {admin_bind}"))?;
    let config = server::Config {
        connection_age: args.connection_age,
        drain_delay: args.drain_delay,
        grace: args.grace,
        max_connections: args.max_connections as usize,
        callers: Arc::clone(&callers),
        ..server::Config::new(bind)
    };
    let bound = Bound::bind(config.clone(), Arc::clone(&tls), Arc::clone(&metrics))
        .with_context(|| format!("--bind {bind}"))?;
    let address = bound.local_addr()?;
    if callers.anybody() {
        warn!(
            "without --client-ca or --client-token-file anyone who reaches {address} can ask the policies; /events refuses"
        );
    }

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let live = Arc::new(Live::new(Arc::new(Set::empty())));
    let engine = Engine::new(capacity)?;
    let components = args.cache.components()?;
    let namespaces = cluster.as_ref().map(|it| Arc::new(it.namespaces.clone()) as Arc<dyn Namespaces>);
    let loader = |priority| {
        let (live, metrics) = (Arc::clone(&live), Arc::clone(&metrics));
        Ok::<_, Failed>(Loader {
            live,
            engine: engine.clone(),
            compiler: compiler(args.cache.open(), priority)?,
            components: components.clone(),
            metrics,
            namespaces: namespaces.clone(),
        })
    };
    tokio::spawn(observe::tell_left_out(Arc::clone(&metrics)));
    // Somebody waits for it.
    let mut keeper = Keeper::new(loader(Priority::Normal)?, store, args.registry_refresh);
    let errors = keeper.begin(reload::declared(&declared), &kinds).await.context("--state-dir")?;
    if args.require_all && !errors.is_empty() {
        return Err(Failed::configurations(&errors));
    }
    let app = routes::app(Arc::clone(&live), Arc::clone(&metrics), Arc::clone(&decisions), limits, callers);
    let (orders, mut not_loaded) = (keeper.orders(), errors.len());
    tokio::spawn(expiries.clone().watch());
    // Beside reviews from now on.
    watched.extend(of_admin);
    let (mut of_leader, tls_of_leader) = (files.clone(), Arc::clone(&tls));
    watched.push(certificates::again(files, tls, Arc::clone(&metrics), expiries));
    keeper.loader = loader(Priority::Idle)?;
    let mut controller = None;
    if let Some(ClusterPlan { config, connected, certificates, .. }) = cluster {
        let is_of_leader = matches!(certificates, cluster::Certificates::OfLeader);
        match (certificates, &ca) {
            (cluster::Certificates::OfFile(authority, file), _) => watched.push(cluster::follow(file, authority)?),
            (cluster::Certificates::Own(authority), Some(own)) => {
                authority.send_replace(Some(fs::read_to_string(own).context("--cache-dir")?));
            }
            (cluster::Certificates::Own(_), None) | (cluster::Certificates::OfLeader, _) => {}
        }
        let ties = Ties { live: Arc::clone(&live), orders: orders.clone(), metrics: Arc::clone(&metrics) };
        let (told, loaded) = oneshot::channel();
        reload::keep_up(args.sources.clone(), keeper, declared, watched)?;
        controller = Some(Controller::start(config, connected, ties, told)?);
        // Who asks before that would be told of policies that are not there.
        tokio::select! {
            _ = loaded => {}
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
        if is_of_leader {
            tokio::select! {
                () = of_leader.is_replaced() => {}
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
            }
            // At once: the first caller must be shown it.
            let made = of_leader.read().and_then(|it| it.config(&metrics)).map_err(Failed::configuration)?;
            tls_of_leader.replace(made);
        }
        not_loaded = live.current().objects().iter().filter(|it| it.state != State::Active).count();
    } else {
        reload::keep_up(args.sources.clone(), keeper, declared, watched)?;
    }
    admin.ready(Arc::clone(&live), orders);
    let count = live.set().policies().len();
    let ceiling = Ceiling::of(capacity, &limits, &config, decisions.most(), registers);
    ceiling.tell(&metrics);
    info!(
        https = %address,
        admin = %admin_address,
        policies = count,
        not_loaded,
        instances = capacity.instances,
        guest_memory_mib = capacity.memory >> 20,
        bodies_mib = limits.bodies >> 20,
        memory_ceiling_mib = ceiling.bytes() >> 20,
        "serving"
    );
    if demo && let Some(ca) = &ca {
        terminal::print(&try_next(address, admin_address, ca));
    }
    let (leaving, left) = oneshot::channel::<()>();
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        admin.draining();
        info!("draining");
        // Beside what is still answered: the others need not wait for this one any more.
        if let Some(controller) = controller {
            tokio::task::spawn_blocking(move || {
                controller.end();
                drop(leaving);
            });
        }
    };
    bound.serve(app, shutdown).await;
    // Ends when the cluster was told, or could not be.
    let _ = left.await;
    live.set().unload().await;
    decisions.close(LAST_DECISIONS).await;
    info!("ended");
    Ok(())
}

/// Not so often that a registry would mind.
fn often(text: &str) -> Result<Duration, String> {
    let time = text.parse::<humantime::Duration>().map_err(|error| error.to_string())?;
    if *time < OFTEN { Err(format!("expected {} s or more", OFTEN.as_secs())) } else { Ok(*time) }
}

/// How often tags may be looked at.
const OFTEN: Duration = Duration::from_secs(10);
/// How long decisions may still be written, and traces sent, at the end.
const LAST_DECISIONS: Duration = Duration::from_secs(2);
