//! What an author says of a policy: `verdict.yaml`, which `verdict build` puts into the component.
//!
//! Owns the manifest, its section in a component and the check of settings against its schema. In a component it is
//! hostile input like everything else there: capped, without control characters, and never a permission. Knows neither
//! YAML (that is [`crate::config`]) nor the engine.

pub mod schema;
mod section;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spec::Import;

pub(crate) use section::MAX_TEXT;
pub use section::{SectionError, embed, embedded};

/// What an author says of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// A DNS-1123 label, as for the names of policies.
    pub name: String,
    /// Semantic version, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// One sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `Name <address>` each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    /// An SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Where the sources are: a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The JSON Schema of the settings; its `examples` are whole settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// What it is asked about where the object that names it has no matchConstraints of its own; in its shape.
    #[serde(default, rename = "matchConstraints", skip_serializing_if = "Option::is_none")]
    pub match_constraints: Option<Value>,
    /// These count with them, where the object has no matchConditions of its own.
    #[serde(default, rename = "matchConditions", skip_serializing_if = "Option::is_none")]
    pub match_conditions: Option<Value>,
    /// What of the server it calls; None: [`Import::DEFAULT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imports: Option<Vec<Import>>,
    /// The fields of objects that it is given, with apiVersion, kind and metadata; none: whole objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// What it would like to be granted. Only the operator grants.
    #[serde(default, skip_serializing_if = "Wanted::is_nothing")]
    pub grants: Wanted,
}

/// The grants that a policy is written for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Environment variables: what each is for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Whether an authenticator wants to be heard.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log: bool,
}

impl Wanted {
    /// Nothing but what every policy gets.
    pub fn is_nothing(&self) -> bool {
        self.env.is_empty() && !self.log
    }
}

impl Manifest {
    /// What of the server it calls.
    pub fn imports(&self) -> &[Import] {
        self.imports.as_deref().unwrap_or(&Import::DEFAULT)
    }

    /// The example settings of the schema, whole each.
    pub fn examples(&self) -> &[Value] {
        let examples = self.settings.as_ref().and_then(|schema| schema.get("examples"));
        examples.and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}
