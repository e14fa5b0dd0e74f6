//! The ConfigMaps and Secrets that policies take values of, each watched by itself: then nobody needs a right to see the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{StreamExt as _, pin_mut};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher, watcher::watch_object},
};
use serde::de::DeserializeOwned;
use tokio::{task::JoinSet, time::Instant};

use super::mirror::Changes;
use crate::spec::{ValueKind, ValueRef};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holder {
    pub(super) namespace: String,
    pub(super) kind: ValueKind,
    pub(super) name: String,
}

impl Holder {
    /// What a reference of an object in `namespace` means.
    pub(super) fn of(reference: &ValueRef, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), kind: reference.kind, name: reference.name.clone() }
    }
}

/// Those that are watched.
pub(super) struct Values {
    client: Client,
    /// Of the server: what policies of the whole cluster refer to is there.
    namespace: String,
    watched: BTreeMap<Holder, Watched>,
    changes: Changes,
}

struct Watched {
    found: Arc<Mutex<Seen>>,
    since: Instant,
    /// Ends with it.
    _task: JoinSet<()>,
}

/// What was seen last.
#[derive(Clone, Default)]
enum Seen {
    /// Nothing yet.
    #[default]
    Unknown,
    /// It is not there.
    Nothing,
    /// It cannot be read, and never was.
    Refused(String),
    /// Its version, and what it holds.
    Held(String, Arc<BTreeMap<String, Vec<u8>>>),
}

impl Values {
    pub(super) fn new(client: &Client, namespace: &str, changes: Changes) -> Self {
        Self { client: client.clone(), namespace: namespace.to_owned(), watched: BTreeMap::new(), changes }
    }

    /// Watches these, and no others any more.
    pub(super) fn want(&mut self, holders: BTreeSet<Holder>) {
        self.watched.retain(|it, _| holders.contains(it));
        for holder in holders {
            if !self.watched.contains_key(&holder) && self.has_room(&holder.namespace) {
                let watched = self.watch(&holder);
                self.watched.insert(holder, watched);
            }
        }
    }

    /// Whether one more may be watched in a namespace: no namespace takes what others need, and all of them together nothing that policies of
    /// the whole cluster need.
    fn has_room(&self, namespace: &str) -> bool {
        let count = |is_in: &dyn Fn(&str) -> bool| self.watched.keys().filter(|it| is_in(&it.namespace)).count();
        let own = count(&|it| it == self.namespace);
        if namespace == self.namespace {
            return own < MOST;
        }
        self.watched.len() - own < MOST && count(&|it| it == namespace) < MOST_OF_NAMESPACE
    }

    /// Whether something that is wanted was not seen yet, and could have been.
    pub(super) fn are_awaited(&self) -> bool {
        let is_awaited = |it: &Watched| matches!(it.seen(), Seen::Unknown) && it.since.elapsed() < PATIENCE;
        self.watched.values().any(is_awaited)
    }

    /// The text of a key.
    ///
    /// # Errors
    /// Why there is none; nothing of what is there.
    pub(super) fn text(&self, holder: &Holder, key: &str) -> Result<String, String> {
        let (kind, Holder { namespace, name, .. }) = (holder.kind.name(), holder);
        let Some(watched) = self.watched.get(holder) else {
            return Err(format!(
                "no more ConfigMaps and Secrets are read: {MOST} of namespace {} may be referred to, {MOST_OF_NAMESPACE} of each other namespace, and {MOST} of these together",
                self.namespace
            ));
        };
        let held = match watched.seen() {
            Seen::Unknown => return Err(format!("{kind} {namespace}/{name} cannot be read yet")),
            Seen::Nothing => return Err(format!("there is no {kind} {namespace}/{name}")),
            Seen::Refused(why) => return Err(format!("{kind} {namespace}/{name} cannot be read: {why}")),
            Seen::Held(_, held) => held,
        };
        let bytes = held.get(key).ok_or_else(|| format!("{kind} {namespace}/{name} has no key {key}"))?;
        String::from_utf8(bytes.clone()).map_err(|_| format!("key {key} of {kind} {namespace}/{name} is not UTF-8"))
    }

    /// Which version of it was read.
    pub(super) fn version(&self, holder: &Holder) -> String {
        let version = match self.watched.get(holder).map(Watched::seen) {
            Some(Seen::Held(version, _)) => version,
            _ => String::new(),
        };
        format!("{} {}/{} {version}", holder.kind.name(), holder.namespace, holder.name)
    }

    fn watch(&self, Holder { namespace, kind, name }: &Holder) -> Watched {
        let found = Arc::<Mutex<Seen>>::default();
        let mut task = JoinSet::new();
        let (client, changes) = (self.client.clone(), self.changes.clone());
        match kind {
            ValueKind::ConfigMap => {
                let data = |it: ConfigMap| {
                    let texts = it.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes()));
                    texts
                        .chain(it.binary_data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0)))
                        .collect()
                };
                let api = Api::<ConfigMap>::namespaced(client, namespace);
                task.spawn(follow(api, name.clone(), data, Arc::clone(&found), changes));
            }
            ValueKind::Secret => {
                let data =
                    |it: Secret| it.data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0)).collect();
                let api = Api::<Secret>::namespaced(client, namespace);
                task.spawn(follow(api, name.clone(), data, Arc::clone(&found), changes));
            }
        }
        Watched { found, since: Instant::now(), _task: task }
    }
}

impl Watched {
    fn seen(&self) -> Seen {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn follow<K>(
    api: Api<K>,
    name: String,
    data: impl Fn(K) -> BTreeMap<String, Vec<u8>>,
    found: Arc<Mutex<Seen>>,
    changes: Changes,
) where
    K: Resource<Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let events = watch_object(api, &name).default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        let seen = match event {
            Ok(Some(object)) => Seen::Held(object.resource_version().unwrap_or_default(), Arc::new(data(object))),
            Ok(None) => Seen::Nothing,
            Err(error) => Seen::Refused(refusal(&error)),
        };
        let mut now = found.lock().unwrap_or_else(PoisonError::into_inner);
        // What was there once counts until it is seen to be gone: that nobody can look is no change.
        if !(matches!(seen, Seen::Refused(_)) && matches!(*now, Seen::Held(..) | Seen::Nothing)) {
            *now = seen;
            drop(now);
            changes.tell();
        }
    }
}

/// Nothing of what a server may have put beside its words.
fn refusal(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.message.clone(),
        _ => "kube-apiserver does not answer".to_owned(),
    }
}

/// Objects that are watched, in the server's own namespace and in all others together: each takes a connection.
const MOST: usize = 128;
/// Those that are watched in each other namespace.
const MOST_OF_NAMESPACE: usize = 16;
/// How long it is waited for what was never seen.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
