//! wasmtime: compiled components, never-used instances, limits and host imports.
//!
//! Owns everything that touches Wasm. Knows the reviews' types, but neither policies' configuration nor HTTP.

mod bindings;
mod cache;
mod code;
mod compiler;
mod convert;
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

pub use cache::{Cache, CacheError};
pub use compiler::{Compiler, Priority, answer_parent, limit_memory};
pub use prepare::{About, PrepareError, Prepared, SettingsError, Source, Start};
pub use program::{Description, Program, ProgramError};
pub use runtime::{Capacity, Engine, EngineError, InUse};
pub(crate) use snapshot::Instrumented;
pub use template::{Answer, Call, LimitsError, Template};
