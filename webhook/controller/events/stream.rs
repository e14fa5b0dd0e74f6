//! One watch of objects: what changes of them, in its order, from where an earlier watch ended.
//!
//! kube-runtime's watcher begins with a list of what is there now, by which nobody learns what happened before: so this one goes on from a
//! version. The list at exactly that version says what the objects were, for `oldObject`. Where the cluster does not know the version any
//! more, what is there comes as `replayed`.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, pin_mut};
use kube::{
    Api,
    api::{ListParams, VersionMatch, WatchParams},
    core::{ApiResource, DynamicObject, TypeMeta, WatchEvent},
};
use serde_json::value::RawValue;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{sleep, timeout},
};

use super::{
    account::{Impersonated, NoApi, Of},
    known::{Known, Name, Seen},
};
use crate::{
    controller::client::{Refused, within},
    spec::{ChangeType, EventSource, LabelSelector, Operator, Requirement},
};

/// One of them.
pub(super) struct Stream {
    /// By which its provider knows it.
    pub(super) number: usize,
    pub(super) account: Arc<Impersonated>,
    pub(super) source: EventSource,
    /// Empty: all of them, or they belong to none.
    pub(super) namespace: String,
    /// Where it is to begin.
    pub(super) position: Position,
    /// What is there at the beginning is told in any case.
    pub(super) tells_all: bool,
    /// Whose time was saved: they are shown once, as they are.
    pub(super) due: HashSet<Name>,
    pub(super) known: Known,
    pub(super) out: mpsc::Sender<(usize, Step)>,
    /// KiB that may be on their way.
    pub(super) room: Arc<Semaphore>,
}

/// Where a watch is to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    /// It was never begun.
    Nowhere,
    /// Everything up to this version was handled, by somebody who is gone.
    Saved(String),
    /// Everything up to this version was seen.
    At(String),
    /// It is not known any more what happened since then; the objects that were seen are.
    Lost,
}

/// What a watch says.
pub(super) enum Step {
    /// Something changed; the version from which to go on when it is handled.
    Change(Change, Option<String>),
    /// Something changed of which nobody wants to be told.
    Untold(ChangeType, Name, Seen, Option<String>),
    /// An object whose time was saved.
    Due(Change),
    /// Nothing else changed up to this version.
    Mark(String),
    /// Whether it runs, or why not.
    State(Result<(), (&'static str, String)>),
    /// Deletions may have been lost.
    Gap,
}

/// A change, for a provider.
pub(super) struct Change {
    pub(super) kind: ChangeType,
    pub(super) name: Name,
    pub(super) seen: Seen,
    pub(super) object: Arc<RawValue>,
    pub(super) old: Option<Arc<RawValue>>,
    pub(super) replayed: bool,
    /// Room that it takes until it is handled.
    _room: Option<OwnedSemaphorePermit>,
}

impl Change {
    /// It is so by now.
    pub(super) fn renew(&mut self, seen: Seen) {
        if let Some(object) = seen.object.clone() {
            (self.seen, self.object) = (seen, object);
        }
    }

    /// The same object once more, for later. None: there is no room for it.
    pub(super) fn again(&self, room: &Arc<Semaphore>) -> Option<Self> {
        let room = Arc::clone(room).try_acquire_many_owned(kib(self.object.get().len())).ok()?;
        Some(Self {
            kind: ChangeType::Modified,
            name: self.name.clone(),
            seen: self.seen.clone(),
            object: Arc::clone(&self.object),
            old: None,
            replayed: true,
            _room: Some(room),
        })
    }
}

/// Why a watch ends.
enum Ended {
    /// In good order: it goes on from where it is.
    Well,
    /// The cluster does not know the version any more.
    Gone,
    /// Nobody listens.
    Unheard,
    /// For this reason.
    Trouble(&'static str, String),
}

impl Stream {
    /// As long as somebody listens.
    pub(super) async fn run(mut self) {
        let mut patience = SHORTEST;
        loop {
            let ended = match self.step().await {
                Ok(()) => Ended::Well,
                Err(ended) => ended,
            };
            match ended {
                Ended::Well => {
                    patience = SHORTEST;
                    sleep(BREATH).await;
                }
                Ended::Unheard => return,
                Ended::Gone => {
                    let is_gap = matches!(self.position, Position::Saved(_));
                    self.position = Position::Lost;
                    if is_gap {
                        // Of what was seen of that version nothing was told.
                        self.known.clear();
                        if self.say(Step::Gap).await.is_err() {
                            return;
                        }
                    }
                    sleep(SHORTEST).await;
                }
                Ended::Trouble(reason, message) => {
                    let (api_version, kind) = (&self.source.api_version, &self.source.kind);
                    let of = match self.namespace.as_str() {
                        "" => format!("{kind} of {api_version}"),
                        namespace => format!("{kind} of {api_version} in {namespace}"),
                    };
                    // Its definition may be another one now.
                    self.account.forget(api_version, kind).await;
                    if self.say(Step::State(Err((reason, format!("{of}: {message}"))))).await.is_err() {
                        return;
                    }
                    sleep(patience).await;
                    patience = (patience * 2).min(LONGEST);
                }
            }
        }
    }

    async fn step(&mut self) -> Result<(), Ended> {
        let (api_version, kind) = (&self.source.api_version, &self.source.kind);
        let found = self.account.api(api_version, kind, &self.namespace, Of::Many).await;
        let (api, resource) = found.map_err(|error| match error {
            NoApi::Kind(words) => Ended::Trouble("NoSuchKind", words),
            NoApi::Scope(words) => Ended::Trouble("WrongScope", words),
            NoApi::Refused(error) => refused(&error),
        })?;
        match self.position.clone() {
            Position::Nowhere | Position::Lost => self.list(&api, &resource, None).await?,
            Position::Saved(version) => self.list(&api, &resource, Some(&version)).await?,
            Position::At(version) => self.watch(&api, &resource, &version).await?,
        }
        Ok(())
    }

    /// What is there now, or was there at a version, from which it goes on.
    async fn list(&mut self, api: &Api<DynamicObject>, resource: &ApiResource, at: Option<&str>) -> Result<(), Ended> {
        let labels = self.labels();
        let mut params = ListParams { label_selector: labels, limit: Some(PAGE), ..ListParams::default() };
        if let Some(version) = at {
            params.resource_version = Some(version.to_owned());
            params.version_match = Some(VersionMatch::Exact);
        }
        let mut listed = HashSet::new();
        loop {
            let page = match within(api.list(&params)).await {
                Ok(page) => page,
                Err(error) if is_gone(&error, at.is_some()) => return Err(Ended::Gone),
                Err(error) => return Err(refused(&error)),
            };
            for object in page.items {
                let Some((name, seen)) = self.seen(object, resource) else { continue };
                if self.known.get(&name).is_some_and(|it| it.uid != seen.uid) {
                    // Another one has its name by now.
                    self.gone(&name, resource).await?;
                }
                let before = self.known.get(&name).map(|it| it.version.clone());
                let kind = match &before {
                    None => ChangeType::Added,
                    Some(_) => ChangeType::Modified,
                };
                let is_new = before.is_none_or(|it| it != seen.version);
                let old = self.known.put(&name, &seen);
                listed.insert(name.clone());
                let is_due = self.due.remove(&name);
                if is_new && (at.is_none() || self.tells_all) {
                    self.tell(kind, name, seen, old, true, None).await?;
                } else if is_due && let Some(object) = seen.object.clone() {
                    let change = Change {
                        kind: ChangeType::Modified,
                        name,
                        seen,
                        object,
                        old: None,
                        replayed: true,
                        _room: None,
                    };
                    self.say(Step::Due(change)).await?;
                }
            }
            let next = page.metadata.continue_.filter(|it| !it.is_empty());
            if next.is_some() {
                params.continue_token = next;
                // The token says both.
                params.resource_version = None;
                params.version_match = None;
                continue;
            }
            for name in self.known.others(&listed) {
                self.gone(&name, resource).await?;
            }
            let version = at.map(str::to_owned).or(page.metadata.resource_version).unwrap_or_default();
            self.position = Position::At(version.clone());
            return self.say(Step::Mark(version)).await;
        }
    }

    /// It was deleted while nobody watched.
    async fn gone(&mut self, name: &str, resource: &ApiResource) -> Result<(), Ended> {
        let Some(mut last) = self.known.remove(name) else { return Ok(()) };
        if last.object.is_none() {
            last.object = Seen::of(bare(name, &last, resource)).and_then(|(_, it)| it.object);
        }
        self.tell(ChangeType::Deleted, name.to_owned(), last.clone(), Some(last), true, None).await
    }

    async fn watch(&mut self, api: &Api<DynamicObject>, resource: &ApiResource, version: &str) -> Result<(), Ended> {
        let params = WatchParams {
            label_selector: self.labels(),
            timeout: Some(WATCH),
            bookmarks: true,
            ..WatchParams::default()
        };
        let events = match within(api.watch(&params, version)).await {
            Ok(events) => events,
            Err(error) if is_gone(&error, false) => return Err(Ended::Gone),
            Err(error) => return Err(refused(&error)),
        };
        pin_mut!(events);
        self.say(Step::State(Ok(()))).await?;
        loop {
            // One that died says nothing for longer than it may last.
            let event = match timeout(SILENT, events.next()).await {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(()),
                Err(_) => return Err(Ended::Trouble("Unreachable", "the watch said nothing for long".to_owned())),
            };
            let (kind, object) = match event {
                Ok(WatchEvent::Added(object)) => (ChangeType::Added, object),
                Ok(WatchEvent::Modified(object)) => (ChangeType::Modified, object),
                Ok(WatchEvent::Deleted(object)) => (ChangeType::Deleted, object),
                Ok(WatchEvent::Bookmark(bookmark)) => {
                    let version = bookmark.metadata.resource_version;
                    self.position = Position::At(version.clone());
                    self.say(Step::Mark(version)).await?;
                    continue;
                }
                Ok(WatchEvent::Error(status)) | Err(kube::Error::Api(status)) => {
                    let error = Refused::Status(status);
                    return Err(if is_gone(&error, false) { Ended::Gone } else { refused(&error) });
                }
                Err(error) => return Err(Ended::Trouble("Unreachable", error.to_string())),
            };
            let Some((name, seen)) = self.seen(object, resource) else { continue };
            let version = seen.version.clone();
            let old = match kind {
                ChangeType::Deleted => self.known.remove(&name),
                ChangeType::Added | ChangeType::Modified => self.known.put(&name, &seen),
            };
            self.position = Position::At(version.clone());
            self.tell(kind, name, seen, old, false, Some(version)).await?;
        }
    }

    async fn tell(
        &self,
        kind: ChangeType,
        name: Name,
        seen: Seen,
        old: Option<Seen>,
        replayed: bool,
        version: Option<String>,
    ) -> Result<(), Ended> {
        let object = seen.object.clone();
        let is_told = self.source.on.contains(&kind);
        let (Some(object), true) = (object, is_told) else {
            // Nobody wants to know of it, or can be told what it was.
            return self.say(Step::Untold(kind, name, seen, version)).await;
        };
        let old = old.and_then(|it| it.object).filter(|_| kind != ChangeType::Added);
        let size = object.get().len() + old.as_ref().map_or(0, |it| it.get().len());
        let room = Arc::clone(&self.room).acquire_many_owned(kib(size)).await.map_err(|_| Ended::Unheard)?;
        let change = Change { kind, name, seen, object, old, replayed, _room: Some(room) };
        self.say(Step::Change(change, version)).await
    }

    async fn say(&self, step: Step) -> Result<(), Ended> {
        self.out.send((self.number, step)).await.map_err(|_| Ended::Unheard)
    }

    /// Objects in lists do not say what they are.
    fn seen(&self, mut object: DynamicObject, resource: &ApiResource) -> Option<(Name, Seen)> {
        object.types = Some(TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() });
        Seen::of(object)
    }

    fn labels(&self) -> Option<String> {
        self.source.label_selector.as_ref().map(written)
    }
}

/// What is known of an object that there was no room to keep.
fn bare(name: &str, seen: &Seen, resource: &ApiResource) -> DynamicObject {
    let (namespace, name) = name.split_once('/').unwrap_or_default();
    let mut object = DynamicObject::new(name, resource);
    object.metadata.namespace = Some(namespace.to_owned()).filter(|it| !it.is_empty());
    object.metadata.uid = Some(seen.uid.clone());
    object.metadata.resource_version = Some(seen.version.clone());
    object
}

/// Never more than there are.
fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).min(ROOM)
}

/// A selector as it is written in a request (k8s.io/apimachinery `labels.Parse`).
pub(super) fn written(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
    let requirement = |it: &Requirement| {
        let Requirement { key, operator, values } = it;
        let values = values.join(",");
        match operator {
            Operator::In => format!("{key} in ({values})"),
            Operator::NotIn => format!("{key} notin ({values})"),
            Operator::Exists => key.clone(),
            Operator::DoesNotExist => format!("!{key}"),
        }
    };
    labels.chain(selector.match_expressions.iter().map(requirement)).collect::<Vec<_>>().join(",")
}

/// Whether the cluster does not know a version any more, or, where one was `asked` for, not yet: it was set back.
fn is_gone(error: &Refused, asked: bool) -> bool {
    let Refused::Status(status) = error else { return false };
    status.code == 410
        || status.reason == "Expired"
        || (asked && (status.code == 400 || status.message.contains("Too large resource version")))
}

fn refused(error: &Refused) -> Ended {
    let reason = match error.code() {
        Some(401 | 403) => "Forbidden",
        Some(404) => "NoSuchKind",
        _ => "Unreachable",
    };
    Ended::Trouble(reason, error.to_string())
}

/// Objects of one answer.
const PAGE: u32 = 500;
/// Seconds after which a watch is begun anew.
const WATCH: u32 = 60;
const SILENT: Duration = Duration::from_secs(90);
/// Between two watches, whoever ended the first.
const BREATH: Duration = Duration::from_millis(100);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// KiB of changes of one provider that wait to be handled; and as much of objects whose time has not come.
pub(super) const ROOM: u32 = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_written_as_kubernetes_reads_them() {
        let requirement = |key: &str, operator, values: &[&str]| Requirement {
            key: key.to_owned(),
            operator,
            values: values.iter().map(|it| (*it).to_owned()).collect(),
        };
        let selector = LabelSelector {
            match_labels: [("app".to_owned(), "web".to_owned()), ("team".to_owned(), String::new())].into(),
            match_expressions: vec![
                requirement("example.org/a", Operator::In, &["b", "c"]),
                requirement("d", Operator::NotIn, &["e"]),
                requirement("f", Operator::Exists, &[]),
                requirement("g", Operator::DoesNotExist, &[]),
            ],
        };
        assert_eq!(written(&selector), "app=web,team=,example.org/a in (b,c),d notin (e),f,!g");
        assert_eq!(written(&LabelSelector::default()), "");
    }
}
