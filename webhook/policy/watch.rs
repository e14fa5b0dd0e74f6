//! What each policy did in one request, for whoever tries policies out. The server never looks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::spec::{Fact, Failure, Interface, Usage};

/// Sees the policies of one request.
#[derive(Default)]
pub struct Watch {
    seen: Mutex<Vec<Seen>>,
    listens: bool,
    /// Words cost time.
    explains: bool,
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
    /// Which rule, selector or condition decided that, in words; empty if nobody wants to know.
    pub why: String,
    /// How it went, if it was asked.
    pub called: Option<Called>,
    /// What it wrote to the audit log. Of an AdmissionReview these are annotations instead.
    pub facts: Vec<Fact>,
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
    pub fn listening(self) -> Self {
        Self { listens: true, ..self }
    }

    /// Tells why each policy was asked or not.
    pub fn explaining(self) -> Self {
        Self { explains: true, ..self }
    }

    /// Takes what was seen so far, in the order in which policies were looked at.
    pub fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen())
    }

    pub(super) fn listens(&self) -> bool {
        self.listens
    }

    pub(super) fn matched(&self, policy: &str, interface: Interface, asked: bool, why: impl FnOnce() -> String) {
        let why = if self.explains { why() } else { String::new() };
        self.seen().push(Seen { policy: policy.to_owned(), interface, asked, why, called: None, facts: Vec::new() });
    }

    pub(super) fn called(&self, policy: &str, interface: Interface, called: Called) {
        self.of(policy, interface, |seen| seen.called = Some(called));
    }

    pub(super) fn wrote(&self, policy: &str, interface: Interface, facts: Vec<Fact>) {
        self.of(policy, interface, |seen| seen.facts = facts);
    }

    fn of(&self, policy: &str, interface: Interface, change: impl FnOnce(&mut Seen)) {
        let same = |it: &&mut Seen| it.policy == policy && it.interface == interface;
        if let Some(seen) = self.seen().iter_mut().find(same) {
            change(seen);
        }
    }

    /// Nothing panics while it is held.
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
