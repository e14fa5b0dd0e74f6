//! From a program and a review to an outcome: instances as `init` left them, limits, host imports.
//!
//! Knows the reviews' types, but neither where programs come from, nor policies' configuration, nor HTTP.

pub(super) mod bindings;
mod convert;
mod imports;
mod lanes;
mod live;
pub(super) mod module;
mod operation;
pub(super) mod outcome;
pub(super) mod output;
pub(super) mod program;
mod question;
mod queue;
pub(super) mod rewind;
pub(super) mod runtime;
pub(super) mod state;
mod template;

pub use module::{HostCalls, Rego};
pub use program::{About, Description, Program, ProgramError, Start};
pub use runtime::{Capacity, Engine, EngineError, InUse};
pub use template::{Answer, Call, LimitsError, Listen, Template};
