//! What of the server a policy may call, besides what its language's runtime needs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An interface of the server that every policy may import, and does only where its manifest says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Import {
    /// Lines of the server's log.
    Log,
    /// Facts about a review, as structured lines of the log.
    AuditLog,
    /// The raw review, which is copied for every call of a policy that imports it.
    Review,
}

impl Import {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Log, Self::AuditLog, Self::Review];
    /// Those of a policy that does not say.
    pub const DEFAULT: [Self; 2] = [Self::Log, Self::AuditLog];

    /// As manifests and the contract spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::AuditLog => "audit-log",
            Self::Review => "review",
        }
    }
}
