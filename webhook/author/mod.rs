//! What only authors need: a new policy's folder, components from sources, cases, documentation.
//!
//! No review that a server answers comes through here.

pub mod build;
pub mod cases;
pub mod docs;
pub mod new;
