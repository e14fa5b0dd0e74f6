//! The three reviews as kube-apiserver sends them and wants them answered, in v1 and v1beta1.
//!
//! Owns the wire format: what is accepted, what is refused with which words, and how a verdict becomes a review in
//! the version that came in; and of changes of objects, with what is to be done about them. Kubernetes objects stay raw JSON text, except in [`patch`], which changes them. What a
//! policy said goes through [`clean`] before it is written, and [`together`] where there are several. Knows nothing of HTTP, policies or Wasm.

pub mod access;
pub mod action;
pub mod admission;
pub mod causes;
pub mod change;
pub mod clean;
mod decode;
mod malformed;
pub mod patch;
pub mod projection;
pub mod seen;
mod skip;
pub mod together;
pub mod token;
pub mod user;
pub mod verdict;

pub use decode::kind;
pub use malformed::{Found, Malformed, Position};

/// The kinds of reviews.
pub const KINDS: [&str; 3] = [token::KIND, access::KIND, admission::KIND];

/// The version of a review's API group that came in, and in which it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `v1`.
    V1,
    /// `v1beta1`, still the default of kube-apiserver's webhook version flags.
    V1Beta1,
}

/// A review together with the version in which it came.
#[derive(Debug, Clone)]
pub struct Envelope<T> {
    /// The version to answer in.
    pub version: Version,
    /// What is asked.
    pub review: T,
}

impl Version {
    /// As it is written after the slash of an `apiVersion`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V1Beta1 => "v1beta1",
        }
    }

    fn of(self, group: &str) -> String {
        format!("{group}/{}", self.name())
    }
}

/// JSON of an answer. Writing plain structs with string keys to memory cannot fail; if it did, an empty body is no verdict.
fn written(answer: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(answer).unwrap_or_default()
}
