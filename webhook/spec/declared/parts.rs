//! What every kind has: a component, limits, grants.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{Kubernetes, ValueFrom, Verification};
use crate::spec::HostCapabilities;

/// A place, and what its bytes must be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "[has(self.image), has(self.url), has(self.path), has(self.builtin)].filter(it, it).size() == 1",
        "message": "expected exactly one of image, url, path and builtin",
    },
    {"rule": "!has(self.url) || has(self.sha256)", "message": "expected sha256 beside url: what is fetched is pinned"},
    {"rule": "!has(self.verify) || has(self.image)", "message": "verify needs image: only what is in a registry has signatures"},
]))]
pub struct Component {
    /// A reference of a registry, such as registry.example.org/policies/required-labels:1.2.
    #[schemars(length(min = 1, max = 1024), extend("x-expected" = "a reference such as registry.example.org/policies/required-labels:1.2"))]
    pub image: Option<String>,
    /// Where it is fetched from, by HTTPS.
    #[schemars(length(max = 4096), regex(pattern = "^https://[^/]"), extend("x-expected" = "a URL that begins with https://"))]
    pub url: Option<String>,
    /// A file beside the server, relative to the folder of this document.
    #[schemars(length(min = 1, max = 4096), regex(pattern = r"^[^\x00]*$"), extend("x-expected" = "the path of a file"))]
    pub path: Option<String>,
    /// The name of a component that is compiled into the server.
    #[schemars(length(max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), extend("x-expected" = "the name of a built-in component"))]
    pub builtin: Option<String>,
    /// SHA-256 of the component's bytes, wherever they come from.
    #[schemars(length(max = 64), regex(pattern = "^[0-9a-f]{64}$"), extend("x-expected" = "64 hex digits in lower case"))]
    pub sha256: Option<String>,
    /// Who must have signed the image. What the server wants of every component must hold as well.
    pub verify: Option<Verification>,
}

/// What one review may use.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Wall-clock time, calls of the server included. kube-apiserver's own timeout counts too, whichever is shorter.
    #[schemars(
        range(min = 1, max = 30_000),
        extend("default" = 500, "x-expected" = "a number of milliseconds, from 1 to 30000")
    )]
    pub timeout_milliseconds: Option<u32>,
    /// All memories and tables of an instance together, such as 64Mi.
    pub memory: Option<Memory>,
    /// Instructions, roughly: the same review always uses the same. Absent: only time limits it.
    #[schemars(range(min = 1), extend("x-expected" = "a number of instructions, at least 1"))]
    pub fuel: Option<i64>,
    /// Reviews at the same time; others wait for their turn as long as they have time, and then fail as limitPolicy (failurePolicy of authorizers) says. Absent: half of what the server has for reviews of the kind.
    #[schemars(range(min = 1, max = 4096), extend("x-expected" = "a number of reviews, from 1 to 4096"))]
    pub concurrent_reviews: Option<u32>,
}

/// Bytes, or an amount as Kubernetes writes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Memory {
    /// Bytes.
    Bytes(u64),
    /// Digits, and one of k, M, G, Ki, Mi, Gi.
    Amount(String),
}

impl JsonSchema for Memory {
    fn schema_name() -> Cow<'static, str> {
        "Memory".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": "^[0-9]+(k|M|G|Ki|Mi|Gi)?$",
            "maxLength": 20,
            "default": "64Mi",
            "x-expected": "an amount of memory such as 64Mi, from 1Mi to 1Gi",
            "x-kubernetes-validations": [{
                "rule": "type(self) == int ? int(self) >= 1048576 && int(self) <= 1073741824 : isQuantity(string(self)) && \
                    quantity(string(self)).compareTo(quantity('1Mi')) >= 0 && quantity(string(self)).compareTo(quantity('1Gi')) <= 0",
                "message": "expected an amount of memory such as 64Mi, from 1Mi to 1Gi",
            }],
        })
    }
}

/// What the operator gives a policy.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Grants {
    /// Environment variables.
    #[serde(default)]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<Variable>,
    /// Whether what an authenticator prints and logs is kept; that of other kinds is in any case.
    #[serde(default)]
    #[schemars(extend("default" = false))]
    pub log: bool,
    /// What of the host a module of Kubewarden's may call, beside `tracing`, which needs no grant. Only `crypto` is there yet.
    #[serde(default)]
    #[schemars(schema_with = "host_capabilities")]
    pub host_capabilities: Vec<String>,
    /// What it may do in the cluster.
    pub kubernetes: Option<Kubernetes>,
}

fn host_capabilities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "enum": HostCapabilities::patterns()},
    })
}

/// An environment variable, written or from elsewhere.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.value) != has(self.valueFrom)",
    "message": "expected either value or valueFrom",
}]))]
pub struct Variable {
    /// Printable ASCII, and no `=`.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^[!-<>-~]+$"), extend("x-expected" = "printable ASCII without '='"))]
    pub name: String,
    /// Its value, written here.
    #[schemars(length(max = 65_536), regex(pattern = r"^[^\x00]*$"), extend("x-expected" = "at most 65536 characters, none of them zero"))]
    pub value: Option<String>,
    /// Where its value is.
    pub value_from: Option<ValueFrom>,
}
