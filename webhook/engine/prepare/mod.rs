//! From bytes and settings to a program: checked against the contract, initialised once, snapshotted, compiled, and kept.
//!
//! Uses what runs programs to initialise them, and never the other way round.

mod cache;
mod child;
mod code;
mod compile;
mod compiler;
mod guest;
mod identity;
mod looks;
mod modules;
mod own_memory;
mod snapshot;
mod split;

pub use cache::{Cache, CacheError};
pub use child::{Priority, answer_parent, limit_memory};
pub use compile::{PrepareError, Prepared, SettingsError, describe};
pub use compiler::Compiler;
pub use guest::{CallError, Guest, GuestError};
pub use identity::{Identity, Source};
pub(crate) use snapshot::Instrumented;
