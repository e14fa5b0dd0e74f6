//! How much work a change makes, and until when it may.

use std::time::Instant;

use super::PatchError;

/// Counts the work of one change and ends it when its time is used up.
#[derive(Debug)]
pub struct Work {
    deadline: Instant,
    done: u64,
    /// When to look at the clock again.
    look: u64,
}

impl Work {
    /// Work that ends at `deadline`.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, done: 0, look: STRIDE }
    }

    /// Values that were looked at so far, each time counted anew.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Pays for `values` that are looked at.
    pub(super) fn pay(&mut self, values: usize) -> Result<(), PatchError> {
        self.done = self.done.saturating_add(values as u64);
        if self.done < self.look {
            return Ok(());
        }
        self.look = self.done + STRIDE;
        if Instant::now() < self.deadline { Ok(()) } else { Err(PatchError::OutOfTime) }
    }
}

/// Values between two looks at the clock: well below a millisecond.
const STRIDE: u64 = 4096;
