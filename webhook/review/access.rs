//! SubjectAccessReview (authorization.k8s.io).

use super::user::UserInfo;

/// What is asked: SubjectAccessReviewSpec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectAccessReview {
    /// Who wants to do it.
    pub user: UserInfo,
    /// What is to be done.
    pub attributes: Attributes,
}

/// A review asks about either a resource or a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attributes {
    /// A resource.
    Resource(ResourceAttributes),
    /// A path that is no resource.
    NonResource(NonResourceAttributes),
}

/// ResourceAttributes; absent fields are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceAttributes {
    pub verb: String,
    pub group: String,
    pub version: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    pub field_selector: Vec<Requirement>,
    pub label_selector: Vec<Requirement>,
}

/// NonResourceAttributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NonResourceAttributes {
    pub verb: String,
    pub path: String,
}

/// One requirement of a field or label selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
    pub values: Vec<String>,
}

/// How a requirement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// The answer of one authorizer, and of all together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    pub decision: Decision,
    /// Shown to the user on denial.
    pub reason: String,
}

/// Allow and deny end the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Allow,
    Deny,
    NoOpinion,
}
