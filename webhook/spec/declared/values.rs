//! What stands elsewhere: in files beside a server, and in ConfigMaps and Secrets of a cluster.

use schemars::JsonSchema;
use serde::Deserialize;

/// Where a value is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "[has(self.file), has(self.secretKeyRef), has(self.configMapKeyRef)].filter(it, it).size() == 1",
    "message": "expected exactly one of file, secretKeyRef and configMapKeyRef",
}]))]
pub struct ValueFrom {
    /// A file beside the server, relative to the folder of this document; a line break at its end does not count.
    #[schemars(length(min = 1, max = 4096), regex(pattern = r"^[^\x00]*$"), extend("x-expected" = "the path of a file"))]
    pub file: Option<String>,
    /// A key of a Secret: of the policy's own namespace, or of the server's if the policy belongs to none. Only objects of a cluster refer to one.
    pub secret_key_ref: Option<KeyRef>,
    /// A key of a ConfigMap, of the same namespace. Only objects of a cluster refer to one.
    pub config_map_key_ref: Option<KeyRef>,
}

/// A key of an object.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// The name of the object.
    #[schemars(length(max = 253), regex(pattern = OBJECT_NAME), extend("x-expected" = "the name of an object"))]
    pub name: String,
    /// The key in its data.
    #[schemars(length(max = 253), regex(pattern = KEY), extend("x-expected" = "a key: letters, digits, '-', '_' and '.'"))]
    pub key: String,
}

/// Settings that stand elsewhere.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "has(self.secretKeyRef) != has(self.configMapKeyRef)",
    "message": "expected either secretKeyRef or configMapKeyRef",
}]))]
pub struct SettingsFrom {
    /// A key of a Secret: of the policy's own namespace, or of the server's if the policy belongs to none.
    pub secret_key_ref: Option<KeyRef>,
    /// A key of a ConfigMap, of the same namespace.
    pub config_map_key_ref: Option<KeyRef>,
    /// Where the value is put, as a JSON Pointer such as /database/password: it is a string there, whatever it looks like, and mappings that are
    /// missing on the way are made. Absent: the value is a mapping in YAML or JSON; its mappings are merged with those of the settings,
    /// key by key, and all else in it replaces what is there.
    #[schemars(length(max = 1024), regex(pattern = POINTER), extend("x-expected" = "a JSON Pointer of at most 32 parts, such as /database/password"))]
    pub path: Option<String>,
}

/// A DNS subdomain (k8s.io/apimachinery `IsDNS1123Subdomain`).
const OBJECT_NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// What keys of ConfigMaps and Secrets are (k8s.io/apimachinery `IsConfigMapKey`): neither `.` nor what begins with `..`.
const KEY: &str = r"^\.?[-_A-Za-z0-9][-._A-Za-z0-9]*$";
/// RFC 6901; not the whole, which needs no pointer.
const POINTER: &str = r"^(/([^~/]|~[01])*){1,32}$";

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::spec::{ValueKind, ValueRef};

    #[test]
    fn what_the_schema_takes_is_a_reference_and_nothing_else() {
        let (name, key) = (Regex::new(OBJECT_NAME).unwrap(), Regex::new(KEY).unwrap());
        for text in
            ["a", "a.b-c.d", "0", "", "A", "-a", "a-", "a..b", ".a", "a.", "a/b", "..", ".", "a_b", "a\n", "ä", "a b"]
        {
            let named = ValueRef::new(ValueKind::Secret, text, "k");
            assert_eq!(named.is_some(), name.is_match(text), "{text:?}");
        }
        for text in ["a", ".a", "..a", ".", "..", "A_b.c-d", "-", "_", "", "a/b", "a b", "ä", "a\n", "...", ".-."] {
            let keyed = ValueRef::new(ValueKind::ConfigMap, "n", text);
            assert_eq!(keyed.is_some(), key.is_match(text), "{text:?}");
        }
        let long = "a".repeat(254);
        assert!(ValueRef::new(ValueKind::Secret, &long, "k").is_none());
        assert!(ValueRef::new(ValueKind::Secret, "n", &long).is_none());
    }
}
