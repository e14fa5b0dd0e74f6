//! What an operator writes: one object of a kind, field by field. Unknown fields are errors.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::engine::Interface;

/// What a policy has the power to do: the `kind` of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Refuses objects.
    Validator,
    /// Changes objects.
    Mutator,
    /// Says who may do what.
    Authorizer,
    /// Says who somebody is.
    Authenticator,
    /// Answers events of the operator's own programs.
    Provider,
}

impl Kind {
    /// As they are listed to operators.
    pub const ALL: [Self; 5] = [Self::Validator, Self::Mutator, Self::Authorizer, Self::Authenticator, Self::Provider];

    /// What a component must export to be one.
    pub fn interface(self) -> Interface {
        match self {
            Self::Validator => Interface::Validating,
            Self::Mutator => Interface::Mutating,
            Self::Authorizer => Interface::Authorization,
            Self::Authenticator => Interface::Authentication,
            Self::Provider => Interface::Provider,
        }
    }

    /// Which a component that exports `interface` can be.
    pub fn of(interface: Interface) -> Self {
        match interface {
            Interface::Validating => Self::Validator,
            Interface::Mutating => Self::Mutator,
            Interface::Authorization => Self::Authorizer,
            Interface::Authentication => Self::Authenticator,
            Interface::Provider => Self::Provider,
        }
    }

    /// As it is written in `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validator => "Validator",
            Self::Mutator => "Mutator",
            Self::Authorizer => "Authorizer",
            Self::Authenticator => "Authenticator",
            Self::Provider => "Provider",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PolicySpec {
    /// Where the setting at this JSON Pointer stands, or what is nearest around it.
    pub(crate) fn place_of_setting(&self, pointer: &str) -> &str {
        let ends = pointer.rmatch_indices('/').map(|(end, _)| &pointer[..end]);
        let mut around = std::iter::once(pointer).chain(ends);
        around.find_map(|it| self.settings_lines.get(it)).unwrap_or(&self.source)
    }
}

/// One object, parsed.
#[derive(Debug, Clone)]
pub struct PolicySpec {
    /// None: a component by itself, which stands for one policy of each kind that it can be.
    pub kind: Option<Kind>,
    /// metadata.name, unique among the objects of its kind: a DNS-1123 label of at most 63 characters, since it becomes a path of the server and a part of audit annotation keys.
    pub name: String,
    /// Where the document stands, for messages: `team.yaml` or `team.yaml, document 2`.
    pub source: String,
    /// What to run.
    pub component: ComponentRef,
    /// A JSON object as text; `{}` when not given.
    pub settings: String,
    /// Where they are written: the file with the line of each value, by its JSON Pointer. Empty for those that come from
    /// elsewhere.
    pub settings_lines: BTreeMap<String, String>,
    /// What its verdict does.
    pub actions: Actions,
    /// What a failure does.
    pub failure_policy: FailurePolicy,
    /// What a used-up limit does.
    pub limit_policy: LimitPolicy,
    /// Chains run in this order, then by name.
    pub order: i32,
    /// What it is asked about.
    pub matching: MatchSpec,
    /// Whether it has matchConstraints of its own. If not, the component's manifest may.
    pub own_constraints: bool,
    /// What one review may use.
    pub limits: crate::engine::Limits,
    /// Which instance answers a review.
    pub instance_policy: crate::engine::Instances,
    /// What it gets beyond the contract.
    pub grants: crate::engine::Grants,
    /// The operator's own words for a denial.
    pub message: Option<String>,
}

impl PolicySpec {
    /// How messages call it: its kind and its name.
    pub fn title(&self) -> String {
        format!("{} {}", self.kind.map_or("policy", Kind::name), self.name)
    }
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentRef {
    /// Where the bytes are.
    pub location: Location,
    /// The digest that the bytes must have.
    pub digest: Option<[u8; 32]>,
}

/// Where the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// Already resolved against the folder of the document.
    File(std::path::PathBuf),
    /// Compiled into this binary.
    Builtin(String),
}

/// What a verdict, or a failure that counts, does; it is counted in any case. Of validators as their `validationActions` say; the others
/// decide unless they are in `shadow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actions {
    /// It decides.
    pub deny: bool,
    /// A denial becomes a warning to the user.
    pub warn: bool,
    /// A denial is written into the audit log.
    pub audit: bool,
}

impl Actions {
    /// The default.
    pub const DECIDE: Self = Self { deny: true, warn: false, audit: false };
    /// Recorded, and nothing more.
    pub const SHADOW: Self = Self { deny: false, warn: false, audit: true };
}

/// What happens when the policy fails for any reason but a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// All kinds. Admission: denied. Authorization: no later allow, else HTTP 503.
    Fail,
    /// Admission only.
    Ignore,
    /// Authorization only.
    NoOpinion,
    /// Authorization only.
    Deny,
}

impl FailurePolicy {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fail => "Fail",
            Self::Ignore => "Ignore",
            Self::NoOpinion => "NoOpinion",
            Self::Deny => "Deny",
        }
    }
}

/// What happens when time, memory or size is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitPolicy {
    /// As a failure that is not ignored.
    Fail,
    /// Admission only: as if the policy had allowed.
    Ignore,
}

impl LimitPolicy {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fail => "Fail",
            Self::Ignore => "Ignore",
        }
    }
}

/// spec.matchConstraints and spec.matchConditions, as written (already checked for shape).
#[derive(Debug, Clone, Default)]
pub struct MatchSpec {
    /// `matchPolicy: Exact`: rules are compared with what was asked for, not with what kube-apiserver made of it for a rule.
    pub exact: bool,
    /// Admission only. Empty means every resource that is sent to the server.
    pub resource_rules: Vec<ResourceRule>,
    /// These win over `resource_rules`.
    pub exclude_resource_rules: Vec<ResourceRule>,
    /// Only on the label `kubernetes.io/metadata.name`.
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

/// meta.k8s.io/v1 LabelSelector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// Each must be there with this value.
    pub match_labels: BTreeMap<String, String>,
    /// Each must hold.
    pub match_expressions: Vec<crate::review::access::Requirement>,
}

/// One CEL expression that must be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchCondition {
    /// For messages.
    pub name: String,
    /// CEL.
    pub expression: String,
}

/// One thing that is wrong with a configuration: which file, which policy, which field, what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, with the document's number where it has several, and the line where known.
    pub source: String,
    /// The kind and the name of the object, where they are known.
    pub object: Option<String>,
    /// For example `spec.matchConstraints.resourceRules[0].operations`.
    pub field: Option<String>,
    /// What was expected and what came.
    pub message: String,
}

impl std::error::Error for ConfigError {}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.source)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// The most match conditions of one policy, as in Kubernetes.
pub const MAX_CONDITIONS: usize = 64;
/// Bytes: the least that `limits.memory` may be; the smallest Rust guest has more than this.
pub const MIN_MEMORY: usize = 1 << 20;
pub use crate::engine::MAX_MEMORY;
/// Longest that a policy may be allowed to run.
pub const MAX_TIME: Duration = Duration::from_secs(30);
