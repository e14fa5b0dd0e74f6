//! What a policy is asked about: Kubernetes' rules, selectors and conditions, as values.

use std::collections::BTreeMap;

/// spec.matchConstraints and spec.matchConditions, as written (already checked for shape).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatchSpec {
    /// The one namespace of a namespaced policy: it is asked only about what is in it. A Namespace itself is in none.
    pub only_namespace: Option<String>,
    /// `matchPolicy: Exact`: rules are compared with what was asked for, not with what kube-apiserver made of it for a rule.
    pub exact: bool,
    /// Admission only. Empty means every resource that is sent to the server.
    pub resource_rules: Vec<ResourceRule>,
    /// These win over `resource_rules`.
    pub exclude_resource_rules: Vec<ResourceRule>,
    /// Only on the label `kubernetes.io/metadata.name`, unless the object is a cluster's: then on any.
    pub namespace_selector: Option<LabelSelector>,
    /// On the labels of the object, old or new.
    pub object_selector: Option<LabelSelector>,
    /// All must be true.
    pub match_conditions: Vec<MatchCondition>,
}

/// admissionregistration.k8s.io/v1 NamedRuleWithOperations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceRule {
    /// Empty text is the core group; `*` is all.
    pub api_groups: Vec<String>,
    /// `*` is all.
    pub api_versions: Vec<String>,
    /// `pods`, `pods/status`, `*`, `*/*`, `pods/*`, `*/scale`.
    pub resources: Vec<String>,
    /// CREATE, UPDATE, DELETE, CONNECT or `*`.
    pub operations: Vec<String>,
    /// Empty: all names.
    pub resource_names: Vec<String>,
    /// Cluster-scoped, namespaced or both.
    pub scope: Scope,
}

/// Which objects a rule means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// Both.
    #[default]
    All,
    /// Cluster-scoped ones; namespaces themselves are.
    Cluster,
    /// Those in a namespace.
    Namespaced,
}

impl Scope {
    /// As Kubernetes spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "*",
            Self::Cluster => "Cluster",
            Self::Namespaced => "Namespaced",
        }
    }
}

/// meta.k8s.io/v1 LabelSelector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// Each must be there with this value.
    pub match_labels: BTreeMap<String, String>,
    /// Each must hold.
    pub match_expressions: Vec<Requirement>,
}

/// What is being done to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// CREATE
    Create,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
    /// CONNECT
    Connect,
}

impl Operation {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 4] = [Self::Create, Self::Update, Self::Delete, Self::Connect];

    /// As Kubernetes spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// One CEL expression that must be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchCondition {
    /// For messages.
    pub name: String,
    /// CEL.
    pub expression: String,
}

/// One requirement of a field or label selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// The label, or the field.
    pub key: String,
    /// How it compares.
    pub operator: Operator,
    /// Empty for the operators that only ask whether the key exists.
    pub values: Vec<String>,
}

/// How a requirement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// One of the values.
    In,
    /// None of the values.
    NotIn,
    /// The key is there.
    Exists,
    /// The key is not there.
    DoesNotExist,
}

impl Operator {
    /// As Kubernetes spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        }
    }
}

/// The most match conditions of one policy, as in Kubernetes.
pub const MAX_CONDITIONS: usize = 64;
/// The label with its name, which every namespace has.
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";
