//! Who waits for a place, and whether it would come to their turn in time: whoever would wait in vain is told at once.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use tokio::{
    sync::{AcquireError, Semaphore, SemaphorePermit},
    time::timeout_at,
};

use crate::spec::Failure;

/// How many reviews may run at once, and those that wait.
pub(super) struct Share {
    size: usize,
    free: Semaphore,
    queue: Queue,
}

/// Calls that wait for one of some places.
#[derive(Default)]
pub(super) struct Queue {
    waiting: AtomicUsize,
    /// How long a place was held lately, on average: microseconds.
    held: AtomicU64,
}

/// One that waits.
pub(super) struct Waits<'a>(&'a Queue);

impl Share {
    pub(super) fn new(size: usize) -> Self {
        let size = size.max(1);
        Self { size, free: Semaphore::new(size), queue: Queue::default() }
    }

    /// `late`: what it is when there is none in time.
    pub(super) async fn take(&self, deadline: Instant, late: Failure) -> Result<SemaphorePermit<'_>, Failure> {
        if let Ok(permit) = self.free.try_acquire() {
            return Ok(permit);
        }
        let Some(_waits) = self.queue.enter(self.size, deadline) else { return Err(late) };
        match timeout_at(deadline.into(), self.free.acquire()).await {
            // What comes free at the deadline is of no use.
            Ok(permit) if Instant::now() < deadline => permit.map_err(closed),
            _ => Err(late),
        }
    }

    /// A review took so long.
    pub(super) fn held(&self, time: Duration) {
        self.queue.held(time);
    }
}

pub(super) fn closed(_: AcquireError) -> Failure {
    Failure::Host("the engine is closed".to_owned())
}

impl Queue {
    /// One more, unless there are too many, or its turn would come after `deadline`. There are so many places.
    pub(super) fn enter(&self, places: usize, deadline: Instant) -> Option<Waits<'_>> {
        let before = self.waiting.load(Ordering::Relaxed);
        let left = deadline.saturating_duration_since(Instant::now());
        if before >= MOST_WAITING || self.turn(before, places) > left {
            return None;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Some(Waits(self))
    }

    /// When it comes to the turn of one who finds so many before: as if all places had been taken just now.
    fn turn(&self, before: usize, places: usize) -> Duration {
        let held = Duration::from_micros(self.held.load(Ordering::Relaxed));
        let rounds = (before + 1) / places.max(1);
        held.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX))
    }

    /// A place was held for so long.
    pub(super) fn held(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let before = self.held.load(Ordering::Relaxed);
        // Others may write between these two: an average may miss one of them.
        self.held.store(before - before / WEIGHT + time / WEIGHT, Ordering::Relaxed);
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whatever is known of the time, nobody is behind so many.
const MOST_WAITING: usize = 1024;
/// The last so many count.
const WEIGHT: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_would_wait_in_vain_is_told_at_once() {
        let queue = Queue::default();
        let soon = || Instant::now() + Duration::from_millis(500);
        // Nothing is known yet.
        let first: Vec<_> = (0..10).map(|_| queue.enter(2, soon()).unwrap()).collect();
        (0..100).for_each(|_| queue.held(Duration::from_millis(200)));
        assert!(queue.enter(2, soon()).is_none(), "eleven in pairs, 0.2 s each");
        drop(first);
        // Two at a time: four and the one who asks are served in 0.4 s, not the next pair.
        let places: Vec<_> = (0..5).map(|_| queue.enter(2, soon()).unwrap()).collect();
        assert!(queue.enter(2, soon()).is_none());
        assert!(queue.enter(2, soon() + Duration::from_millis(300)).is_some());
        drop(places);
        (0..100).for_each(|_| queue.held(Duration::ZERO));
        let many: Vec<_> = (0..MOST_WAITING).map(|_| queue.enter(1, soon()).unwrap()).collect();
        assert!(queue.enter(1, soon()).is_none());
        drop(many);
        assert!(queue.enter(1, soon()).is_some());
    }
}
