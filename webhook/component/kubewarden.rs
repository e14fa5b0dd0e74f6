//! What Kubewarden's tools write into a module: the custom section `io.kubewarden.metadata`, JSON. Follows its policy-evaluator
//! (policy_metadata.rs). Hostile input like everything else in a module, and never a permission.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::manifest::Manifest;
use crate::text;

/// How Kubewarden runs a module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecutionMode {
    /// Where the section does not say.
    #[default]
    KubewardenWapc,
    /// A command.
    Wasi,
    /// Rego.
    Opa,
    /// Rego.
    Gatekeeper,
}

/// The section, as far as it is used here; what else is in it is passed over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// `v1` is the only one that there is.
    #[serde(default)]
    pub protocol_version: Option<String>,
    /// What it is about, as RuleWithOperations each.
    #[serde(default)]
    pub rules: Vec<Value>,
    /// Whether it changes objects.
    pub mutating: bool,
    /// How it is asked.
    #[serde(default)]
    pub execution_mode: ExecutionMode,
    /// `kubernetes` or `raw`.
    #[serde(default)]
    pub policy_type: Option<String>,
    /// The kinds of which it looks up objects.
    #[serde(default)]
    pub context_aware_resources: Vec<Value>,
    /// What it wants of the host.
    #[serde(default)]
    pub host_capabilities: Vec<String>,
    /// `io.kubewarden.policy.title` and its like.
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Metadata {
    pub(super) fn read(section: &[u8]) -> Result<Self, String> {
        if section.len() > MAX_SIZE {
            return Err(format!("it has {} bytes, more than {MAX_SIZE}", section.len()));
        }
        serde_json::from_slice(section).map_err(|error| error.to_string())
    }

    /// The same in our words: its rules are what it is asked about by default.
    pub fn manifest(&self) -> Manifest {
        let of = |name: &str| {
            let found = self.annotations.as_ref()?.get(&format!("io.kubewarden.policy.{name}"))?;
            Some(text::plain_line(&found[..found.floor_char_boundary(MAX_ANNOTATION)]))
        };
        Manifest {
            name: of("title").unwrap_or_default(),
            version: of("version"),
            description: of("description"),
            authors: of("author").into_iter().collect(),
            license: of("license"),
            source: of("source").or_else(|| of("url")),
            match_constraints: (!self.rules.is_empty()).then(|| json!({"resourceRules": self.rules})),
            ..Manifest::default()
        }
    }
}

/// Its name in a module.
pub(super) const SECTION: &str = "io.kubewarden.metadata";
const MAX_SIZE: usize = 1 << 20;
const MAX_ANNOTATION: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_becomes_a_manifest() {
        let metadata = Metadata::read(
            br#"{"protocolVersion": "v1", "mutating": true, "backgroundAudit": true, "contextAwareResources": [],
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}],
                "annotations": {"io.kubewarden.policy.title": "psp\u001b", "io.kubewarden.policy.version": "1.2.3", "x": "y"}}"#,
        )
        .unwrap();
        assert_eq!(metadata.execution_mode, ExecutionMode::KubewardenWapc);
        let manifest = metadata.manifest();
        assert_eq!((manifest.name.as_str(), manifest.version.as_deref()), ("psp", Some("1.2.3")));
        let rules = manifest.match_constraints.unwrap();
        assert_eq!(rules["resourceRules"][0]["resources"][0], "pods");
        assert!(Metadata::read(b"{}").unwrap_err().contains("missing field `mutating`"));
        assert!(Metadata::read(br#"{"mutating": true, "executionMode": "other"}"#).unwrap_err().contains("gatekeeper"));
    }
}
