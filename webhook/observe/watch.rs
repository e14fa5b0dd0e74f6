//! What each policy did in one request, for whoever tries policies out. The server never looks.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::PolicyEvent;
use crate::spec::{Fact, Kind, Outcome, Usage};

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
    pub kind: Kind,
    /// Whether what it says is only heard by its group.
    pub is_member: bool,
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
    /// What came of it.
    pub outcome: Outcome,
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

    pub(crate) fn listens(&self) -> bool {
        self.listens
    }

    /// A policy was looked at.
    pub(crate) fn matched(&self, policy: &str, kind: Kind, asked: bool, why: impl FnOnce() -> String) {
        let why = if self.explains { why() } else { String::new() };
        self.seen().push(Seen {
            policy: policy.to_owned(),
            kind,
            is_member: false,
            asked,
            why,
            called: None,
            facts: Vec::new(),
        });
    }

    /// A member is asked, since the expression of its group comes to it.
    pub(crate) fn member(&self, policy: &str, kind: Kind) {
        self.matched(policy, kind, true, || "the expression of its group comes to it".to_owned());
        if let Some(seen) = self.seen().last_mut() {
            seen.is_member = true;
        }
    }

    pub(super) fn decided(&self, event: PolicyEvent<'_>) {
        let PolicyEvent { kind, policy, outcome, usage, facts, .. } = event;
        let same = |it: &&mut Seen| it.policy == policy && it.kind == kind;
        if let Some(seen) = self.seen().iter_mut().find(same) {
            seen.called = Some(Called { outcome, usage });
            seen.facts = facts;
        }
    }

    /// Nothing panics while it is held.
    fn seen(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
