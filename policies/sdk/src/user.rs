//! Users.

use std::collections::BTreeMap;

/// Who asks, or who was recognised (authentication.k8s.io/v1 UserInfo).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Unique among all active users, for example `system:serviceaccount:default:builder`.
    pub username: String,
    /// Tells users apart that had the same name at different times.
    pub uid: String,
    /// For example `system:authenticated`.
    pub groups: Vec<String>,
    /// What else the authenticator knows of the user; a key may have several values. Keys are lower case by convention.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A user of this name, in no group.
    pub fn new(username: impl Into<String>) -> Self {
        Self { username: username.into(), ..Self::default() }
    }

    /// Whether the user is in `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|it| it == group)
    }
}
