//! Where components come from: bytes and their digest.

use std::{borrow::Cow, path::PathBuf};

use crate::config::schema::ComponentRef;

/// Largest component that is read: 100 MiB.
pub const MAX_SIZE: u64 = 100 << 20;

/// A component as it was found, not yet looked at.
#[derive(Clone)]
pub struct Component {
    /// The binary.
    pub bytes: Cow<'static, [u8]>,
    /// SHA-256 of the bytes.
    pub digest: [u8; 32],
}

/// Why there are no bytes to run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be opened or read.
    #[error("{path}: cannot be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Reads the component that `reference` names, and checks its size and digest.
pub fn load(reference: &ComponentRef) -> Result<Component, LoadError> {
    let _ = reference;
    todo!()
}
