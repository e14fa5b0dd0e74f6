//! The declared objects as they are written: the one source of the CRDs, of the schema for editors, of `verdict explain`, and of what
//! [`crate::config`] checks. Doc comments here are what users read of a field.
//!
//! Types say shapes; what a CRD can check beyond them is an extension of JSON Schema: `x-kubernetes-…` as in CRDs, and of our own
//! `x-expected` (in words, what a value must be) and `x-secret` (messages never repeat the value).

mod constraints;
mod events;
pub mod manifest;
mod parts;
mod values;
mod verification;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

pub(super) use constraints::labels;
pub use constraints::{
    Constraints, LabelSelector, LabelSelectorRequirement, MatchCondition, MatchPolicy, ResourceRule, RuleScope,
    SelectorOperator,
};
pub use events::{EventSource, Kubernetes, ServiceAccount};
pub use parts::{Component, Grants, Limits, Memory, Variable};
pub use values::{KeyRef, SettingsFrom, ValueFrom};
pub use verification::{AnyOf, Signer, SignerKind, Verification, VerificationConfig};

/// An object of any kind: what messages and files need of its head.
#[derive(Debug, Clone, Deserialize)]
pub struct Object<S> {
    /// Of what a server writes beside the name, nothing means anything here.
    pub metadata: Metadata,
    /// As its kind says.
    pub spec: S,
}

/// The head of an object.
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    /// A DNS-1123 label.
    pub name: String,
    /// Of the namespaced kinds, a DNS-1123 label.
    pub namespace: Option<String>,
}

/// Refuses objects, or warns of them: asked about requests that create, change or delete something, of which it changes nothing.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidatorSpec {
    /// What every kind has.
    #[serde(flatten)]
    pub common: CommonSpec,
    /// What a denial does, or a failure that counts. Without Deny nothing is denied.
    #[serde(default = "deny")]
    #[schemars(schema_with = "validation_actions")]
    pub validation_actions: Vec<Action>,
    /// What all kinds have that are asked about objects.
    #[serde(flatten)]
    pub admission: AdmissionSpec,
}

/// Changes objects before they are validated and stored.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MutatorSpec {
    /// What every kind has.
    #[serde(flatten)]
    pub common: CommonSpec,
    /// Asked, counted and recorded, and never decides.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub shadow: bool,
    /// What all kinds have that are asked about objects.
    #[serde(flatten)]
    pub admission: AdmissionSpec,
}

/// Says who may do what: asked by kube-apiserver's webhook authorizer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizerSpec {
    /// What every kind has.
    #[serde(flatten)]
    pub common: CommonSpec,
    /// Asked, counted and recorded, and never decides.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub shadow: bool,
    /// What a failure does.
    #[serde(default)]
    #[schemars(extend("default" = "Fail"))]
    pub failure_policy: AuthorizationFailure,
    /// CEL expressions that must all be true for it to be asked: `request` is the spec of the SubjectAccessReview, in v1.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub match_conditions: Vec<MatchCondition>,
    /// Which instance answers a review.
    #[serde(default)]
    #[schemars(extend("default" = "PerReview"))]
    pub instance_policy: InstancePolicy,
    /// What users are told before the policy's own words when it denies.
    #[serde(default)]
    #[schemars(schema_with = "message")]
    pub message: Option<String>,
}

/// Says who somebody is: asked by kube-apiserver about bearer tokens. It sees them, so that every review has an instance of its own, and
/// what it logs is dropped unless it is granted `log`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatorSpec {
    /// What every kind has.
    #[serde(flatten)]
    pub common: CommonSpec,
    /// Asked, counted and recorded, and never decides.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub shadow: bool,
    /// CEL expressions that must all be true for it to be asked: `request` is the spec of the TokenReview.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub match_conditions: Vec<MatchCondition>,
}

/// Answers events of programs of the operator's own, sent to `/events/NAME`, and changes of objects of the cluster.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.events) || size(self.events) == 0 || has(self.grants) && has(self.grants.kubernetes)",
    "message": "events needs grants.kubernetes.serviceAccount: as whom its objects are watched",
}]))]
pub struct ProviderSpec {
    /// What every kind has.
    #[serde(flatten)]
    pub common: CommonSpec,
    /// The operation of a waPC module that each event is sent to, as its payload, such as sample:Guest!Hello. Required for waPC modules
    /// without reviews of their own; nothing else has operations.
    #[schemars(length(min = 1, max = 256), extend("x-expected" = "the name of an operation such as sample:Guest!Hello, of at most 256 characters"))]
    pub operation: Option<String>,
    /// Objects of whose changes it is told, by the server that leads: each change at least once, and those of one object in their order. What
    /// a component that exports `changes` wants done about them is done as grants.kubernetes.serviceAccount; what another one answers is
    /// written to the log. Only objects of a cluster have them.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub events: Vec<EventSource>,
    /// Asked, counted and recorded, and never decides: what it wants done in the cluster is tried in dry run only.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub shadow: bool,
    /// Which instance answers an event.
    #[serde(default)]
    #[schemars(extend("default" = "PerReview"))]
    pub instance_policy: InstancePolicy,
}

/// Refuses objects as several policies decide together: a Validator that is an expression over its members.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyGroupSpec {
    /// What must hold, else the request is denied: each member is a function that says whether it allows, as in
    /// `signed() || (trusted() && !privileged())`, with &&, ||, !, ==, != and ? : between them (CEL). Asked from left to right, and only
    /// those that matter. A member that fails fails the group.
    #[schemars(length(min = 1, max = 10_000), regex(pattern = NOT_BLANK), extend("x-expected" = "an expression such as a() && !b()"))]
    pub expression: String,
    /// The policies of the expression. Each must be in it.
    #[schemars(length(min = 1, max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub members: Vec<Member>,
    /// Policies are asked in this order, then by name.
    #[serde(default = "order")]
    #[schemars(schema_with = "order_schema")]
    pub order: i32,
    /// What a denial does, or a failure that counts. Without Deny nothing is denied.
    #[serde(default = "deny")]
    #[schemars(schema_with = "validation_actions")]
    pub validation_actions: Vec<Action>,
    /// What all kinds have that are asked about objects; of rules in manifests only those that all members agree on count.
    #[serde(flatten)]
    pub admission: AdmissionSpec,
}

/// A policy within a group.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// As the expression calls it.
    #[schemars(length(max = 63), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"), extend("x-expected" = "at most 63 letters, digits and '_', of which the first is no digit"))]
    pub name: String,
    /// A component, and all that it gets.
    #[serde(flatten)]
    pub run: RunSpec,
}

/// What all kinds have that are asked about objects.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionSpec {
    /// What a failure does, for any reason but a limit.
    #[serde(default)]
    #[schemars(extend("default" = "Fail"))]
    pub failure_policy: AdmissionFailure,
    /// What a used-up limit does: time, memory, size or cost, in the policy or in a match condition.
    #[serde(default)]
    #[schemars(extend("default" = "Fail"))]
    pub limit_policy: AdmissionFailure,
    /// Which requests it is asked about, as in ValidatingAdmissionPolicy. Absent: as the component's manifest says, else every request.
    pub match_constraints: Option<Constraints>,
    /// CEL expressions that must all be true for it to be asked: of `request`, `object`, `oldObject` and `namespaceObject`, which is
    /// always null.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub match_conditions: Vec<MatchCondition>,
    /// Which instance answers a review.
    #[serde(default)]
    #[schemars(extend("default" = "PerReview"))]
    pub instance_policy: InstancePolicy,
    /// What users are told before the policy's own words when it denies.
    #[serde(default)]
    #[schemars(schema_with = "message")]
    pub message: Option<String>,
}

/// What every kind has.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CommonSpec {
    /// A component, and all that it gets.
    #[serde(flatten)]
    pub run: RunSpec,
    /// Policies are asked in this order, then by name.
    #[serde(default = "order")]
    #[schemars(schema_with = "order_schema")]
    pub order: i32,
}

/// A component, and all that it gets.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunSpec {
    /// What to run.
    pub component: Component,
    /// What the policy is told once, before anything else: any object that its schema allows.
    #[serde(default)]
    #[schemars(
        with = "BTreeMap<String, Value>",
        extend("x-kubernetes-preserve-unknown-fields" = true, "x-secret" = true)
    )]
    pub settings: Option<IgnoredAny>,
    /// Settings that stand in ConfigMaps and Secrets, laid over `settings` one after the other. Only objects of a cluster have them.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub settings_from: Vec<SettingsFrom>,
    /// What one review may use.
    #[serde(default)]
    pub limits: Limits,
    /// What the policy gets beyond what every policy has.
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    pub grants: Grants,
}

/// What a denial does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Action {
    /// The request is denied.
    Deny,
    /// The user is warned.
    Warn,
    /// It is written into the audit log.
    Audit,
}

/// What a failure of a policy does that is asked about objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum AdmissionFailure {
    /// The request is denied.
    #[default]
    Fail,
    /// As if the policy had allowed, with a warning.
    Ignore,
}

/// What a failure of an authorizer does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum AuthorizationFailure {
    /// No later policy can allow: unless one denies, kube-apiserver gets an error.
    #[default]
    Fail,
    /// As if it had no opinion.
    NoOpinion,
    /// The request is denied.
    Deny,
}

/// Which instance answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum InstancePolicy {
    /// One that is as `init` left it: nothing of another review is in it.
    #[default]
    PerReview,
    /// One that may have answered other reviews: faster, and what the policy keeps of one review can reach the next.
    Reuse,
}

fn deny() -> Vec<Action> {
    vec![Action::Deny]
}

fn validation_actions(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": generator.subschema_for::<Action>(),
        "minItems": 1,
        "maxItems": 3,
        "default": ["Deny"],
        "x-kubernetes-list-type": "set",
        "x-kubernetes-validations": [{
            "rule": "!('Deny' in self && 'Warn' in self)",
            "message": "Deny and Warn cannot be combined: whoever is denied is told why in any case",
        }],
    })
}

fn order_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "integer",
        "format": "int32",
        "minimum": i32::MIN,
        "maximum": i32::MAX,
        "default": super::DEFAULT_ORDER,
        "x-expected": "a whole number of 32 bits",
    })
}

fn order() -> i32 {
    super::DEFAULT_ORDER
}

fn message(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 1024,
        "pattern": NOT_BLANK,
        "x-expected": "from 1 to 1024 characters, not all of them blank",
    })
}

fn conditions(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": super::MAX_CONDITIONS,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": generator.subschema_for::<MatchCondition>(),
    })
}

/// Patterns are read by three engines: blanks are spelled out, since each calls others so.
const NOT_BLANK: &str = r"[^\x09-\x0d ]";
/// Of what only authors write.
pub const AUTHOR_API_VERSION: &str = "author.verdict.dev/v1alpha1";
