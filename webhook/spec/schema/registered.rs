//! The schema of an object that is registered by a request: that of a file without all that would read one. What is not in it is refused.

use serde_json::{Value, json};

use crate::spec::Kind;

/// The whole object of a kind.
pub fn object(kind: Kind) -> Value {
    let mut schema = super::object(kind).clone();
    for run in [SPEC, MEMBER] {
        if let Some(component) = schema.pointer_mut(&format!("{run}/component")) {
            without(component, &["path"]);
            component["x-kubernetes-validations"] = json!([
                {
                    "rule": "[has(self.image), has(self.url), has(self.builtin)].filter(it, it).size() <= 1",
                    "message": "expected at most one of image, url and builtin",
                },
                {
                    "rule": "has(self.image) || has(self.builtin) || has(self.sha256)",
                    "message": "expected image, builtin, or sha256: the digest of a component that is sent beside the object",
                },
                {"rule": "!has(self.verify) || has(self.image)", "message": "verify needs image: only what is in a registry has signatures"},
            ]);
        }
        if let Some(fields) = schema.pointer_mut(run).and_then(Value::as_object_mut) {
            fields.remove("settingsFrom");
            fields.remove("events");
        }
        if let Some(grants) = schema.pointer_mut(&format!("{run}/grants")) {
            without(grants, &["kubernetes"]);
        }
        if let Some(variable) = schema.pointer_mut(&format!("{run}/grants/properties/env/items")) {
            without(variable, &["valueFrom"]);
            variable["required"] = json!(["name", "value"]);
            variable["x-kubernetes-validations"] = json!([]);
        }
    }
    schema
}

fn without(schema: &mut Value, properties: &[&str]) {
    for name in properties {
        if let Some(all) = schema["properties"].as_object_mut() {
            all.remove(*name);
        }
    }
}

/// Where components are named, with all that they get.
pub(super) const SPEC: &str = "/properties/spec/properties";
pub(super) const MEMBER: &str = "/properties/spec/properties/members/items/properties";

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever names a file does so in its words; a field that is new and does must be taken out here, too.
    #[test]
    fn no_field_names_a_file() {
        fn names(schema: &Value, path: &str, found: &mut Vec<String>) {
            let Some(map) = schema.as_object() else { return };
            let described = map.get("description").and_then(Value::as_str).unwrap_or_default().to_lowercase();
            if described.contains(" file") && !described.contains("nothing in files") {
                found.push(path.to_owned());
            }
            for (name, below) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
                names(below, &format!("{path}.{name}"), found);
            }
            for below in ["items", "additionalProperties"] {
                names(&map.get(below).cloned().unwrap_or_default(), path, found);
            }
        }
        for kind in Kind::ALL {
            let (mut of_files, mut of_requests) = (Vec::new(), Vec::new());
            names(crate::spec::schema::object(kind), "", &mut of_files);
            names(&object(kind), "", &mut of_requests);
            assert!(!of_files.is_empty(), "{kind}: the words are others now");
            assert_eq!(of_requests, [""; 0], "{kind}");
        }
    }
}
