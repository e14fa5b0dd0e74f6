//! What is known of one request while it holds some of a budget.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};

use super::pool::Activity;

/// One request.
pub(super) struct Entry {
    pub(super) holder: Holder,
    pub(super) connection: Option<Arc<Activity>>,
    pub(super) held: i64,
    /// What it holds at most until it is whole.
    pub(super) claim: i64,
    pub(super) phase: Phase,
    pub(super) begun: Instant,
    /// When it last moved.
    pub(super) since: Instant,
    /// How long it waited for room.
    pub(super) waited: Duration,
    /// It got what it waited for, or must leave.
    pub(super) word: Arc<Notify>,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its caller sends.
    Reading,
    /// For room.
    Waiting,
    /// Read whole: the server owes an answer, and that has a deadline.
    Working,
    /// Its caller reads.
    Answering,
    /// It was told to give back what it holds.
    Leaving,
}

impl Entry {
    pub(super) fn unfinished(&self) -> bool {
        matches!(self.phase, Phase::Reading | Phase::Waiting)
    }

    pub(super) fn needs(&self) -> i64 {
        (self.claim - self.held).max(0)
    }

    /// How long its caller has had to send it.
    pub(super) fn sending(&self, now: Instant) -> Duration {
        let waits = if self.phase == Phase::Waiting { now - self.since } else { Duration::ZERO };
        (now - self.begun).saturating_sub(self.waited + waits)
    }
}

/// For whom something is held: a place among the sums of the callers, and one among those of the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) caller: usize,
    pub(super) connection: usize,
}
