//! A cluster as the source of policies: objects of our kinds become the live set, what serves on every replica is registered with kube-apiserver,
//! and each object's status says how it fares.
//!
//! The only room that sees kube. On a thread of its own, so that reviews never wait for it; all that it knows is a copy that watches
//! keep, and an error changes nothing of it. Whatever the leader writes can be written again by the next one: what it needs to know stands in the
//! cluster.

pub mod certificates;
mod client;
pub mod crds;
mod crowd;
mod events;
mod fold;
mod leader;
mod lease;
mod mirror;
mod namespaces;
mod objects;
mod register;
mod replica;
mod shallow;
mod source;
mod unregister;
mod values;
mod webhooks;
mod written;

use std::{io, sync::Arc, thread, time::Duration};

use kube::Client;
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
};
use tracing::{error, info};

pub use client::{Connected, Found, NotConnected};
pub use namespaces::Namespaces;
pub use unregister::Unregister;

use self::certificates::{Certificates, Times};

use crate::{
    certs::Pair,
    config::NamespacedCaps,
    observe::Metrics,
    policy::{Live, Orders},
    registration::Place,
};

/// What an operator says of it.
pub struct Config {
    /// Names of what it makes in the cluster: `verdict`, or `verdict-` and the name of the instance.
    pub installation: String,
    /// Whose objects are taken: those with this label `verdict.dev/instance`; None: those without it.
    pub instance: Option<String>,
    /// Where its Lease, Secrets and Replicas are, and the ConfigMaps and Secrets of cluster-scoped objects.
    pub namespace: String,
    /// What this replica is called: where it runs in a Pod, that of the Pod.
    pub replica: String,
    /// Whether it runs in a Pod.
    pub in_pod: bool,
    /// How kube-apiserver reaches it.
    pub place: Place,
    /// Who signs its certificates.
    pub authority: Authority,
    /// Namespaces of which nothing is asked.
    pub excluded: Vec<String>,
    /// Namespaces with this label are left out, too.
    pub exempt_label: Option<String>,
    /// What objects of namespaces may take.
    pub caps: NamespacedCaps,
    /// Objects of one namespace.
    pub most_of_namespace: usize,
}

/// Who signs what the replicas present.
pub enum Authority {
    /// Somebody else: the CAs that kube-apiserver must know, PEM. None: not known yet.
    Given(watch::Receiver<Option<String>>),
    /// The leader, for all replicas.
    Kept {
        /// Those under which kube-apiserver calls them.
        names: Vec<String>,
        /// Where what is to be presented goes.
        presented: watch::Sender<Option<Pair>>,
    },
}

/// What it works on.
pub struct Ties {
    /// What serves.
    pub live: Arc<Live>,
    /// Declares what is to serve.
    pub orders: Orders,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// A controller that runs.
pub struct Controller {
    end: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Controller {
    /// Begins, on a thread of its own. `loaded` is told once when everything that the cluster declares was loaded, or tried to be, and the
    /// leader can see it.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(config: Config, connected: Connected, ties: Ties, loaded: oneshot::Sender<()>) -> io::Result<Self> {
        let (end, ended) = oneshot::channel();
        let Connected { client, connection, runtime, namespaces } = connected;
        let body = move || {
            runtime.block_on(async {
                let config = Arc::new(config);
                let mut tasks = JoinSet::new();
                run(&mut tasks, &config, &client, connection, ties, namespaces, loaded, ended).await;
                tasks.shutdown().await;
            });
        };
        let thread = thread::Builder::new().name("controller".to_owned()).spawn(body)?;
        Ok(Self { end, thread })
    }

    /// Ends: says that this replica is none any more, and lets another one lead. Takes no longer than some seconds.
    pub fn end(self) {
        let _ = self.end.send(());
        let _ = self.thread.join();
    }
}

/// Until it is to end.
#[allow(clippy::too_many_arguments, reason = "it ties together all that the controller has")]
async fn run(
    tasks: &mut JoinSet<()>,
    config: &Arc<Config>,
    client: &Client,
    connection: kube::Config,
    ties: Ties,
    namespaces: namespaces::Questions,
    loaded: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
) {
    let Ties { live, orders, metrics } = ties;
    let namespaces = namespaces::Keeper::new(client, tasks, namespaces);
    let objects = Arc::new(objects::Objects::watch(client, config, tasks));
    let replicas = replica::Replicas::watch(client, config, tasks);
    let webhooks = webhooks::Webhooks::watch(client, config, tasks);
    let lease = lease::Lease::new(client, config);
    let (published, is_published) = watch::channel(None);
    let ca = match &config.authority {
        Authority::Given(ca) => ca.clone(),
        Authority::Kept { names, presented } => {
            let certificates = Certificates {
                client: client.clone(),
                namespace: config.namespace.clone(),
                secret: format!("{}-certificates", config.installation),
                field_manager: config.installation.clone(),
                names: names.clone(),
                times: Times::default(),
            };
            let (kept, keep) = certificates.keep(lease.leads(), is_published);
            tasks.spawn(keep);
            tasks.spawn(present(kept.presented, presented.clone()));
            kept.bundle
        }
    };
    let leads = lease.leads();
    let reports = events::Reports::new();
    let events = events::Events::start(events::Ties {
        connection,
        config: Arc::clone(config),
        live: Arc::clone(&live),
        objects: Arc::clone(&objects),
        metrics: Arc::clone(&metrics),
        leads: lease.leads(),
        reports: reports.clone(),
    });
    let source = source::Source::new(client, config, Arc::clone(&objects), webhooks.registered(), orders);
    let reporter = replica::Reporter::new(client, config, Arc::clone(&live));
    let leader = leader::Leader::new(
        client,
        config,
        live,
        objects,
        replicas,
        webhooks,
        leads,
        lease.hold(),
        ca,
        published,
        metrics,
        reports,
    );
    let (first, is_first) = oneshot::channel();
    tasks.spawn(namespaces.run());
    tasks.spawn(source.run(first));
    let lease_task = tokio::spawn(lease.run());
    let (reported, report_ended) = (Arc::new(reporter), Arc::clone(config));
    let reporter = Arc::clone(&reported);
    tasks.spawn(async move {
        // What is reported is complete only after everything was loaded once.
        if is_first.await.is_ok() {
            reporter.run(loaded).await;
        }
    });
    tasks.spawn(leader.run());
    let _ = ended.await;
    info!("leaving the cluster's replicas");
    tasks.shutdown().await;
    match events {
        // While this replica leads, nobody else tells of changes.
        Ok(events) => drop(tokio::task::spawn_blocking(move || events.end()).await),
        Err(error) => error!(%error, "no provider was told of changes: there is no thread for them"),
    }
    lease_task.abort();
    if tokio::time::timeout(LAST_WORDS, async {
        reported.leave().await;
        lease::release(client, &report_ended).await;
    })
    .await
    .is_err()
    {
        error!("the cluster could not be told that this replica ends");
    }
}

/// Passes on what is to be presented.
async fn present(mut from: watch::Receiver<Option<Pair>>, to: watch::Sender<Option<Pair>>) {
    loop {
        let pair = from.borrow_and_update().clone();
        if pair.is_some() {
            to.send_replace(pair);
        }
        if from.changed().await.is_err() {
            return;
        }
    }
}

/// How long the cluster may take to hear that this replica ends.
const LAST_WORDS: Duration = Duration::from_secs(3);
