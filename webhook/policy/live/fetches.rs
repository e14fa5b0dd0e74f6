//! What is fetched for declared objects, beside everything else: a registry that is slow holds up nobody who does not need it.

use std::{
    collections::{BTreeMap, HashMap},
    future::pending,
};

use tokio::task::{Id, JoinSet};
use tracing::warn;

use crate::{
    loader::Components,
    spec::{ComponentRef, PolicySpec},
};

/// Fetches that have not ended.
#[derive(Default)]
pub(super) struct Fetches {
    tasks: JoinSet<(ComponentRef, Ended)>,
    /// What each is for.
    running: HashMap<Id, String>,
}

/// How one ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// What it is for is to be loaded, or told why it cannot be.
    Fetched,
    /// Nothing is to be done.
    Unchanged,
}

impl Fetches {
    /// Fetches what these need and is not here.
    pub(super) fn begin<'a>(&mut self, components: &Components, specs: impl Iterator<Item = &'a PolicySpec>) {
        for reference in unique(specs).filter(|it| components.is_missing(it)) {
            self.spawn(reference, fetch(components.clone(), reference.clone()));
        }
    }

    /// Looks whether the tags of these name something else now, and fetches that.
    pub(super) fn refresh<'a>(&mut self, components: &Components, specs: impl Iterator<Item = &'a PolicySpec>) {
        for reference in unique(specs).filter(|it| it.location.moves()) {
            self.spawn(reference, refresh(components.clone(), reference.clone()));
        }
    }

    /// The next one that something is to be done about. Never, while there is none.
    pub(super) async fn next(&mut self) -> ComponentRef {
        loop {
            match self.tasks.join_next_with_id().await {
                Some(Ok((id, (reference, ended)))) => {
                    self.running.remove(&id);
                    if ended == Ended::Fetched {
                        return reference;
                    }
                }
                // It panicked, which the log has told.
                Some(Err(error)) => drop(self.running.remove(&error.id())),
                None => return pending().await,
            }
        }
    }

    /// Until all have ended.
    pub(super) async fn all(&mut self) {
        while let Some(ended) = self.tasks.join_next_with_id().await {
            let id = ended.map_or_else(|error| error.id(), |(id, _)| id);
            self.running.remove(&id);
        }
    }

    fn spawn(&mut self, reference: &ComponentRef, fetch: impl Future<Output = (ComponentRef, Ended)> + Send + 'static) {
        let key = key(reference);
        if !self.running.values().any(|it| *it == key) {
            self.running.insert(self.tasks.spawn(fetch).id(), key);
        }
    }
}

/// Many policies may run one component.
fn unique<'a>(specs: impl Iterator<Item = &'a PolicySpec>) -> impl Iterator<Item = &'a ComponentRef> {
    let all: BTreeMap<String, &ComponentRef> = specs.flat_map(PolicySpec::references).map(|it| (key(it), it)).collect();
    all.into_values()
}

/// All of it counts: two may want different signatures of one image.
fn key(reference: &ComponentRef) -> String {
    format!("{reference:?}")
}

async fn fetch(components: Components, reference: ComponentRef) -> (ComponentRef, Ended) {
    // What is wrong is told when it is loaded.
    let _ = components.fetch(&reference).await;
    (reference, Ended::Fetched)
}

async fn refresh(components: Components, reference: ComponentRef) -> (ComponentRef, Ended) {
    let ended = match components.refresh(&reference).await {
        Ok(true) => Ended::Fetched,
        Ok(false) => Ended::Unchanged,
        Err(error) => {
            warn!(component = %reference, %error, "what the tag names now does not serve");
            Ended::Unchanged
        }
    };
    (reference, ended)
}
