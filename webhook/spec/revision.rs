//! Which version of an object of a cluster something is.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::Digest;

/// Of an object of a cluster: the same text for replicas that have the same of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// metadata.generation: counts changes of the spec.
    pub generation: i64,
    /// Of all else that makes it what it is: that it is this object and no other of its name, and the values that it takes from elsewhere.
    pub beside: Digest,
    /// Whether kube-apiserver may have been told to ask it. Then, where it never loaded, it fails; else it is as if it were not there.
    pub is_registered: bool,
}

impl Revision {
    /// `values`: what it takes from elsewhere, each in the version that was read.
    pub fn new(uid: &str, generation: i64, values: &[String], is_registered: bool) -> Self {
        let beside = Digest(Sha256::digest(format!("{uid}\n{}", values.join("\n"))).into());
        Self { generation, beside, is_registered }
    }

    /// Whether both are the same version.
    pub fn is(&self, other: &Self) -> bool {
        (self.generation, self.beside) == (other.generation, other.beside)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let beside = self.beside.to_string();
        write!(f, "{}-{}", self.generation, beside.get(..8).unwrap_or_default())
    }
}
