//! Where components come from: bytes and their digest.
//!
//! Owns the reading, the size limit and the check of a pinned digest. Knows neither what a component contains nor
//! the policy that wants it.

pub mod builtin;
mod components;
mod faults;
pub(crate) mod file;
pub mod layout;
pub mod registry;
mod remote;
mod signatures;

use std::path::PathBuf;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::{
    signature::Refused,
    spec::{ComponentRef, Digest, Location},
};
pub use components::Components;
pub use file::ReadError;
use layout::LayoutError;
use registry::RegistryError;
pub use signatures::signatures_of;

/// Largest component that is read, in bytes: 100 MiB.
pub const MAX_SIZE: u64 = 100 << 20;

/// A component as it was found, not yet looked at.
#[derive(Clone)]
pub struct Component {
    /// The binary.
    pub bytes: Bytes,
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// Of an image, the digest of its manifest.
    pub manifest: Option<Digest>,
}

impl Component {
    /// These bytes, whatever they are.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let digest = Digest(Sha256::digest(&bytes).into());
        Self { bytes, digest, manifest: None }
    }

    /// If it is what the reference pins.
    fn pinned(self, reference: &ComponentRef) -> Result<Self, LoadError> {
        match reference.digest {
            Some(pinned) if pinned != self.digest => {
                Err(LoadError::Digest { component: reference.location.to_string(), found: self.digest, pinned })
            }
            _ => Ok(self),
        }
    }
}

/// Why there are no bytes to run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, part of the message.
        error: ReadError,
    },
    /// No component of this name is compiled into this binary.
    #[error("builtin:{name} does not exist; there are {}", available.join(", "))]
    Builtin {
        /// What was asked for.
        name: String,
        /// What there is.
        available: Vec<&'static str>,
    },
    /// The bytes are not those that the reference pins.
    #[error("the digest of {component} is sha256:{found}, but the policy pins sha256:{pinned}")]
    Digest {
        /// The reference without its digest.
        component: String,
        /// Of the bytes.
        found: Digest,
        /// In the reference.
        pinned: Digest,
    },
    /// It had to be fetched, and could not.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It is not here yet.
    #[error("{0} is being fetched")]
    Missing(String),
}

/// Why something could not be fetched.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// A registry, or who serves a URL, did not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It could not be kept.
    #[error("what was fetched cannot be kept: {0}")]
    Kept(String),
    /// Somebody must have signed it, and did not.
    #[error("{component} is not signed as {by} requires: {refused}")]
    Unverified {
        /// The image.
        component: String,
        /// Where it is said who must have signed.
        by: &'static str,
        /// What is not there.
        refused: Box<Refused>,
    },
    /// Nothing can be signed but what is in a registry.
    #[error("{0} is no image of a registry, and only those have signatures, which {by} requires of all but builtin components", by = VERIFICATION_CONFIG)]
    Unsignable(String),
    /// There is nowhere to keep it.
    #[error("{0} is not fetched: --cache-dir is needed to keep it")]
    Nowhere(String),
}

impl From<LayoutError> for FetchError {
    fn from(error: LayoutError) -> Self {
        Self::Kept(error.to_string())
    }
}

/// The flag that says who must have signed everything.
const VERIFICATION_CONFIG: &str = "--verification-config";

/// Reads the component that `reference` names on this machine, and checks its size and digest.
fn local(reference: &ComponentRef) -> Result<Component, LoadError> {
    let bytes = match &reference.location {
        Location::File(path) => match file::read(path, MAX_SIZE) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) => {
                return Err(LoadError::Read { path: path.clone(), error });
            }
        },
        Location::Builtin(name) => match builtin::find(name) {
            Some(builtin) => Bytes::from_static(builtin.component),
            None => {
                return Err(LoadError::Builtin {
                    name: name.clone(),
                    available: builtin::all().iter().map(|it| it.name).collect(),
                });
            }
        },
        Location::Given(given) => {
            return Ok(Component { bytes: given.bytes().clone(), digest: given.digest(), manifest: None });
        }
        Location::Image(_) | Location::Url(_) => return Err(FetchError::Nowhere(reference.location.to_string()).into()),
    };
    Component::new(bytes).pinned(reference)
}

#[cfg(test)]
mod tests;
