//! Copies of objects that watches keep.

use std::{fmt::Debug, hash::Hash};

use futures_util::{StreamExt as _, pin_mut};
use kube::{
    Api, Resource,
    runtime::{
        WatchStreamExt as _,
        reflector::{self, Lookup, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, task::JoinSet};
use tracing::{info, warn};

/// Says that something changed, to everybody who listens.
#[derive(Clone)]
pub(super) struct Changes(watch::Sender<()>);

impl Changes {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    pub(super) fn tell(&self) {
        self.0.send_replace(());
    }

    pub(super) fn listen(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

/// A copy of objects.
pub(super) struct Mirror<K: Lookup + 'static>
where
    K::DynamicType: Eq + Hash,
{
    pub(super) copy: Store<K>,
    /// Whether all that there was at the beginning was seen.
    known: watch::Receiver<bool>,
}

impl<K: Lookup + 'static> Mirror<K>
where
    K::DynamicType: Eq + Hash,
{
    /// Until all that there was at the beginning was seen. (A store's own `wait_until_ready` wakes one of several who wait.)
    pub(super) async fn is_known(&self) {
        // Its watch lives as long as this does.
        let _ = self.known.clone().wait_for(|it| *it).await;
    }
}

/// Keeps a copy of what `api` has, for as long as `tasks` live; `changes` is told of each change. What cannot be had changes nothing of the copy.
pub(super) fn mirror<K>(
    api: Api<K>,
    config: watcher::Config,
    kind: <K as Resource>::DynamicType,
    what: &'static str,
    changes: &Changes,
    tasks: &mut JoinSet<()>,
) -> Mirror<K>
where
    K: Resource
        + Lookup<DynamicType = <K as Resource>::DynamicType>
        + Clone
        + DeserializeOwned
        + Debug
        + Send
        + Sync
        + 'static,
    <K as Resource>::DynamicType: Eq + Hash + Clone + Send + Sync,
{
    let writer = reflector::store::Writer::new(kind);
    let copy = writer.as_reader();
    let (knows, known) = watch::channel(false);
    let changes = changes.clone();
    tasks.spawn(async move {
        let config = config.timeout(WATCH);
        // What nobody reads here, and takes half of the memory.
        let events =
            watcher(api, config).map(|it| it.map(|it| it.modify(|object| object.meta_mut().managed_fields = None)));
        let events = events.default_backoff().reflect(writer);
        pin_mut!(events);
        let mut is_failing = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    if is_failing {
                        info!(what, "watched again");
                    }
                    is_failing = false;
                    if matches!(event, watcher::Event::InitDone) {
                        knows.send_replace(true);
                    }
                    // While a list comes in, the copy is what it was.
                    if !matches!(event, watcher::Event::Init | watcher::Event::InitApply(_)) {
                        changes.tell();
                    }
                }
                Err(error) => {
                    if !is_failing {
                        warn!(what, %error, "cannot be watched: what was seen last counts until it can be");
                    }
                    is_failing = true;
                }
            }
        }
    });
    Mirror { copy, known }
}

/// Seconds after which each watch is begun anew, so that one that died is noticed.
const WATCH: u32 = 60;
