//! The declared objects as the cluster has them.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client, Resource as _,
    core::{ApiResource, DynamicObject},
    runtime::{reflector::ObjectRef, watcher},
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use super::{
    Config,
    mirror::{Changes, Mirror, mirror},
};
use crate::{
    policy::Key,
    spec::{Kind, schema},
};

/// A copy of all objects of this instance, kept by watches.
pub(super) struct Objects {
    mirrors: Vec<(Kind, Mirror<DynamicObject>)>,
    changes: Changes,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Object {
    pub(super) kind: Kind,
    /// As everybody calls it: `NAME`, or `NAMESPACE/NAME`.
    pub(super) name: String,
    object: Arc<DynamicObject>,
}

impl Objects {
    pub(super) fn watch(client: &Client, config: &Config, tasks: &mut JoinSet<()>) -> Self {
        let changes = Changes::new();
        let selected = watcher::Config::default().labels(&match &config.instance {
            None => format!("!{INSTANCE}"),
            Some(instance) => format!("{INSTANCE}={instance}"),
        });
        let watched = Kind::ALL.map(|kind| {
            let api = Api::all_with(client.clone(), &resource(kind));
            (kind, mirror(api, selected.clone(), resource(kind), kind.name(), &changes, tasks))
        });
        Self { mirrors: watched.into(), changes }
    }

    /// Told of each change.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.listen()
    }

    /// Until all that there is was seen once.
    pub(super) async fn are_known(&self) {
        for (_, mirror) in &self.mirrors {
            mirror.is_known().await;
        }
    }

    /// The one of a cluster-scoped kind that has this name.
    pub(super) fn of_cluster(&self, kind: Kind, name: &str) -> Option<Object> {
        let (_, mirror) = self.mirrors.iter().find(|(it, _)| *it == kind)?;
        let object = mirror.copy.get(&ObjectRef::new_with(name, resource(kind)))?;
        Some(Object { kind, name: name.to_owned(), object })
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeMap<Key, Object> {
        let of = |(kind, mirror): &(Kind, Mirror<DynamicObject>)| {
            let kind = *kind;
            mirror.copy.state().into_iter().map(move |object| Object { kind, name: name(&object.metadata), object })
        };
        self.mirrors.iter().flat_map(of).map(|it| ((it.kind, it.name.clone()), it)).collect()
    }
}

impl Object {
    /// The namespace that it is in.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.object.metadata.namespace.as_deref()
    }

    /// Its own name, without that of its namespace.
    pub(super) fn own_name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    pub(super) fn uid(&self) -> &str {
        self.object.metadata.uid.as_deref().unwrap_or_default()
    }

    pub(super) fn generation(&self) -> i64 {
        self.object.metadata.generation.unwrap_or_default()
    }

    /// Older ones are less.
    pub(super) fn age(&self) -> impl Ord + use<> {
        let created = self.object.metadata.creation_timestamp.as_ref().map(|it| it.0);
        (created, self.uid().to_owned())
    }

    /// What it says.
    pub(super) fn spec(&self) -> &Value {
        &self.object.data["spec"]
    }

    /// What the leader wrote about it.
    pub(super) fn status(&self) -> &Value {
        &self.object.data["status"]
    }

    /// As a file would hold it, with this spec.
    pub(super) fn document(&self, spec: &Value) -> Value {
        let mut metadata = json!({"name": self.own_name()});
        if let Some(namespace) = self.namespace() {
            metadata["namespace"] = json!(namespace);
        }
        json!({"apiVersion": schema::API_VERSION, "kind": self.kind.name(), "metadata": metadata, "spec": spec})
    }

    /// What it was when it served on every replica last: its generation, and its spec unless that was too large.
    pub(super) fn accepted(&self) -> Option<(i64, Option<&Value>)> {
        let accepted = self.status().get(ACCEPTED)?;
        let generation = accepted["generation"].as_i64()?;
        Some((generation, accepted.get("spec")))
    }

    /// By which it is told apart in events.
    pub(super) fn reference(&self) -> ObjectReference {
        self.object.object_ref(&resource(self.kind))
    }

    /// Changes with each write.
    pub(super) fn version(&self) -> &str {
        self.object.metadata.resource_version.as_deref().unwrap_or_default()
    }
}

fn name(metadata: &ObjectMeta) -> String {
    let name = metadata.name.as_deref().unwrap_or_default();
    metadata.namespace.as_ref().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

/// How kube-apiserver calls the objects of a kind.
pub(super) fn resource(kind: Kind) -> ApiResource {
    named(kind.name(), &format!("{}s", kind.singular()))
}

/// One of our own resources.
pub(super) fn named(kind: &str, plural: &str) -> ApiResource {
    let (group, version) = schema::API_VERSION.split_once('/').unwrap_or_default();
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: schema::API_VERSION.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// Whose objects they are.
pub(super) const INSTANCE: &str = "verdict.dev/instance";
/// The field of `status` with what served on every replica last.
pub(super) const ACCEPTED: &str = "accepted";
