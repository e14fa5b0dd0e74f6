//! What the evaluation of conditions may use up, and the ways in which it ends without a value.
//!
//! Cost is Kubernetes' own measure of an expression. It leaves out much work and all memory, so both are counted beside
//! it: work only to look at the clock in time, memory against a bound of its own. Every function charges for what it
//! reads and builds *before* it does so. Faults never hold values of the review: it may hold tokens.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use super::{
    Subject,
    large::{Held, Room},
    list::List,
    value::Value,
};

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unevaluated {
    /// It used up its cost or memory, in these words. An object can be inflated to cause it.
    Limit(&'static str),
    /// The deadline of the budget passed.
    Deadline,
    /// An error of the expression, such as a missing key; words for the operator, without values of the review.
    Failed(String),
}

impl fmt::Display for Unevaluated {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(words) => out.write_str(words),
            Self::Deadline => out.write_str("the deadline passed while it was evaluated"),
            Self::Failed(words) => out.write_str(words),
        }
    }
}

/// What the conditions of one policy may use up on one review, together.
pub struct Budget {
    deadline: Instant,
    /// Units of work until the clock is looked at again.
    until_clock: usize,
    /// Bytes that values may still take.
    memory: usize,
    /// For what the expression is, and whether it has room for much.
    subject: Subject,
    large: Option<Held>,
    /// Bytes of rows that were made of joined lists and live: they count as memory too.
    rows: Option<Arc<AtomicUsize>>,
    /// Cost of the expression that runs, and what it may come to.
    spent: u64,
    limit: u64,
    /// What all expressions of the policy together may still come to.
    policy: u64,
}

impl Budget {
    /// For all conditions of a policy on one review. `deadline` is looked at about every 100 microseconds.
    pub fn new(deadline: Instant) -> Self {
        let (spent, limit) = (0, 0);
        let (memory, policy) = (MEMORY, PER_POLICY);
        let (subject, large) = (Subject::Admission, None);
        Self { deadline, until_clock: 0, memory, subject, large, rows: None, spent, limit, policy }
    }

    /// Before each expression. Only those on admission share the cost of a policy, as in Kubernetes.
    pub(super) fn begin(&mut self, subject: Subject) {
        self.memory = MEMORY;
        self.subject = subject;
        self.policy = self.policy.saturating_sub(self.spent);
        self.spent = 0;
        self.limit = if subject == Subject::Admission { PER_EXPRESSION.min(self.policy) } else { PER_EXPRESSION };
    }

    /// After it: nothing that it built is left.
    pub(super) fn end(&mut self) {
        self.large = None;
    }

    /// By Kubernetes' measure.
    pub(super) fn cost(&mut self, units: u64) -> Result<(), Fault> {
        self.spent = self.spent.saturating_add(units);
        if self.spent <= self.limit {
            return Ok(());
        }
        Err(Fault::Limit(if self.limit < PER_EXPRESSION { OUT_OF_POLICY_COST } else { OUT_OF_COST }))
    }

    /// The cost of the expression that ran last, or of the one that runs so far.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// For this much work, in steps of some tens of nanoseconds.
    pub(super) fn charge(&mut self, steps: usize) -> Result<(), Fault> {
        match self.until_clock.checked_sub(steps) {
            Some(left) => {
                self.until_clock = left;
                Ok(())
            }
            None if Instant::now() >= self.deadline => Err(Fault::Deadline),
            None => {
                self.until_clock = STEPS_PER_LOOK;
                Ok(())
            }
        }
    }

    /// For reading or writing this many bytes.
    pub(super) fn bytes(&mut self, bytes: usize) -> Result<(), Fault> {
        self.charge(bytes / BYTES_PER_STEP + 1)
    }

    /// For a value of this many bytes that is about to be built.
    pub(super) fn memory(&mut self, bytes: usize) -> Result<(), Fault> {
        let rows = self.rows.as_ref().map_or(0, |rows| rows.load(Ordering::Relaxed));
        let Some(left) = self.memory.checked_sub(bytes).filter(|left| rows <= *left) else {
            return Err(Fault::Limit(OUT_OF_MEMORY));
        };
        if MEMORY - left + rows > SMALL && self.large.is_none() {
            self.large = Some(Room::of(self.subject).enter(self.deadline).ok_or(Fault::Deadline)?);
        }
        self.memory = left;
        Ok(())
    }

    /// The count of what joined lists take.
    pub(super) fn rows(&mut self) -> &Arc<AtomicUsize> {
        self.rows.get_or_insert_default()
    }

    /// What [`Budget::keep`] may go back to.
    pub(super) fn mark(&self) -> usize {
        self.memory
    }

    /// Gives back what was taken since `mark` for values that `result` does not hold.
    pub(super) fn keep(&mut self, mark: usize, result: &Value) -> Result<(), Fault> {
        let least = match result {
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            // What they hold was taken by whoever built it.
            Value::List(List::Row(row)) => (mark - self.memory).max(size_of_val(&row[..])),
            Value::List(_) | Value::Map(_) | Value::Optional(_) | Value::Url(_) | Value::Semver(_) => {
                mark - self.memory
            }
            _ => 0,
        };
        self.memory = mark;
        self.memory(least)
    }
}

/// Why there is no value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// Cost or memory is used up; `||`, `&&`, `all` and `exists` absorb neither this nor the deadline.
    Limit(&'static str),
    Deadline,
    /// The types of the arguments fit none of the function's overloads.
    Overload,
    /// Anything else, in words for the operator.
    Failed(Cow<'static, str>),
}

pub(super) type Outcome = Result<Value, Fault>;

impl Fault {
    pub(super) fn no_such_key(name: &Arc<str>) -> Self {
        Self::Failed(format!("no such key: {name}").into())
    }

    /// Whether it is an error of the expression, which a decided `||` or `&&` outweighs.
    pub(super) fn is_absorbed(&self) -> bool {
        matches!(self, Self::Overload | Self::Failed(_))
    }
}

impl From<Fault> for Unevaluated {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Limit(words) => Self::Limit(words),
            Fault::Deadline => Self::Deadline,
            Fault::Overload => Self::Failed("no such overload".to_owned()),
            Fault::Failed(words) => Self::Failed(words.into_owned()),
        }
    }
}

/// A failure in fixed words.
pub(super) fn failed<T>(words: &'static str) -> Result<T, Fault> {
    Err(Fault::Failed(Cow::Borrowed(words)))
}

/// Kubernetes' `PerCallLimit` and `RuntimeCELCostBudgetMatchConditions`.
const PER_EXPRESSION: u64 = 1_000_000;
const PER_POLICY: u64 = 2_500_000;
const OUT_OF_COST: &str = "the expression costs too much on this review";
const OUT_OF_POLICY_COST: &str = "the policy's conditions together cost too much on this review";
const OUT_OF_MEMORY: &str = "the expression builds values that are too large on this review";
/// Bytes that one expression may build.
pub(super) const MEMORY: usize = 128 * 1024 * 1024;
/// Bytes that it may build while others build more.
pub(super) const SMALL: usize = 1024 * 1024;
const STEPS_PER_LOOK: usize = 2_000;
const BYTES_PER_STEP: usize = 32;
