//! Schemas as CRDs want them: structural, and what they cannot say as a rule in CEL.

use serde_json::{Map, Value, json};

/// A schema of [`super::object`] as `openAPIV3Schema`.
pub fn openapi(object: &Value) -> Value {
    let mut schema = object.clone();
    // kube-apiserver knows the head of every object, and lets a CRD add only to what a name is.
    if let Some(properties) = schema["properties"].as_object_mut() {
        let name = properties["metadata"]["properties"]["name"].clone();
        properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
        properties.insert("kind".to_owned(), json!({"type": "string"}));
        properties.insert("metadata".to_owned(), json!({"type": "object", "properties": {"name": name}}));
    }
    schema["required"] = json!(["spec"]);
    rewrite(&mut schema);
    schema
}

fn rewrite(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    map.remove("x-expected");
    if map.remove("x-secret").is_some() && map.get("type").is_some_and(|it| it == "string") {
        map.insert("format".to_owned(), json!("password"));
    }
    if let Some(names) = map.remove("propertyNames") {
        rule_of_names(map, &names);
    }
    // Only one of the two may stand; what nobody named is refused by strict validation.
    if map.contains_key("properties") {
        map.remove("additionalProperties");
    }
    if map.get("x-kubernetes-preserve-unknown-fields").is_some() {
        map.remove("additionalProperties");
    }
    for (key, value) in map.iter_mut() {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(rewrite),
            ("items" | "additionalProperties", value) => rewrite(value),
            _ => {}
        }
    }
}

fn rule_of_names(map: &mut Map<String, Value>, names: &Value) {
    let pattern = names["pattern"].as_str().unwrap_or_default();
    let expected = names["x-expected"].as_str().unwrap_or_default();
    let most = names["maxLength"].as_u64().unwrap_or_default();
    let rule = json!({
        "rule": format!("self.all(key, size(key) <= {most} && key.matches(r'{pattern}'))"),
        "message": format!("expected {expected} as the name of each field"),
    });
    let rules = map.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    if let Value::Array(rules) = rules {
        rules.push(rule);
    }
}
