//! What one evaluation may cost, and how an evaluation fails.
//!
//! One step is one node of the expression or one unit of work in a function, tens of nanoseconds each.
//! Every function charges for the bytes and elements that it touches *before* it touches them, so time and memory are
//! bounded by the budget whatever the review holds. Faults never hold values of the review: it may hold tokens.

use std::{borrow::Cow, sync::Arc};

use super::value::Value;

/// Why there is no value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// The budget is spent; `||`, `&&`, `all` and `exists` do not absorb it.
    Spent,
    /// The types of the arguments fit none of the function's overloads.
    Overload,
    /// Anything else, in words for the operator.
    Failed(Cow<'static, str>),
}

pub(super) type Outcome = Result<Value, Fault>;

/// The steps that are left.
pub(super) struct Budget {
    left: u64,
}

impl Budget {
    pub(super) const fn new(steps: u64) -> Self {
        Self { left: steps }
    }

    pub(super) fn charge(&mut self, steps: usize) -> Result<(), Fault> {
        match self.left.checked_sub(steps as u64) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(Fault::Spent)
            }
        }
    }

    /// For reading or writing this many bytes.
    pub(super) fn bytes(&mut self, bytes: usize) -> Result<(), Fault> {
        self.charge(bytes / BYTES_PER_STEP + 1)
    }
}

impl Fault {
    pub(super) fn no_such_key(name: &Arc<str>) -> Self {
        Self::Failed(format!("no such key: {name}").into())
    }
}

/// A failure in fixed words.
pub(super) fn failed<T>(words: &'static str) -> Result<T, Fault> {
    Err(Fault::Failed(Cow::Borrowed(words)))
}

const BYTES_PER_STEP: usize = 32;
