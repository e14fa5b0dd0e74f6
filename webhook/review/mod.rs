//! The three reviews as kube-apiserver sends them and wants them answered, in v1 and v1beta1.
//!
//! Owns the wire format: what is accepted, what is refused with which words, and how a verdict becomes a review in
//! the version that came in. Kubernetes objects stay raw JSON text. Knows nothing of HTTP, policies or Wasm.

pub mod access;
pub mod admission;
pub mod token;
pub mod user;
pub mod verdict;

use serde::{Deserialize, Deserializer};

/// The version of a review's API group that came in, and in which it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1,
    V1Beta1,
}

/// A review together with the version in which it came.
#[derive(Debug, Clone)]
pub struct Envelope<T> {
    pub version: Version,
    pub review: T,
}

/// Why a body is not a review: short words for the caller, without any of the body's secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// Go clients write `null` for empty slices and maps.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
