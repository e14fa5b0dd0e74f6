//! What a runner works with: which provider it is of, its watches, and what is to be handled.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::SystemTime,
};

use tokio::time::Instant;

use super::{
    known::{Name, Room},
    loops::Loops,
    progress::Progress,
    stream::{self, Change},
};
use crate::{
    observe::Metrics,
    policy::Live,
    spec::{Account, EventSource},
};

/// What is known of a provider: another one of these is another runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) generation: i64,
    pub(super) events: Vec<EventSource>,
    pub(super) account: Account,
    /// What it wants done is tried only.
    pub(super) shadow: bool,
}

/// What all runners have in common.
pub(super) struct Ground {
    pub(super) live: Arc<Live>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) loops: Arc<Loops>,
    pub(super) room: Arc<Room>,
    /// The name of this replica.
    pub(super) replica: String,
}

/// One watch.
pub(super) struct Source {
    /// By which it is found again after a restart: no other of the provider has it.
    pub(super) title: String,
    /// With one namespace, or none.
    pub(super) event: EventSource,
    pub(super) progress: Progress,
    pub(super) state: Option<Result<(), (&'static str, String)>>,
    /// Those whose time was saved, and when it is; their objects were not seen yet.
    pub(super) due: BTreeMap<Name, u64>,
}

impl Source {
    /// Of all that a provider is told of, each once.
    pub(super) fn all(events: &[EventSource]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for event in events {
            let everywhere = [String::new()];
            let namespaces = if event.namespaces.is_empty() { &everywhere[..] } else { &event.namespaces };
            for namespace in namespaces {
                let source = Self::new(event, namespace);
                if all.iter().all(|it| it.title != source.title) {
                    all.push(source);
                }
            }
        }
        all
    }

    fn new(event: &EventSource, namespace: &str) -> Self {
        let EventSource { api_version, kind, on, .. } = event;
        let labels = event.label_selector.as_ref().map(stream::written).unwrap_or_default();
        let on: BTreeSet<&str> = on.iter().map(|it| it.name()).collect();
        let on = on.into_iter().collect::<Vec<_>>().join(",");
        let namespaces = Some(namespace.to_owned()).filter(|it| !it.is_empty()).into_iter().collect();
        Self {
            title: format!("{api_version} {kind} {namespace} {labels} {on}"),
            event: EventSource { namespaces, ..event.clone() },
            progress: Progress::default(),
            state: None,
            due: BTreeMap::new(),
        }
    }
}

/// An object that is to be handled again though nothing changed.
pub(super) struct Again {
    pub(super) at: Instant,
    /// Seconds since 1970.
    pub(super) due: u64,
    pub(super) change: Change,
}

/// What is to be handled.
pub(super) struct Job {
    pub(super) source: usize,
    pub(super) change: Change,
    /// None: its time has come, and nothing waits for it.
    pub(super) number: Option<u64>,
}

impl Job {
    /// Whether something changed.
    pub(super) fn is_change(&self) -> bool {
        self.number.is_some()
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |it| it.as_secs())
}
