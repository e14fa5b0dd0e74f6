//! Where in a cluster a value stands: a key of a ConfigMap or of a Secret.

use std::fmt;

/// A key of an object. Of which namespace follows from the policy that refers to it: a namespaced one's own, else the server's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueRef {
    /// What kind of object it is.
    pub kind: ValueKind,
    /// The object's name: a DNS subdomain.
    pub name: String,
    /// The key in its `data` (or `binaryData`): letters, digits, `-`, `_` and `.`.
    pub key: String,
}

impl ValueRef {
    /// None: nothing in a cluster is called so. What this gives can stand in a path as it is.
    pub fn new(kind: ValueKind, name: &str, key: &str) -> Option<Self> {
        let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
        let is_label = |it: &str| {
            let ends = it.bytes().next().is_some_and(plain) && it.bytes().next_back().is_some_and(plain);
            ends && it.bytes().all(|it| plain(it) || it == b'-')
        };
        let fits = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
        let is_key = !key.is_empty() && key != "." && !key.starts_with("..") && key.bytes().all(fits);
        let is = name.split('.').all(is_label) && is_key && name.len().max(key.len()) <= LONGEST;
        is.then(|| Self { kind, name: name.to_owned(), key: key.to_owned() })
    }
}

/// What holds values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueKind {
    /// Anybody who may read the namespace may know it.
    ConfigMap,
    /// Nobody may.
    Secret,
}

impl ValueKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ConfigMap, Self::Secret];

    /// As Kubernetes spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    /// The field that refers to one.
    pub fn field(self) -> &'static str {
        match self {
            Self::ConfigMap => "configMapKeyRef",
            Self::Secret => "secretKeyRef",
        }
    }
}

/// Bytes of a name, and of a key.
const LONGEST: usize = 253;

impl fmt::Display for ValueRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {} of {} {}", self.key, self.kind.name(), self.name)
    }
}
