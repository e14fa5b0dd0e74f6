//! Changes of objects of a cluster, and who acts on them.

use serde::{Deserialize, Serialize};

use super::LabelSelector;

/// Objects of whose changes a provider is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSource {
    /// `apps/v1`, or `v1` of the core group.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Empty: all, or the objects belong to none.
    pub namespaces: Vec<String>,
    /// None: all.
    pub label_selector: Option<LabelSelector>,
    /// What of it is told; never empty.
    pub on: Vec<ChangeType>,
}

/// What happened to an object. By the names of watch events (k8s.io/apimachinery `watch.EventType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChangeType {
    /// It is there, and was not before.
    Added,
    /// It is another one than before.
    Modified,
    /// It is gone.
    Deleted,
}

impl ChangeType {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Added, Self::Modified, Self::Deleted];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Of the account.
    pub namespace: String,
    /// Of the account.
    pub name: String,
}

impl Account {
    /// As kube-apiserver calls it (k8s.io/apiserver `serviceaccount.MakeUsername`).
    pub fn username(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}
