//! An instance between two reviews.

use std::{sync::Arc, time::Instant};

use wasmtime::Store;

use super::{
    lanes::Place,
    program::Started,
    rewind::{Region, Thin},
    state::State,
};

/// An instance with all that it takes.
pub(super) struct Live {
    pub(super) store: Store<State>,
    /// None until it is started.
    pub(super) instance: Option<Started>,
    /// Bytes of its memories and tables before its first review.
    pub(super) memory: usize,
    /// Reviews that it has answered.
    pub(super) answered: u32,
    /// Where its memory is, once it was worth it.
    thin: Option<Thin>,
    /// Given back last.
    pub(super) place: Place,
}

impl Live {
    pub(super) fn new(store: Store<State>, place: Place) -> Self {
        Self { store, instance: None, memory: 0, answered: 0, thin: None, place }
    }

    /// Ready for the next review, with nothing of the host's left from the last one.
    pub(super) fn renewed(mut self, keep_output: bool, raw: Arc<str>, deadline: Instant) -> Self {
        self.store.data_mut().renew(keep_output, raw, deadline);
        self.store.set_epoch_deadline(1);
        self
    }

    /// It was put back, and has its memory there.
    pub(super) fn was_put_back(&mut self, memory: Region) {
        if self.answered == THIN_AFTER {
            self.thin = Thin::new(memory);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(thin) = &self.thin {
            thin.end();
        }
    }
}

/// Reviews after which an instance is likely to answer many more.
const THIN_AFTER: u32 = 8;
