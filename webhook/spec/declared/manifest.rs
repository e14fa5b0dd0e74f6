//! What an author writes about a policy: `verdict.yaml`.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, de::IgnoredAny};

use super::{Constraints, MatchCondition, conditions};
use crate::spec::Import;

/// What an author says of a policy. `verdict build` puts it into the component.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyManifest {
    /// The version of this schema.
    #[schemars(schema_with = "version")]
    pub api_version: String,
    /// PolicyManifest.
    #[schemars(schema_with = "kind")]
    pub kind: String,
    /// What the policy is called: at most 63 lower-case letters, digits and '-'.
    #[schemars(length(max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), extend("x-expected" = "at most 63 lower-case letters, digits and '-', with a letter or digit at each end"))]
    pub name: String,
    /// Its semantic version, for people.
    #[schemars(length(min = 1), extend("x-expected" = "a semantic version such as 0.1.0"))]
    pub version: Option<String>,
    /// One sentence.
    #[schemars(length(min = 1))]
    pub description: Option<String>,
    /// `Name <address>` each.
    #[serde(default)]
    pub authors: Vec<String>,
    /// An SPDX expression.
    #[schemars(length(min = 1))]
    pub license: Option<String>,
    /// Where the sources are: a URL.
    #[schemars(length(min = 1))]
    pub source: Option<String>,
    /// The JSON Schema of the settings, written here or in a JSON file that is named. Its `examples` are whole settings.
    #[serde(default)]
    #[schemars(schema_with = "anything")]
    pub settings: Option<IgnoredAny>,
    /// What it is asked about, where the object that names it does not say.
    #[serde(flatten)]
    pub matches: Matches,
    /// What of the server it calls. Absent: log and audit-log.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub imports: Option<Vec<Import>>,
    /// The fields of the object that it reads, such as `spec.containers[].image`: of object and old object it is given these, apiVersion,
    /// kind and metadata, and nothing else; lists keep their length and order. A key with dots stands in brackets: `data[tls.crt]`. Absent
    /// or empty: whole objects.
    #[serde(default)]
    #[schemars(schema_with = "reads")]
    pub reads: Vec<String>,
    /// What it would like to be granted. Only the operator grants.
    #[serde(default)]
    pub grants: Wanted,
}

/// What a policy is asked about, where the object that names it does not say.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Matches {
    /// Which requests it is asked about, as in ValidatingAdmissionPolicy.
    pub match_constraints: Option<Constraints>,
    /// CEL expressions about the request and the object that must all be true for it to be asked.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub match_conditions: Vec<MatchCondition>,
}

/// The grants that a policy is written for.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// Environment variables: what each is for.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Whether an authenticator wants to be heard.
    #[serde(default)]
    pub log: bool,
}

fn version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": [super::AUTHOR_API_VERSION]})
}

fn kind(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["PolicyManifest"]})
}

fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

fn reads(_: &mut SchemaGenerator) -> Schema {
    let field = r"[A-Za-z_][-A-Za-z0-9_]*(\[[^\[\]]*\])*";
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": 253,
            "pattern": format!(r"^{field}(\.{field})*$"),
            "x-expected": "the path of a field such as spec.containers[].image",
        },
    })
}
