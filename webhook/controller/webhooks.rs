//! The webhook configurations as the cluster has them, and how they are written.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use k8s_openapi::{
    api::admissionregistration::v1::{
        MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PatchParams},
    core::{ClusterResourceScope, PartialObjectMeta},
    runtime::{reflector::ObjectRef, watcher},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::watch, task::JoinSet};

use super::{
    Config,
    certificates::Published,
    client::{Refused, within},
    mirror::{Changes, Mirror, mirror},
};

/// Both configurations of this installation.
pub(super) struct Webhooks {
    pub(super) validating: One<ValidatingWebhookConfiguration>,
    pub(super) mutating: One<MutatingWebhookConfiguration>,
    changes: Changes,
    registered: watch::Receiver<Arc<BTreeSet<String>>>,
}

/// What a configuration is to the client.
pub(super) trait Configured:
    Resource<DynamicType = (), Scope = ClusterResourceScope>
    + Clone
    + Debug
    + Serialize
    + DeserializeOwned
    + Send
    + Sync
    + 'static
{
    /// How kube-apiserver reaches each of its entries.
    fn client_configs(&self) -> impl Iterator<Item = &WebhookClientConfig>;
    /// One that asks nobody is written as that.
    fn close(&mut self);
}

/// The two are alike in all but the type of their entries.
macro_rules! configured {
    ($kind:ty) => {
        impl Configured for $kind {
            fn client_configs(&self) -> impl Iterator<Item = &WebhookClientConfig> {
                self.webhooks.iter().flatten().map(|it| &it.client_config)
            }

            fn close(&mut self) {
                self.webhooks.get_or_insert_default();
            }
        }
    };
}

configured!(ValidatingWebhookConfiguration);
configured!(MutatingWebhookConfiguration);

/// One of them.
pub(super) struct One<K: Configured> {
    api: Api<K>,
    mirror: Mirror<PartialObjectMeta<K>>,
    installation: String,
}

/// Which version of a configuration something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    uid: String,
    generation: i64,
}

impl Webhooks {
    pub(super) fn watch(client: &Client, config: &Config, tasks: &mut JoinSet<()>) -> Self {
        let changes = Changes::new();
        let validating = One::watch(client, config, "the ValidatingWebhookConfiguration", &changes, tasks);
        let mutating = One::watch(client, config, "the MutatingWebhookConfiguration", &changes, tasks);
        let (sender, registered) = watch::channel(Arc::default());
        let (copies, mut changed) = ((validating.mirror.copy.clone(), mutating.mirror.copy.clone()), changes.listen());
        let name = config.installation.clone();
        tasks.spawn(async move {
            while changed.changed().await.is_ok() {
                let of = |metadata: &ObjectMeta| names(metadata).collect::<Vec<_>>();
                let validating = copies.0.get(&ObjectRef::new(&name)).map(|it| of(&it.metadata));
                let mutating = copies.1.get(&ObjectRef::new(&name)).map(|it| of(&it.metadata));
                let all: BTreeSet<String> = validating.into_iter().chain(mutating).flatten().collect();
                sender.send_if_modified(|it| {
                    let is_other = **it != all;
                    if is_other {
                        *it = Arc::new(all);
                    }
                    is_other
                });
            }
        });
        Self { validating, mutating, changes, registered }
    }

    /// The policies that kube-apiserver is told to ask, by kind and name.
    pub(super) fn registered(&self) -> watch::Receiver<Arc<BTreeSet<String>>> {
        self.registered.clone()
    }

    /// The caBundle as kube-apiserver has it now.
    pub(super) async fn published(&self) -> Result<Published, Refused> {
        let now = std::time::Instant::now();
        let validating = within(self.validating.api.get_opt(&self.validating.installation)).await?;
        let mutating = within(self.mutating.api.get_opt(&self.mutating.installation)).await?;
        let of_validating = validating.into_iter().filter_map(|it| it.webhooks).flatten().map(|it| it.client_config);
        let of_mutating = mutating.into_iter().filter_map(|it| it.webhooks).flatten().map(|it| it.client_config);
        // All were written with the same; where somebody changed one, it is written again anyway.
        let bundles: BTreeSet<String> = of_validating
            .chain(of_mutating)
            .map(|it| it.ca_bundle.map(|it| String::from_utf8_lossy(&it.0).into_owned()).unwrap_or_default())
            .collect();
        Ok(match bundles.first() {
            Some(bundle) => Published::bundle(bundle, now),
            None => Published::nothing(now),
        })
    }

    /// Whether one of them is not there.
    pub(super) fn is_one_missing(&self) -> bool {
        self.validating.version().is_none() || self.mutating.version().is_none()
    }

    /// Told of each change.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.listen()
    }
}

impl<K: Configured> One<K> {
    fn watch(client: &Client, config: &Config, what: &'static str, changes: &Changes, tasks: &mut JoinSet<()>) -> Self {
        let only = watcher::Config::default().fields(&format!("metadata.name={}", config.installation));
        let heads: Api<PartialObjectMeta<K>> = Api::all(client.clone());
        let mirror = mirror(heads, only, (), what, changes, tasks);
        Self { api: Api::all(client.clone()), mirror, installation: config.installation.clone() }
    }

    /// Until it was seen whether it is there.
    pub(super) async fn is_known(&self) {
        self.mirror.is_known().await;
    }

    /// Its version; None: there is none.
    pub(super) fn version(&self) -> Option<Version> {
        self.mirror.copy.get(&ObjectRef::new(&self.installation)).map(|it| Version::of(&it.metadata))
    }

    /// Writes it, after kube-apiserver was asked whether it would take it. What others wrote of it is overwritten.
    ///
    /// # Errors
    /// It was not written.
    pub(super) async fn apply(&self, configuration: &K) -> Result<Version, Refused> {
        let apply = PatchParams::apply(&self.installation).force();
        let trial = apply.clone().dry_run();
        within(self.api.patch(&self.installation, &trial, &Patch::Apply(configuration))).await?;
        let written = within(self.api.patch(&self.installation, &apply, &Patch::Apply(configuration))).await?;
        Ok(Version::of(written.meta()))
    }
}

impl Version {
    /// Whether it was not deleted and made again meanwhile.
    pub(super) fn is_same_object(&self, other: &Self) -> bool {
        self.uid == other.uid
    }

    fn of(metadata: &ObjectMeta) -> Self {
        Self { uid: metadata.uid.clone().unwrap_or_default(), generation: metadata.generation.unwrap_or_default() }
    }
}

/// Deletes both.
///
/// # Errors
/// One of them is still there.
pub(super) async fn delete(client: &Client, installation: &str) -> Result<(), Refused> {
    let validating: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let mutating: Api<MutatingWebhookConfiguration> = Api::all(client.clone());
    let delete = DeleteParams::default();
    let gone = |result: Result<(), Refused>| match result {
        Err(error) if error.code() == Some(404) => Ok(()),
        other => other,
    };
    gone(within(validating.delete(installation, &delete)).await.map(drop))?;
    gone(within(mutating.delete(installation, &delete)).await.map(drop))
}

fn names(metadata: &ObjectMeta) -> impl Iterator<Item = String> {
    let listed = metadata.annotations.as_ref().and_then(|it| it.get(POLICIES));
    let all: Vec<String> = listed.map(|it| it.split(',').map(str::to_owned).collect()).unwrap_or_default();
    all.into_iter().filter(|it| !it.is_empty())
}

/// The annotation that lists the policies that a configuration asks.
pub(super) const POLICIES: &str = "verdict.dev/policies";
