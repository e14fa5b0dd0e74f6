//! wasmtime: compiled components, never-used instances, limits and host imports.
//!
//! Owns everything that touches Wasm. Knows the reviews' types, but neither policies' configuration nor HTTP.

mod bindings;
mod cache;
mod code;
mod compiler;
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

use std::time::Duration;

pub use cache::{Cache, CacheError};
pub use compiler::{Compiler, Priority, answer_parent, limit_memory};
pub use failure::Failure;
pub use output::{Fact, Line};
pub use prepare::{About, PrepareError, Prepared, SettingsError, Source, Start};
pub use program::{Description, Program, ProgramError};
pub use runtime::{Capacity, Engine, EngineError, InUse};
pub(crate) use snapshot::Instrumented;
pub use template::{Answer, Call, LimitsError, Template};

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
