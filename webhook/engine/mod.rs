//! wasmtime: compiled components, never-used instances, limits and host imports.
//!
//! Owns everything that touches Wasm. Knows the reviews' types, but neither policies' configuration nor HTTP.

mod bindings;
mod cache;
mod code;
mod compiler;
pub(crate) mod contract;
mod convert;
mod failure;
mod imports;
mod lanes;
mod outcome;
mod output;
mod prepare;
mod program;
mod question;
mod runtime;
mod snapshot;
mod state;
mod template;

use std::{collections::BTreeMap, time::Duration};

pub use cache::{Cache, CacheError};
pub use compiler::{Compiler, Priority, answer_parent, limit_memory};
pub use failure::Failure;
pub use output::{Fact, Line};
pub use prepare::{About, PrepareError, Prepared, SettingsError, Source, Start};
pub use program::{Description, Program, ProgramError};
pub use runtime::{Capacity, Engine, EngineError, InUse, MAX_MEMORY};
pub(crate) use snapshot::Instrumented;
pub use template::{Answer, Call, LimitsError, Template};

/// A review interface of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Interface {
    /// TokenReview.
    Authentication,
    /// SubjectAccessReview.
    Authorization,
    /// AdmissionReview, without changes.
    Validating,
    /// AdmissionReview, with changes.
    Mutating,
    /// Events.
    Provider,
}

impl Interface {
    /// All of them, in the order in which they are listed everywhere.
    pub const ALL: [Self; 5] =
        [Self::Authentication, Self::Authorization, Self::Validating, Self::Mutating, Self::Provider];

    /// The name of the interface in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::Validating => "validating",
            Self::Mutating => "mutating",
            Self::Provider => "provider",
        }
    }

    pub(crate) fn exported(self) -> contract::Exported {
        match self {
            Self::Authentication => contract::AUTHENTICATION,
            Self::Authorization => contract::AUTHORIZATION,
            Self::Validating => contract::VALIDATING,
            Self::Mutating => contract::MUTATING,
            Self::Provider => contract::PROVIDER,
        }
    }
}

/// What one review may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Limits {
    /// Wall-clock time of a review, host calls included.
    pub time: Duration,
    /// Bytes: all memories and tables of an instance together.
    pub memory: usize,
    /// Instructions, roughly: the same review always uses the same. None: only time limits it.
    pub fuel: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_millis(500), memory: 64 << 20, fuel: None }
    }
}

/// Which instance answers a review.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Instances {
    /// One that has never seen another review.
    #[default]
    PerReview,
    /// One that may have answered other reviews: faster, and what the guest keeps of one review can reach the next.
    /// Never so for policies that authenticate.
    Reuse,
}

impl Instances {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerReview => "PerReview",
            Self::Reuse => "Reuse",
        }
    }
}

/// What the operator lets a policy have beyond the contract's imports.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Whether what an authenticator prints and logs is kept.
    pub log: bool,
}

/// Values may be secrets.
impl std::fmt::Debug for Grants {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.env.keys().collect();
        formatter.debug_struct("Grants").field("env", &names).field("log", &self.log).finish()
    }
}

/// Where the time of one policy's review went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// Waiting for a free instance.
    pub queue: Duration,
    /// Making the instance and initialising it.
    pub instantiate: Duration,
    /// In the guest, host calls included.
    pub guest: Duration,
    /// All of it, matching and checking the answer included.
    pub whole: Duration,
}

/// What one policy's review took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Where the time went; `whole` is left to the caller, who did more than the call.
    pub timing: Timing,
    /// Bytes of the instance's memories and tables, which never shrink. 0 where there was no instance.
    pub memory: usize,
    /// What the guest logged and printed, if somebody listens; else it went to the log.
    pub log: Vec<Line>,
    /// Bytes that it logged, printed and audited, and that were kept.
    pub kept: u64,
    /// Bytes of it that were dropped, over the cap or for want of a grant.
    pub dropped: u64,
}
