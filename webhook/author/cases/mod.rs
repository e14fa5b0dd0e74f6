//! An author's cases, `kind: PolicyTest`: read, asked of a policy with the server's own engine, and compared.
//!
//! Owns the format of the cases and what their answers are compared with. Knows neither terminals nor exit codes, and
//! decides nothing of what a policy answers: that is [`crate::policy`].

mod came;
mod compare;
mod document;
mod expect;
mod files;
pub mod object;
pub mod report;
mod run;
mod snapshot;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use std::{collections::BTreeMap, path::PathBuf, time::SystemTime};

pub use compare::{Came, Mismatch};
pub use expect::{Expect, Verdict};
pub use files::{Suite, read};
pub use run::{Done, Example, Results, Runner, unused};

use crate::spec::Limits;

/// One question and what is expected to come of it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file that it stands in.
    pub file: PathBuf,
    /// As its author calls it; no other case of the file is called so.
    pub name: String,
    /// What is asked.
    pub setup: Setup,
    /// The review, or the event, as JSON.
    pub review: String,
    /// What time it is for the policies; None: that of this machine's clock.
    pub now: Option<SystemTime>,
    /// What should come of it.
    pub expect: Expect,
    /// Whether a changed object must stay as it is when it is asked about again.
    pub idempotent: bool,
}

/// Which policies a case asks. Those that agree are loaded once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Setup {
    /// Files of policies; empty: the author's own policy.
    pub policies: Vec<PathBuf>,
    /// A JSON object as text; None: not given.
    pub settings: Option<String>,
    /// Environment variables that are granted.
    pub env: BTreeMap<String, String>,
    /// What a review of the author's own policy may use.
    pub limits: Limits,
}
