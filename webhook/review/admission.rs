//! AdmissionReview (admission.k8s.io), validating and mutating.

use serde_json::value::RawValue;

use super::user::UserInfo;

/// group, version and kind, for example `apps`, `v1`, `Deployment`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupVersionKind {
    pub group: String,
    pub version: String,
    pub kind: String,
}

/// group, version and resource, for example `apps`, `v1`, `deployments`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupVersionResource {
    pub group: String,
    pub version: String,
    pub resource: String,
}

/// What is being done to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

/// AdmissionRequest. Objects borrow from the body that came in; JSON `null` and absent are `None`.
#[derive(Debug, Clone)]
pub struct AdmissionRequest<'a> {
    pub uid: String,
    pub operation: Operation,
    pub kind: GroupVersionKind,
    pub resource: GroupVersionResource,
    pub subresource: String,
    /// As `kind` where the caller did not say (so too the other `request_` fields).
    pub request_kind: GroupVersionKind,
    pub request_resource: GroupVersionResource,
    pub request_subresource: String,
    pub namespace: String,
    pub name: String,
    pub user: UserInfo,
    pub object: Option<&'a RawValue>,
    pub old_object: Option<&'a RawValue>,
    pub options: Option<&'a RawValue>,
    pub dry_run: bool,
}

/// One thing that is wrong with the object (StatusCause).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    pub field: String,
    pub reason: String,
    pub message: String,
}

/// Why an object may not enter, as a policy said it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denial {
    pub message: String,
    pub code: Option<u16>,
    pub reason: String,
    pub causes: Vec<Cause>,
}

/// One audit annotation, as a policy said it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotation {
    pub key: String,
    pub value: String,
}

/// The answer of one validator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validation {
    pub denial: Option<Denial>,
    pub warnings: Vec<String>,
    pub annotations: Vec<Annotation>,
}

/// The answer of one mutator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    pub outcome: Result<Change, Denial>,
    pub warnings: Vec<String>,
    pub annotations: Vec<Annotation>,
}

/// A change of the object, as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Unchanged,
    /// RFC 6902.
    JsonPatch(String),
    /// RFC 7386.
    MergePatch(String),
    /// The whole new object.
    Full(String),
}
