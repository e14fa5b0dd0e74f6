//! What a policy is asked about, as it is written: the shapes of ValidatingAdmissionPolicy's matchConstraints and matchConditions
//! (k8s.io/api admissionregistration/v1), with what kube-apiserver checks of them.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Value, json};

/// Which requests a policy is asked about.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Constraints {
    /// Any of them must fit. Empty: every request that is sent to the server.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub resource_rules: Vec<ResourceRule>,
    /// None of them may fit; they win over resourceRules.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub exclude_resource_rules: Vec<ResourceRule>,
    /// The labels of the object's namespace: all of them in a cluster, else only its name (kubernetes.io/metadata.name), since a review carries
    /// no others.
    pub namespace_selector: Option<LabelSelector>,
    /// The labels of the object, old or new.
    pub object_selector: Option<LabelSelector>,
    /// Whether a request for another version of a resource that the rules name counts too.
    #[serde(default)]
    #[schemars(extend("default" = "Equivalent"))]
    pub match_policy: MatchPolicy,
}

/// Whether other versions of a resource count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum MatchPolicy {
    /// Rules mean a resource in all its groups and versions.
    #[default]
    Equivalent,
    /// Rules mean exactly the groups and versions that they name.
    Exact,
}

/// Operations on resources.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRule {
    /// Groups without their version, such as apps; "" is the core group, "*" is all.
    #[schemars(schema_with = "groups")]
    pub api_groups: Vec<String>,
    /// Versions without their group, such as v1; "*" is all.
    #[schemars(schema_with = "versions")]
    pub api_versions: Vec<String>,
    /// Resources in lower case and plural: pods, pods/status, */scale, pods/*, "*" (all without subresources) or "*/*" (all).
    #[schemars(schema_with = "resources")]
    pub resources: Vec<String>,
    /// Operations; "*" is all.
    #[schemars(schema_with = "operations")]
    pub operations: Vec<String>,
    /// Names of objects. Empty: all.
    #[serde(default)]
    #[schemars(schema_with = "names")]
    pub resource_names: Vec<String>,
    /// Which objects are meant.
    #[serde(default)]
    #[schemars(extend("default" = "*"))]
    pub scope: RuleScope,
}

/// Which objects a rule means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum RuleScope {
    /// All of them.
    #[default]
    #[serde(rename = "*")]
    All,
    /// Those of no namespace; namespaces themselves are.
    Cluster,
    /// Those in a namespace.
    Namespaced,
}

/// Labels that an object must have. All requirements must hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels and their values.
    #[serde(default)]
    #[schemars(schema_with = "labels")]
    pub match_labels: BTreeMap<String, String>,
    /// Requirements of labels.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub match_expressions: Vec<LabelSelectorRequirement>,
}

/// A requirement of one label.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!(self.operator in ['In', 'NotIn']) || has(self.values) && size(self.values) > 0",
        "message": "expected at least one of values for In and NotIn",
    },
    {
        "rule": "!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || size(self.values) == 0",
        "message": "expected no values for Exists and DoesNotExist",
    },
]))]
pub struct LabelSelectorRequirement {
    /// The label.
    #[schemars(schema_with = "label_key")]
    pub key: String,
    /// How it is compared.
    pub operator: SelectorOperator,
    /// Values, where the operator compares with any.
    #[serde(default)]
    #[schemars(schema_with = "label_values")]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SelectorOperator {
    /// It has one of the values.
    In,
    /// It has none of the values, or is not there.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

/// An expression that must be true.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MatchCondition {
    /// How messages call it.
    #[schemars(length(max = 317), regex(pattern = QUALIFIED_NAME), extend("x-expected" = "a name such as not-nodes"))]
    pub name: String,
    /// CEL, with Kubernetes' functions.
    #[schemars(length(min = 1, max = 100_000), regex(pattern = r"[^\x09-\x0d ]"), extend("x-expected" = "a CEL expression"))]
    pub expression: String,
}

/// What a label key is: `[DNS subdomain/]name` (k8s.io/apimachinery `IsQualifiedName`).
pub(in crate::spec) const QUALIFIED_NAME: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
/// What a label value is (k8s.io/apimachinery `IsValidLabelValue`).
const LABEL_VALUE: &str = r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$";

fn label_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 317, "pattern": QUALIFIED_NAME, "x-expected": "a label key"})
}

fn label_value() -> Value {
    json!({"type": "string", "maxLength": 63, "pattern": LABEL_VALUE, "x-expected": "a label value"})
}

fn label_values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "maxItems": 256, "items": label_value()})
}

/// Of objects that are read, and of selectors.
pub(in crate::spec) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 256,
        "propertyNames": {"maxLength": 317, "pattern": QUALIFIED_NAME, "x-expected": "a label key"},
        "additionalProperties": label_value(),
    })
}

fn groups(_: &mut SchemaGenerator) -> Schema {
    let group = r"^(\*|[^/*\x09-\x0d ]*)$";
    words(group, "a group without its version, such as apps; \"\" is the core group", &json!([alone()]))
}

fn versions(_: &mut SchemaGenerator) -> Schema {
    words(r"^(\*|[^/*\x09-\x0d ]+)$", "a version without its group, such as v1", &json!([alone()]))
}

/// What says another thing again is refused, as in Kubernetes.
fn resources(_: &mut SchemaGenerator) -> Schema {
    let rules = json!([
        {"rule": "!('*/*' in self) || size(self) == 1", "message": "\"*/*\" stands for all and must be alone"},
        {
            "rule": "!('*' in self) || self.all(it, it == '*' || it.contains('/'))",
            "message": "\"*\" stands for all resources: beside it only subresources may be named",
        },
        {
            "rule": "self.all(it, !it.contains('/') || it.endsWith('/*') || !((it.split('/', 2)[0] + '/*') in self))",
            "message": "a subresource stands beside all of its resource, such as pods/status beside pods/*",
        },
        {
            "rule": "self.all(it, !it.contains('/') || it.startsWith('*/') || !(('*/' + it.split('/', 2)[1]) in self))",
            "message": "a subresource stands beside the same of all resources, such as deployments/scale beside */scale",
        },
    ]);
    let expected = "a resource in lower case and plural, such as pods, pods/status, */scale, pods/* or *";
    words(r"^(\*|[^/* A-Z]+)(/(\*|[^/* ]+))?$", expected, &rules)
}

fn operations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 5,
        "items": {"type": "string", "enum": ["CREATE", "UPDATE", "DELETE", "CONNECT", "*"]},
        "x-kubernetes-validations": [alone()],
    })
}

fn names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": 253,
            "pattern": r"^([^./%][^/%]*|\.[^./%][^/%]*|\.\.[^/%]+)$",
            "x-expected": "the name of an object",
        },
    })
}

fn words(pattern: &str, expected: &str, rules: &Value) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 64,
        "items": {"type": "string", "maxLength": 253, "pattern": pattern, "x-expected": expected},
        "x-kubernetes-validations": rules,
    })
}

fn alone() -> Value {
    json!({"rule": "!('*' in self) || size(self) == 1", "message": "\"*\" stands for all and must be alone"})
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    #[test]
    fn label_keys_and_values() {
        let (key, value) = (Regex::new(QUALIFIED_NAME).unwrap(), Regex::new(LABEL_VALUE).unwrap());
        for good in ["a", "App", "example.com/a_b.c", "kubernetes.io/metadata.name", &"a".repeat(63)] {
            assert!(key.is_match(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a/b/c", "Example.com/a", "-a", "a b", "a-", &"a".repeat(64)] {
            assert!(!key.is_match(bad), "{bad}");
        }
        assert!(value.is_match("") && value.is_match("a.b") && !value.is_match("a.") && !value.is_match("ä"));
    }
}
