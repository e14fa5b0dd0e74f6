//! What only authors need: a new policy's folder, components from sources, cases, documentation.
//!
//! No review that a server answers comes through here.

pub mod build;
pub mod cases;
pub mod docs;
pub mod new;

/// Says what goes on while an author waits: an event, for whoever shows it.
fn tell(words: &str) {
    tracing::info!(target: TOLD, "{words}");
}

/// The target of events that are for the author who waits, and not for a log.
pub const TOLD: &str = "author";
