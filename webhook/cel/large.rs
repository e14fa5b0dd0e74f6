//! The expressions that build a lot: one at a time for each kind of review, so that what all of them hold is bounded however many threads
//! there are.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::Subject;

/// Room for one.
pub(super) struct Room {
    taken: Mutex<bool>,
    free: Condvar,
}

/// It has the room until this is dropped.
pub(super) struct Held(&'static Room);

impl Room {
    const fn new() -> Self {
        Self { taken: Mutex::new(false), free: Condvar::new() }
    }

    /// No login waits for admission.
    pub(super) fn of(subject: Subject) -> &'static Self {
        static ADMISSION: Room = Room::new();
        static OTHERS: Room = Room::new();
        if subject == Subject::Admission { &ADMISSION } else { &OTHERS }
    }

    /// Waits for whoever has it, which runs: nothing that holds it ever waits. None: the deadline passed before.
    pub(super) fn enter(&'static self, deadline: Instant) -> Option<Held> {
        let mut taken = self.lock();
        while *taken {
            let left = deadline.checked_duration_since(Instant::now())?;
            taken = self.free.wait_timeout(taken, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *taken = true;
        Some(Held(self))
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // A poisoned lock only says that another thread panicked: one word is never half written.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.lock() = false;
        self.0.free.notify_one();
    }
}
