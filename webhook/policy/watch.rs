//! What each policy did in one request, for whoever tries policies out. The server never looks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::matching::Explained;
use crate::engine::{Failure, Interface, Usage};

/// Sees the policies of one request.
#[derive(Default)]
pub struct Watch {
    seen: Mutex<Vec<Seen>>,
    listens: bool,
}

/// One policy in one request.
#[derive(Debug)]
pub struct Seen {
    /// Its name.
    pub policy: String,
    /// What it was to be asked as.
    pub interface: Interface,
    /// Whether it was to be asked.
    pub asked: bool,
    /// Which rule, selector or condition decided that, in words.
    pub why: String,
    /// How it went, if it was asked.
    pub called: Option<Called>,
}

/// How a policy was asked.
#[derive(Debug)]
pub struct Called {
    /// As the metrics name it: `allowed`, `denied`, `mutated` and so on; or why there is none.
    pub outcome: Result<&'static str, Failure>,
    /// What it took.
    pub usage: Usage,
}

impl Watch {
    /// Takes what guests log and print as well, which then does not go to the log.
    pub fn listening() -> Self {
        Self { listens: true, ..Self::default() }
    }

    /// Takes what was seen so far, in the order in which policies were looked at.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen())
    }

    pub(super) fn listens(&self) -> bool {
        self.listens
    }

    pub(super) fn matched(&self, policy: &str, interface: Interface, explained: Explained) {
        let Explained { asked, why } = explained;
        self.seen().push(Seen { policy: policy.to_owned(), interface, asked, why, called: None });
    }

    pub(super) fn called(&self, policy: &str, interface: Interface, called: Called) {
        let mut seen = self.seen();
        let same = |it: &&mut Seen| it.policy == policy && it.interface == interface;
        if let Some(seen) = seen.iter_mut().find(same) {
            seen.called = Some(called);
        }
    }

    /// Nothing panics while it is held.
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
