//! What all requests of one kind may hold together: their bodies as far as they came, and their answers until they are taken.
//!
//! Nothing is held for what is only announced. Where there is no more, those go first who let the server wait, then those whose caller, or
//! whose connection, holds more than the one that asks. Requests never wait for each other in a circle: each says how much it will need.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::{
    pool::{Activity, Caller},
    request::Phase,
    room::{Grant, Requests, signed},
};
use crate::observe::Metrics;

/// The bytes that requests of one kind may hold together.
pub(super) struct Budget(Arc<Mutex<Requests>>);

/// What one request holds, until it is dropped.
pub(super) struct Share {
    budget: Arc<Mutex<Requests>>,
    id: u64,
    word: Arc<Notify>,
}

/// There is no room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Busy;

impl Budget {
    pub(super) fn new(bytes: usize, metrics: &Arc<Metrics>) -> Self {
        Self(Arc::new(Mutex::new(Requests::new(bytes, metrics))))
    }

    /// A request begins, and holds what every request does, its body not yet included, for which it may take `body` bytes at most.
    pub(super) async fn begin(
        &self,
        caller: Caller,
        connection: Option<Arc<Activity>>,
        body: usize,
        deadline: Instant,
    ) -> Result<Share, Busy> {
        let word = Arc::new(Notify::new());
        let claim = signed(REQUEST.saturating_add(body));
        let id = lock(&self.0).begin(caller, connection, claim, Arc::clone(&word));
        let share = Share { budget: Arc::clone(&self.0), id, word };
        share.take(REQUEST, deadline).await?;
        Ok(share)
    }
}

impl Share {
    /// Holds so many bytes more. Waits until `deadline` for others to give them back.
    pub(super) async fn take(&self, bytes: usize, deadline: Instant) -> Result<(), Busy> {
        loop {
            let until = match lock(&self.budget).ask(self.id, signed(bytes)) {
                Grant::Taken => return Ok(()),
                Grant::Refused => return Err(Busy),
                Grant::Wait(until) => until.min(deadline),
            };
            let _ = timeout_at(until, self.word.notified()).await;
            match lock(&self.budget).phase(self.id) {
                Some(Phase::Reading) => return Ok(()),
                Some(Phase::Waiting) if Instant::now() < deadline => {}
                _ => return Err(Busy),
            }
        }
    }

    /// Gives so many bytes back.
    pub(super) fn give(&self, bytes: usize) {
        lock(&self.budget).hold(self.id, -signed(bytes));
    }

    /// Some of the body came.
    pub(super) fn moved(&self) {
        lock(&self.budget).turn(self.id, Phase::Reading);
    }

    /// The body is whole.
    pub(super) fn work(&self) {
        lock(&self.budget).turn(self.id, Phase::Working);
    }

    /// Until this request must give way to others.
    pub(super) async fn left(&self) {
        while lock(&self.budget).phase(self.id) != Some(Phase::Leaving) {
            self.word.notified().await;
        }
    }

    /// The answer, in place of the body: what it holds is held until it is sent.
    pub(super) fn answer(self, answer: Vec<u8>) -> Bytes {
        let mut requests = lock(&self.budget);
        requests.turn(self.id, Phase::Answering);
        let more = signed(REQUEST + answer.capacity()) - requests.held(self.id);
        requests.hold(self.id, more);
        drop(requests);
        Bytes::from_owner(Answer { bytes: answer, _share: self })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        lock(&self.budget).remove(self.id);
    }
}

struct Answer {
    bytes: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn lock(requests: &Mutex<Requests>) -> MutexGuard<'_, Requests> {
    // A poisoned lock only says that another thread panicked: the sums are changed in one step each.
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that a request holds beside its body: its task, its stream, its headers.
pub(super) const REQUEST: usize = 8 << 10;
#[cfg(test)]
mod tests;
