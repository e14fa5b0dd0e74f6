//! What each replica says of itself: one small object, by which the leader knows what serves where.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
    core::DynamicObject,
    runtime::watcher,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::sleep,
};
use tracing::warn;

use super::{
    Config,
    client::within,
    mirror::{Changes, Mirror, mirror},
    objects::named,
};
use crate::{
    policy::{Current, Live, Object, State},
    spec::schema,
    text,
};

/// Of one policy on one replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// Its kind and name: `Validator/team-labels`.
    pub(super) policy: String,
    /// How it fares: active, stale, failed or loading.
    pub(super) state: String,
    /// The version that was read last.
    pub(super) declared: String,
    /// The version that serves.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) serves: String,
    /// The beginning of the SHA-256 of its component, or of each of its components: enough to see that replicas run others.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) component: String,
    /// Why it is not active.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) message: String,
}

/// What a replica says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    /// Of all that serves.
    digest: String,
    /// RFC 3339; outside a Pod only, where nobody else can tell that it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renewed: Option<String>,
    #[serde(default)]
    policies: Vec<Report>,
}

/// One replica, as the leader sees it.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    pub(super) name: String,
    /// Of all that serves there.
    pub(super) digest: String,
    /// By kind and name.
    pub(super) policies: BTreeMap<String, Report>,
    /// Whether the garbage collector removes it when its Pod is gone.
    pub(super) is_of_pod: bool,
    /// Whether it has been silent for so long that it is gone.
    pub(super) is_silent: bool,
}

/// All replicas, as they report.
pub(super) struct Replicas {
    mirror: Mirror<DynamicObject>,
    changes: Changes,
}

impl Replicas {
    pub(super) fn watch(client: &Client, config: &Config, tasks: &mut JoinSet<()>) -> Self {
        let changes = Changes::new();
        let selected = watcher::Config::default().labels(&format!("{INSTALLATION}={}", config.installation));
        let mirror = mirror(api(client, config), selected, resource(), "Replicas", &changes, tasks);
        Self { mirror, changes }
    }

    /// Told of each change.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.listen()
    }

    /// Until all that there are were seen once.
    pub(super) async fn are_known(&self) {
        self.mirror.is_known().await;
    }

    /// As they reported last.
    pub(super) fn all(&self) -> Vec<Replica> {
        let replica = |object: Arc<DynamicObject>| {
            let status = serde_json::from_value::<Status>(object.data["status"].clone()).ok()?;
            let renewed = status.renewed.and_then(|it| humantime::parse_rfc3339(&it).ok());
            let age = |it: SystemTime| SystemTime::now().duration_since(it).unwrap_or_default();
            Some(Replica {
                name: object.name_any(),
                digest: status.digest,
                policies: status.policies.into_iter().map(|it| (it.policy.clone(), it)).collect(),
                is_of_pod: !object.owner_references().is_empty(),
                is_silent: renewed.is_some_and(|it| age(it) > SILENT),
            })
        };
        self.mirror.copy.state().into_iter().filter_map(replica).collect()
    }
}

/// Says what serves here.
pub(super) struct Reporter {
    api: Api<DynamicObject>,
    pods: Api<Pod>,
    config: Arc<Config>,
    live: Arc<Live>,
}

impl Reporter {
    pub(super) fn new(client: &Client, config: &Arc<Config>, live: Arc<Live>) -> Self {
        let pods = Api::namespaced(client.clone(), &config.namespace);
        Self { api: api(client, config), pods, config: Arc::clone(config), live }
    }

    /// As long as the process lives; `reported` is told when the cluster knows of it.
    pub(super) async fn run(&self, reported: oneshot::Sender<()>) {
        let mut reported = Some(reported);
        let mut said: Option<(Arc<Current>, Status)> = None;
        let mut renewed = SystemTime::now();
        let mut is_failing = false;
        loop {
            let current = self.live.current();
            // In a Pod nothing of it is another then, and nothing is written, unless somebody deleted it.
            let every = if self.config.in_pod { SILENT } else { SILENT / 4 };
            let is_due = renewed.elapsed().is_ok_and(|it| it > every);
            if is_due || !said.as_ref().is_some_and(|(before, _)| Arc::ptr_eq(before, &current)) {
                let status = self.status(&current);
                let same = |(_, before): &(_, Status)| {
                    (&before.digest, &before.policies) == (&status.digest, &status.policies)
                };
                if is_due || !said.as_ref().is_some_and(same) {
                    if let Err(error) = self.say(&status).await {
                        if !is_failing {
                            warn!(%error, "what serves here cannot be reported");
                        }
                        is_failing = true;
                        sleep(RETRY).await;
                        continue;
                    }
                    is_failing = false;
                    renewed = SystemTime::now();
                }
                said = Some((current, status));
                if let Some(reported) = reported.take() {
                    let _ = reported.send(());
                }
            }
            sleep(LOOK).await;
        }
    }

    /// It serves no more.
    pub(super) async fn leave(&self) {
        let gone = within(self.api.delete(&self.config.replica, &DeleteParams::default())).await;
        if let Err(error) = gone {
            warn!(%error, "this replica's report cannot be removed");
        }
    }

    fn status(&self, current: &Current) -> Status {
        let mut policies: Vec<Report> = current.objects().iter().filter_map(report).collect();
        policies.sort_by(|one, other| one.policy.cmp(&other.policy));
        // However many fail, what is said of each must not make the whole too large to be written.
        let failing = policies.iter().filter(|it| !it.message.is_empty()).count();
        let longest = LONGEST_MESSAGE.min(MESSAGES / failing.max(1));
        for report in &mut policies {
            report.message = text::shorten(&report.message, longest);
        }
        let renewed = (!self.config.in_pod).then(|| humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
        Status { digest: digest(current), renewed, policies }
    }

    async fn say(&self, status: &Status) -> Result<(), super::client::Refused> {
        let mut object = json!({
            "apiVersion": schema::API_VERSION,
            "kind": KIND,
            "metadata": {"name": self.config.replica, "labels": {INSTALLATION: self.config.installation}},
            "status": status,
        });
        if self.config.in_pod {
            let pod = within(self.pods.get_metadata(&self.config.replica)).await?;
            object["metadata"]["ownerReferences"] = json!([{
                "apiVersion": "v1",
                "kind": "Pod",
                "name": self.config.replica,
                "uid": pod.metadata.uid,
            }]);
        }
        let apply = PatchParams::apply(&self.config.installation).force();
        within(self.api.patch(&self.config.replica, &apply, &Patch::Apply::<Value>(object))).await.map(drop)
    }
}

/// As a replica says it.
pub(super) fn digest(current: &Current) -> String {
    format!("sha256:{}", current.digest())
}

/// None: it is no object of the cluster.
fn report(object: &Object) -> Option<Report> {
    let declared = object.spec().revision.as_ref()?;
    let serving = object.policies().first();
    let serves = serving.filter(|it| it.is_loaded()).and_then(|it| it.spec().revision.as_ref());
    let mut components: Vec<String> = object
        .policies()
        .iter()
        .flat_map(|it| it.components())
        .map(|(_, it)| it.digest().to_string().chars().take(DIGITS).collect())
        .collect();
    components.dedup();
    Some(Report {
        policy: format!("{}/{}", object.spec().kind?.name(), object.spec().name),
        state: object.state.name().to_owned(),
        // As it serves, since what is as it was before is not loaded again.
        declared: declared.to_string(),
        serves: match (object.state, serves) {
            (State::Active, Some(_)) => declared.to_string(),
            (_, Some(serves)) => serves.to_string(),
            (_, None) => String::new(),
        },
        component: components.join(","),
        message: object.reason.as_deref().unwrap_or_default().to_owned(),
    })
}

fn api(client: &Client, config: &Config) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), &config.namespace, &resource())
}

fn resource() -> kube::core::ApiResource {
    named(KIND, "replicas")
}

const KIND: &str = "Replica";
/// The label that says of which installation a replica is.
const INSTALLATION: &str = "verdict.dev/installation";
const DIGITS: usize = 12;
/// How often it is looked what serves.
const LOOK: Duration = Duration::from_millis(200);
/// Before what could not be said is said again.
const RETRY: Duration = Duration::from_secs(1);
/// After which a replica without a Pod is gone.
pub(super) const SILENT: Duration = Duration::from_secs(60);
/// Characters of why one policy does not serve.
const LONGEST_MESSAGE: usize = 512;
/// Of all of them together: etcd takes 1.5 MB, and a character is up to four bytes.
const MESSAGES: usize = 128 << 10;
