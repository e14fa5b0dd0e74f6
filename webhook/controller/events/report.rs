//! How it stands with the changes that a provider is told of: what becomes of it in the object's status.

use std::collections::BTreeMap;

/// Of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::controller) struct Report {
    /// Of which generation of the object.
    pub(in crate::controller) generation: i64,
    /// How its objects are watched.
    pub(in crate::controller) watching: Watching,
    /// What was given up, by the names of objects, and why.
    pub(in crate::controller) dead: BTreeMap<String, String>,
}

/// How objects are watched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::controller) enum Watching {
    /// Not all of them yet.
    #[default]
    Beginning,
    /// All of them are.
    Running,
    /// Some of them cannot be: the reason in one word, and for people.
    Trouble(&'static str, String),
    /// Nothing is told any more until the object changes; why.
    Paused(String),
}

/// The reason of the condition of a provider that is paused.
pub(in crate::controller) const PAUSED: &str = "Paused";
/// Objects whose changes were given up that are remembered by name.
pub(super) const MOST_DEAD: usize = 100;
