//! The schema of an object in a cluster: that of a file without what would read one. What names one is known, so that the answer can say what to
//! do instead.

use serde_json::{Value, json};

use super::registered::{MEMBER, SPEC};
use crate::spec::Kind;

/// The whole object of a kind.
pub fn object(kind: Kind) -> Value {
    let mut schema = super::object(kind).clone();
    schema["properties"]["status"] = super::status::of_policies();
    for run in [SPEC, MEMBER] {
        if let Some(component) = schema.pointer_mut(&format!("{run}/component")) {
            add_rule(
                component,
                "!has(self.path)",
                "path is for files beside a server: in a cluster, use image, url or builtin",
            );
        }
        if let Some(value_from) = schema.pointer_mut(&format!("{run}/grants/properties/env/items/properties/valueFrom"))
        {
            add_rule(
                value_from,
                "!has(self.file)",
                "file is for files beside a server: in a cluster, use secretKeyRef or configMapKeyRef",
            );
        }
    }
    schema
}

fn add_rule(schema: &mut Value, rule: &str, message: &str) {
    if let Some(rules) = schema["x-kubernetes-validations"].as_array_mut() {
        rules.push(json!({"rule": rule, "message": message}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_reads_a_file_is_refused() {
        for kind in Kind::ALL {
            let text = object(kind).to_string();
            let runs = if kind == Kind::PolicyGroup { [MEMBER] } else { [SPEC] };
            assert_eq!(text.matches("!has(self.path)").count(), runs.len(), "{kind}");
            assert_eq!(text.matches("!has(self.file)").count(), runs.len(), "{kind}");
        }
    }
}
