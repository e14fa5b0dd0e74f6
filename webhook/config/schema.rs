//! What an operator writes: the `kind: Policy` document, field by field. Unknown fields are errors.

use std::{collections::BTreeMap, time::Duration};

/// One `kind: Policy` document, parsed.
#[derive(Debug, Clone)]
pub struct PolicySpec {
    /// metadata.name: a DNS-1123 label of at most 63 characters, since it becomes a path of the server and a part of audit annotation keys.
    pub name: String,
    /// Where the document stands, for messages: `team.yaml` or `team.yaml, document 2`.
    pub source: String,
    /// What to run.
    pub component: ComponentRef,
    /// A JSON object as text; `{}` when not given.
    pub settings: String,
    pub mode: Mode,
    pub failure_policy: FailurePolicy,
    pub on_limit: OnLimit,
    /// Chains run in this order, then by name.
    pub order: i32,
    pub matching: MatchSpec,
    pub limits: crate::engine::Limits,
    pub grants: crate::engine::Grants,
    /// The operator's own words for a denial.
    pub message: Option<String>,
}

/// `./file.wasm`, `builtin:NAME`, each optionally `@sha256:<64 hex digits>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentRef {
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

/// What a verdict does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It decides.
    Enforce,
    /// Admission only: a denial becomes a warning to the user.
    Warn,
    /// It is counted and recorded, and decides nothing.
    Audit,
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

/// What happens when time, memory or size is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLimit {
    Fail,
    Ignore,
}

/// spec.match, as written (already checked for shape).
#[derive(Debug, Clone, Default)]
pub struct MatchSpec {
    /// Admission only. Empty means: never asked over `/validate` or `/mutate` unless registered by hand; see `config`.
    pub resource_rules: Vec<ResourceRule>,
    pub exclude_resource_rules: Vec<ResourceRule>,
    /// Only on the label `kubernetes.io/metadata.name`.
    pub namespace_selector: Option<LabelSelector>,
    pub object_selector: Option<LabelSelector>,
    pub match_conditions: Vec<MatchCondition>,
}

/// admissionregistration.k8s.io/v1 NamedRuleWithOperations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceRule {
    pub api_groups: Vec<String>,
    pub api_versions: Vec<String>,
    /// `pods`, `pods/status`, `*`, `*/*`, `pods/*`, `*/scale`.
    pub resources: Vec<String>,
    /// CREATE, UPDATE, DELETE, CONNECT or `*`.
    pub operations: Vec<String>,
    /// Empty: all names.
    pub resource_names: Vec<String>,
    pub scope: Scope,
}

/// Which objects a rule means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    All,
    Cluster,
    Namespaced,
}

/// meta.k8s.io/v1 LabelSelector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    pub match_labels: BTreeMap<String, String>,
    pub match_expressions: Vec<crate::review::access::Requirement>,
}

/// One CEL expression that must be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchCondition {
    pub name: String,
    pub expression: String,
}

/// One thing that is wrong with a configuration: which file, which policy, which field, what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, with the document's number where it has several, and the line where known.
    pub source: String,
    /// The policy's name, where it is known.
    pub policy: Option<String>,
    /// For example `spec.match.resourceRules[0].operations`.
    pub field: Option<String>,
    /// What was expected and what came.
    pub message: String,
}

/// Longest that a policy may be allowed to run.
pub const MAX_TIME: Duration = Duration::from_secs(30);
