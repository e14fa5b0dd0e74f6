//! The memory that what is read of reviews may take: of one review, and of all together.

use std::{sync::Arc, time::Instant};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout_at,
};

/// What all reviews share.
#[derive(Clone)]
pub struct Pool {
    free: Arc<Semaphore>,
    /// Bytes of one review.
    most: usize,
}

/// What one review has of it.
pub struct Share {
    pool: Pool,
    held: Option<OwnedSemaphorePermit>,
    /// Bytes.
    used: usize,
}

/// Why there is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    /// The review has all that one may have.
    Own,
    /// Others have it now.
    Common,
}

impl Pool {
    /// `bytes` for all, `most` of them for one review.
    pub fn new(bytes: usize, most: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes / UNIT)), most: most.min(bytes) }
    }

    /// Nothing yet.
    pub fn share(&self) -> Share {
        Share { pool: self.clone(), held: None, used: 0 }
    }
}

impl Share {
    /// Waits until it has all that one review may have, so that it never has to wait again. It must hold nothing that
    /// others may wait for.
    ///
    /// # Errors
    /// Not before `deadline`.
    pub async fn fill(&mut self, deadline: Instant) -> Result<(), TooLate> {
        (self.held, self.used) = (None, 0);
        let most = u32::try_from(self.pool.most / UNIT).unwrap_or(u32::MAX);
        let all = Arc::clone(&self.pool.free).acquire_many_owned(most);
        match timeout_at(deadline.into(), all).await {
            Ok(Ok(held)) => {
                self.held = Some(held);
                Ok(())
            }
            _ => Err(TooLate),
        }
    }

    /// One more of the same pool, with nothing yet.
    pub fn another(&self) -> Self {
        self.pool.share()
    }

    /// Before this much is built.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Lack> {
        let used = self.used.saturating_add(bytes);
        if used > self.pool.most {
            return Err(Lack::Own);
        }
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) * UNIT;
        if used > held {
            let missing = (used - held).max(AT_ONCE).min(self.pool.most - held).div_ceil(UNIT);
            let missing = u32::try_from(missing).unwrap_or(u32::MAX);
            let more = Arc::clone(&self.pool.free).try_acquire_many_owned(missing).map_err(|_| Lack::Common)?;
            match &mut self.held {
                Some(held) => held.merge(more),
                None => self.held = Some(more),
            }
        }
        self.used = used;
        Ok(())
    }

    /// After this much was dropped. It is kept for what this review reads next.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    pub(super) fn used(&self) -> usize {
        self.used
    }
}

/// The memory for all reviews was in use until the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLate;

/// Bytes of a permit.
const UNIT: usize = 1 << 10;
/// Bytes that are taken at least: most reviews take them once.
const AT_ONCE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn nobody_has_more_than_their_share_and_all_together_not_more_than_there_is() {
        let pool = Pool::new(1 << 20, 700 << 10);
        let (mut one, mut other) = (pool.share(), pool.share());
        assert_eq!(one.take(600 << 10), Ok(()));
        assert_eq!(one.take(101 << 10), Err(Lack::Own));
        assert_eq!(other.take(400 << 10), Ok(()));
        assert_eq!(other.take(100 << 10), Err(Lack::Common));
        one.give_back(500 << 10);
        // What is given back is kept by who had it.
        assert_eq!(other.take(100 << 10), Err(Lack::Common));
        let soon = || Instant::now() + Duration::from_millis(20);
        assert_eq!(other.fill(soon()).await, Err(TooLate));
        drop(one);
        assert_eq!(other.fill(soon()).await, Ok(()));
        assert_eq!(other.take(700 << 10), Ok(()));
        drop(other);
        assert_eq!(pool.free.available_permits(), 1 << 10);
    }
}
