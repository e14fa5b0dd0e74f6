//! Signatures of components by key, in both formats of cosign: made, wrapped as OCI artifacts, read, and compared with what is required.
//!
//! Pure: bytes in, values out. Knows no registry, no policy, no file and no clock. What is read is hostile: everything is bounded, and
//! nothing counts that a key did not sign. A digest here is that of the artifact's manifest, which names every byte of what is loaded.

pub mod artifact;
pub mod bundle;
mod check;
pub mod key;
pub(crate) mod pem;
pub mod private;
pub mod requirement;
pub mod simple;
mod spki;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;

use self::key::{KeyId, PublicKey};
pub use self::{
    check::{Counted, Miss, Refused, Unmet},
    pem::PemError,
};
use crate::spec::Digest;

/// What a signer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The manifest that is signed.
    pub digest: Digest,
    /// Whatever else the signer wants to be sure of.
    pub annotations: BTreeMap<String, String>,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// cosign's until version 2.
    SimpleSigning,
    /// cosign's since version 3.
    Bundle,
}

impl Format {
    /// What `verdict sign --format` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SimpleSigning => "simplesigning",
            Self::Bundle => "bundle",
        }
    }
}

/// A signature as it was found. Nothing it says is true before a key has made it.
#[derive(Debug, Clone)]
pub struct Signature {
    format: Format,
    /// The bytes that are signed.
    message: Vec<u8>,
    signature: Vec<u8>,
    subjects: Vec<Subject>,
    made: Made,
}

/// What a signature is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Of a manifest.
    pub digest: Digest,
    /// What the signer says of it; only text can be asked for.
    pub annotations: BTreeMap<String, Value>,
}

/// What made a signature, as the signature says; nobody vouches for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It does not say.
    Unknown,
    /// A key.
    Key(KeyId),
    /// The key in a certificate: keyless, unless somebody's own CA made it.
    Certificate,
}

impl Signature {
    /// How it is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What it is about; at least one.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// What made it, as it says itself.
    pub fn made(&self) -> Made {
        self.made
    }

    /// Whether this key made it. What it says is then what the key's owner said.
    pub fn is_by(&self, key: &PublicKey) -> bool {
        key.made(&self.signature, &self.message)
    }
}

/// Why something that lies where signatures lie is none that counts. The words hold at most a few that its author chose, cleaned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// More than is looked at.
    #[error("it is larger than {MAX_SIZE} bytes, or what it signs is larger than {MAX_MESSAGE}")]
    Large,
    /// Damaged, or made by another program.
    #[error("{0}")]
    Malformed(&'static str),
    /// Something else, and rightly there.
    #[error("it {0}")]
    Other(String),
}

/// The signatures that were found of one artifact, of which at most [`MOST`] are kept.
#[derive(Debug, Clone, Default)]
pub struct Found {
    signatures: Vec<Signature>,
    /// Why the first that could not be read could not.
    unreadable: Option<Unreadable>,
    unreadables: usize,
    passed_over: usize,
}

impl Found {
    /// One more, or why it is none.
    pub fn add(&mut self, found: Result<Signature, Unreadable>) {
        match found {
            _ if self.signatures.len() + self.unreadables >= MOST => self.passed_over += 1,
            Ok(signature) => self.signatures.push(signature),
            Err(why) => {
                self.unreadables += 1;
                self.unreadable.get_or_insert(why);
            }
        }
    }

    /// Those that could be read.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Whether more would be passed over: nobody needs to fetch them.
    pub fn is_full(&self) -> bool {
        self.signatures.len() + self.unreadables >= MOST
    }
}

/// Signatures of one artifact that are looked at, those that cannot be read included.
pub const MOST: usize = 64;
/// Bytes of one blob of a signature.
pub const MAX_SIZE: usize = 1 << 20;
/// Bytes that a signature is over: each is compared with every key.
pub const MAX_MESSAGE: usize = 64 << 10;
