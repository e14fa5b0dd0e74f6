//! From bytes and settings to a program: checked against the contract, initialised once, snapshotted, compiled, and kept.
//!
//! Uses what runs programs to initialise them, and never the other way round.

pub(super) mod cache;
pub(super) mod code;
pub(super) mod compile;
pub(super) mod compiler;
pub(super) mod snapshot;

pub use cache::{Cache, CacheError};
pub use compile::{PrepareError, Prepared, SettingsError, Source};
pub use compiler::{Compiler, Priority, answer_parent, limit_memory};
pub(crate) use snapshot::Instrumented;
