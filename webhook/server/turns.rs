//! Handshakes cost processor time: only few at a time get it, so that thousands of them do not stand in the way of whoever is connected.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use tokio::sync::Semaphore;

use super::pool::Activity;
use std::sync::Arc;

/// So many may compute at the same time.
pub(super) struct Turns(Semaphore);

impl Turns {
    pub(super) fn new(computing: usize) -> Self {
        Self(Semaphore::new(computing))
    }

    /// Runs `work`, of which each step that something arrived for waits for its turn. While it waits, the server owes the caller something.
    pub(super) async fn run<F: Future>(&self, activity: &Arc<Activity>, work: F) -> F::Output {
        let mut work = pin!(work);
        let mut waiting = None;
        poll_fn(|context| {
            let (turn, _owed) = waiting.get_or_insert_with(|| (Box::pin(self.0.acquire()), activity.owe()));
            // The semaphore is never closed: an error cannot be.
            let Poll::Ready(_turn) = turn.as_mut().poll(context) else { return Poll::Pending };
            let polled = work.as_mut().poll(context);
            waiting = None;
            polled
        })
        .await
    }
}
