//! Flags of `verdict serve` for a cluster: whose objects are policies, and how kube-apiserver reaches the server.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tracing::{error, info};

use super::{Failed, manifests, reload::Watched};
use crate::{
    certs::Pair,
    config::{NamespacedCaps, quantity},
    controller::{Authority, Config, Connected, Found, Namespaces},
    loader::registry::Pattern,
    registration::Place,
    spec::{MAX_MEMORY, MAX_TIME, MIN_MEMORY},
};

/// A cluster as the source of policies.
#[derive(clap::Args)]
#[command(next_help_heading = "Policies of a cluster")]
pub(super) struct ClusterArgs {
    /// Serve the policies that are objects of the cluster, register them with its kube-apiserver, and write their status. Outside a Pod, KUBECONFIG says which cluster.
    #[arg(long, env = "VERDICT_CLUSTER", requires = "reached")]
    cluster: bool,
    /// The namespace of the server's Lease, Secrets and Replicas. Default: the Pod's, or that of the kubeconfig's context.
    #[arg(long, env = "VERDICT_NAMESPACE", requires = "cluster", value_parser = label)]
    namespace: Option<String>,
    /// Take objects with the label verdict.dev/instance=NAME; without this, those without the label.
    #[arg(long, env = "VERDICT_INSTANCE", value_name = "NAME", requires = "cluster", value_parser = label)]
    instance: Option<String>,
    /// Where kube-apiserver reaches this server, as https://HOST:PORT.
    #[arg(long, env = "VERDICT_ADVERTISE_URL", value_name = "URL", requires = "cluster", group = "reached", value_parser = url)]
    advertise_url: Option<Place>,
    /// The Service through which kube-apiserver reaches this server, as NAMESPACE/NAME or NAMESPACE/NAME:PORT.
    #[arg(long, env = "VERDICT_SERVICE", value_name = "SERVICE", requires = "cluster", group = "reached", value_parser = service)]
    service: Option<Place>,
    /// The CA that signed the server's certificate (--tls-cert), PEM; it becomes the caBundle, and is read again when it changes.
    #[arg(long, env = "VERDICT_CA_FILE", value_name = "FILE", requires_all = ["cluster", "tls_cert"])]
    ca_file: Option<PathBuf>,
    /// What this replica is called. In a Pod it must be the Pod's name. Default: the name of the host.
    #[arg(long, env = "VERDICT_REPLICA", value_name = "NAME", requires = "cluster", value_parser = label)]
    replica: Option<String>,
    /// A namespace that policies are asked about although it is left out by default: kube-system, kube-node-lease, or the server's own. Repeatable.
    #[arg(long, env = "VERDICT_INCLUDE_NAMESPACE", value_name = "NAME", value_delimiter = ',', requires = "cluster")]
    include_namespace: Vec<String>,
    /// Namespaces with this label are left out: whoever may label namespaces may free them of all policies.
    #[arg(long, env = "VERDICT_EXEMPT_LABEL", value_name = "KEY", requires = "cluster")]
    exempt_label: Option<String>,
    /// The longest time that namespaced policies may be given.
    #[arg(long, env = "VERDICT_NAMESPACED_TIMEOUT", value_name = "TIME", default_value = "1s", value_parser = time)]
    namespaced_timeout: Duration,
    /// The most memory that namespaced policies may be given.
    #[arg(long, env = "VERDICT_NAMESPACED_MEMORY", value_name = "AMOUNT", default_value = "64Mi", value_parser = memory)]
    namespaced_memory: usize,
    /// The most reviews at the same time that one namespaced policy may be given.
    #[arg(long, env = "VERDICT_NAMESPACED_REVIEWS", value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    namespaced_reviews: u32,
    /// The most policies that one namespace may have.
    #[arg(long, env = "VERDICT_NAMESPACED_POLICIES", value_name = "COUNT", default_value_t = 20)]
    namespaced_policies: usize,
    /// From where components of namespaced policies may come, as for --registry-allow. Repeatable. Default: as --registry-allow says; without that, from nowhere.
    #[arg(long, env = "VERDICT_NAMESPACED_REGISTRY", value_name = "PATTERN", value_delimiter = ',')]
    namespaced_registry: Vec<Pattern>,
}

/// What the flags mean.
pub(super) struct ClusterPlan {
    pub(super) config: Config,
    pub(super) connected: Connected,
    pub(super) namespaces: Namespaces,
    pub(super) certificates: Certificates,
}

/// Who makes the server's certificates.
pub(super) enum Certificates {
    /// Somebody else: where the CAs go that kube-apiserver must know, and the file in which they are.
    OfFile(watch::Sender<Option<String>>, PathBuf),
    /// This process, for itself: where its CA goes.
    Own(watch::Sender<Option<String>>),
    /// The leader, for all.
    OfLeader,
}

impl ClusterArgs {
    /// Whether the leader makes the certificates of all replicas.
    pub(super) fn has_kept_certificates(&self) -> bool {
        self.service.is_some() && self.ca_file.is_none()
    }

    /// Whether a cluster has policies.
    pub(super) fn is_given(&self) -> bool {
        self.cluster
    }

    /// None: no cluster is asked. `is_open`: components may be fetched from anywhere. `presented` gets the certificates that the leader makes, if it
    /// makes any.
    ///
    /// # Errors
    /// There is no cluster, or flags that do not go together.
    pub(super) fn plan(
        &self,
        has_certificate: bool,
        is_open: bool,
        presented: watch::Sender<Option<Pair>>,
    ) -> Result<Option<ClusterPlan>, Failed> {
        if !self.cluster {
            return Ok(None);
        }
        let Some(place) = self.advertise_url.clone().or_else(|| self.service.clone()) else {
            return Err(Failed::Usage(
                "--cluster needs --advertise-url or --service: kube-apiserver must be told where this server is"
                    .to_owned(),
            ));
        };
        if has_certificate && self.ca_file.is_none() {
            return Err(Failed::Usage(
                "--cluster with --tls-cert needs --ca-file: kube-apiserver must be told which CA signed the certificate".to_owned(),
            ));
        }
        let (connected, found, namespaces) =
            Connected::new().map_err(|error| Failed::configuration(error.to_string()))?;
        let Found { namespace, in_pod } = found;
        let namespace = self.namespace.clone().unwrap_or(namespace);
        let own = match &place {
            Place::Service { namespace, .. } => Some(namespace.clone()),
            Place::Url(_) => None,
        };
        // The first two are kube-apiserver's own: it makes them when it starts, and again when they are gone.
        let excluded = ["kube-system".to_owned(), "kube-node-lease".to_owned()].into_iter().chain(own);
        let (certificates, authority) = match (&self.ca_file, &place) {
            (Some(file), _) => {
                let (ca, known) = watch::channel(None);
                (Certificates::OfFile(ca, file.clone()), Authority::Given(known))
            }
            (None, Place::Url(_)) => {
                let (ca, known) = watch::channel(None);
                (Certificates::Own(ca), Authority::Given(known))
            }
            (None, Place::Service { namespace, name, .. }) => {
                let names = vec![format!("{name}.{namespace}.svc")];
                (Certificates::OfLeader, Authority::Kept { names, presented })
            }
        };
        let config = Config {
            installation: installation(self.instance.as_deref()),
            instance: self.instance.clone(),
            namespace,
            replica: self.replica.clone().map_or_else(host, Ok)?,
            in_pod,
            place,
            authority,
            excluded: excluded.filter(|it| !self.include_namespace.contains(it)).collect(),
            exempt_label: self.exempt_label.clone(),
            caps: NamespacedCaps {
                time: self.namespaced_timeout,
                memory: self.namespaced_memory,
                reviews: self.namespaced_reviews,
                // Where nothing is said of registries, none of their authors makes this server ask anybody.
                registries: (is_open || !self.namespaced_registry.is_empty()).then(|| self.namespaced_registry.clone()),
            },
            most_of_namespace: self.namespaced_policies,
        };
        Ok(Some(ClusterPlan { config, connected, namespaces, certificates }))
    }
}

/// Tells of the CA in a file, now and whenever it changes: then of the one before, too, for a while, since replicas and kube-apiserver hear
/// of a change one after the other.
///
/// # Errors
/// It cannot be read, or holds none.
pub(super) fn follow(file: PathBuf, ca: watch::Sender<Option<String>>) -> Result<Watched, Failed> {
    let text = read(&file).map_err(Failed::configuration)?;
    ca.send_replace(Some(text.clone()));
    let before = Mutex::new(vec![(text, Instant::now())]);
    let path = file.clone();
    let again = move || match read(&path) {
        Ok(text) => {
            let mut all = before.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let now = Instant::now();
            // Each with the last time at which it was the one in the file.
            if let Some(last) = all.last_mut() {
                last.1 = now;
            }
            all.retain(|(it, last)| *it != text && now.duration_since(*last) < OVERLAP);
            all.push((text, now));
            let bundle = all.iter().rev().map(|(it, _)| it.trim_end()).collect::<Vec<_>>().join("\n") + "\n";
            ca.send_replace(Some(bundle));
            info!("--ca-file was read again: kube-apiserver is told of the new CA, and goes on knowing the one before");
        }
        Err(why) => error!("the CA stays as it was: {why}"),
    };
    Ok(Watched { files: vec![file], made: None, read: Box::new(again) })
}

fn read(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if text.contains("-----BEGIN CERTIFICATE-----") {
        Ok(text)
    } else {
        Err(format!("{} has no CERTIFICATE in PEM", path.display()))
    }
}

/// Names of what an instance makes in the cluster.
pub(super) fn installation(instance: Option<&str>) -> String {
    instance.map_or_else(|| "verdict".to_owned(), |it| format!("verdict-{it}"))
}

fn host() -> Result<String, Failed> {
    let name = hostname::get().unwrap_or_default().to_string_lossy().to_lowercase();
    label(&name).map_err(|why| {
        Failed::Usage(format!("--replica is needed: the host's name {name:?} is none for a replica: {why}"))
    })
}

/// A name of Kubernetes.
pub(super) fn label(text: &str) -> Result<String, String> {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    let ends = text.bytes().next().is_some_and(plain) && text.bytes().next_back().is_some_and(plain);
    if ends && text.len() <= 63 && text.bytes().all(|it| plain(it) || it == b'-') {
        Ok(text.to_owned())
    } else {
        Err("expected at most 63 lower-case letters, digits and '-', with a letter or digit at each end".to_owned())
    }
}

fn url(text: &str) -> Result<Place, String> {
    manifests::url(text).ok_or_else(|| "expected https://HOST:PORT".to_owned())
}

fn service(text: &str) -> Result<Place, String> {
    manifests::service(text).ok_or_else(|| "expected NAMESPACE/NAME or NAMESPACE/NAME:PORT".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    let time = text.parse::<humantime::Duration>().map_err(|error| error.to_string())?;
    if *time >= Duration::from_millis(1) && *time <= MAX_TIME {
        Ok(*time)
    } else {
        Err(format!("expected from 1ms to {} s", MAX_TIME.as_secs()))
    }
}

fn memory(text: &str) -> Result<usize, String> {
    let bytes = quantity::bytes(text).and_then(|it| usize::try_from(it).ok());
    bytes
        .filter(|it| (MIN_MEMORY..=MAX_MEMORY).contains(it))
        .ok_or_else(|| "expected an amount of memory such as 64Mi, from 1Mi to 1Gi".to_owned())
}

/// How long kube-apiserver goes on knowing the CA before.
const OVERLAP: Duration = Duration::from_secs(600);
