//! SubjectAccessReview and its answers.

use crate::User;

/// authorization.k8s.io/v1 SubjectAccessReviewSpec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectAccessReview {
    /// Who wants to do it.
    pub user: User,
    /// What.
    pub attributes: Attributes,
}

/// A review asks about either a resource or a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attributes {
    /// A resource of the Kubernetes API.
    Resource(ResourceAttributes),
    /// A path such as `/healthz`.
    NonResource(NonResourceAttributes),
}

/// What is asked about a resource. An empty string means "not given".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceAttributes {
    /// get, list, watch, create, update, patch, delete, deletecollection, or a special one such as `impersonate`; `*` means all.
    pub verb: String,
    /// Empty for the core group.
    pub group: String,
    /// For example `v1`.
    pub version: String,
    /// In the plural, for example `pods`.
    pub resource: String,
    /// For example `log` of `pods/log`.
    pub subresource: String,
    /// Empty for cluster-scoped resources, and for "all namespaces".
    pub namespace: String,
    /// Empty for "all names".
    pub name: String,
    /// Narrows a list, watch or deletecollection. A policy may ignore it, since it only narrows.
    pub field_selector: Vec<SelectorRequirement>,
    /// As `field_selector`, over labels.
    pub label_selector: Vec<SelectorRequirement>,
}

/// What is asked about a path that is no resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NonResourceAttributes {
    /// An HTTP method in lower case.
    pub verb: String,
    /// For example `/healthz`.
    pub path: String,
}

/// One requirement of a selector. All requirements of a selector must hold. One whose operator the server does not know is
/// left out, which widens what is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectorRequirement {
    /// A label, or a field such as `spec.nodeName`.
    pub key: String,
    /// How it compares.
    pub operator: SelectorOperator,
    /// Empty for `Exists` and `DoesNotExist`.
    pub values: Vec<String>,
}

/// How a selector requirement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelectorOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// What an authorizer decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Ends the question.
    Allow,
    /// Ends the question, also for RBAC if that is asked later.
    Deny,
    /// The next authorizer is asked.
    NoOpinion,
}

/// The answer of an authorizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    pub decision: Decision,
    /// Shown to the user on denial, and kept in the audit log.
    pub reason: String,
}

impl Ruling {
    /// Allowed, because of this.
    pub fn allow(reason: impl Into<String>) -> Self {
        Self { decision: Decision::Allow, reason: reason.into() }
    }

    /// Denied, because of this; nobody else is asked.
    pub fn deny(reason: impl Into<String>) -> Self {
        Self { decision: Decision::Deny, reason: reason.into() }
    }

    /// The next authorizer is asked.
    pub fn no_opinion() -> Self {
        Self { decision: Decision::NoOpinion, reason: String::new() }
    }

    /// As `no_opinion`, with a reason that the user sees if nobody allows.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }
}
