//! An instance between two reviews.

use std::{sync::Arc, time::Instant};

use wasmtime::Store;

use super::{lanes::Place, program::Started, state::State};

/// An instance with all that it takes.
pub(super) struct Live {
    pub(super) store: Store<State>,
    /// None until it is started.
    pub(super) instance: Option<Started>,
    /// Bytes of its memories and tables before its first review.
    pub(super) memory: usize,
    /// Reviews that it has answered.
    pub(super) answered: u32,
    /// Given back last.
    pub(super) place: Place,
}

impl Live {
    pub(super) fn new(store: Store<State>, place: Place) -> Self {
        Self { store, instance: None, memory: 0, answered: 0, place }
    }

    /// Ready for the next review, with nothing of the host's left from the last one.
    pub(super) fn renewed(mut self, keep_output: bool, raw: Arc<str>, deadline: Instant) -> Self {
        self.store.data_mut().renew(keep_output, raw, deadline);
        self.store.set_epoch_deadline(1);
        self
    }
}
