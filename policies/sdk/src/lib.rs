//! Write Verdict policies in Rust.
//!
//! A policy is a type that is built once from its settings ([`Policy`]), and one trait per kind of review that it
//! answers: [`Authenticator`], [`Authorizer`], [`Validator`], [`Mutator`], [`Provider`], [`Controller`]. [`export!`] makes a
//! component of it. Everything is plain Rust, so that unit tests run natively ([`testing`]); only what
//! [`export!`] makes knows Wasm.
//!
//! Objects of Kubernetes are types of your own, with the fields that matter: what a type does not have is not read, which is
//! quick. With the feature `k8s-openapi` they can be those of that crate, re-exported as `verdict_sdk::k8s_openapi`: in Cargo.toml
//! `verdict-policy-sdk = { path = "…", features = ["k8s-openapi"] }`, in the policy
//! `request.object::<verdict_sdk::k8s_openapi::api::core::v1::Pod>()`. The feature `allocator`, which is on, is for policies that
//! bring no allocator of their own.

mod access;
mod admission;
mod changes;
mod error;
mod export;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod generated;
mod host;
mod path;
mod policy;
mod settings;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod token;
mod user;

pub use access::{
    Attributes, Decision, NonResourceAttributes, ResourceAttributes, Ruling, SelectorOperator, SelectorRequirement,
    SubjectAccessReview,
};
pub use admission::{
    change::{Change, Mutation, Patch, pointer},
    request::{AdmissionRequest, GroupVersionKind, GroupVersionResource, Operation, Requested},
    verdict::{Annotation, Cause, Denial, Validation},
};
pub use changes::{Action, ChangeType, ObjectChange, ObjectEvent, ObjectKey, ObjectPatch, PatchType};
pub use error::Error;
pub use host::{audit, log, review};
#[cfg(feature = "k8s-openapi")]
pub use k8s_openapi;
pub use path::FieldPath;
pub use policy::{Authenticator, Authorizer, Cleanup, Controller, Mutator, Policy, Provider, Validator};
pub use serde;
pub use serde_json;
pub use settings::{NoSettings, SettingsError};
pub use token::{Authentication, Identity, Token, TokenReview};
pub use user::User;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use export::rt;
