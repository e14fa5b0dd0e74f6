//! Schemas for editors: JSON Schema draft-07, with what is not allowed refused and messages where the editor shows any.

use serde_json::{Value, json};

/// Of all `objects`, each known by its `kind`.
pub fn any_of(objects: &[&Value]) -> Value {
    let kinds: Vec<&Value> = objects.iter().map(|it| &it["properties"]["kind"]["enum"][0]).collect();
    let each = objects.iter().zip(&kinds).map(|(object, kind)| {
        json!({"if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]}, "then": rewritten(object)})
    });
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Verdict",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {"kind": {"type": "string", "enum": kinds, "description": "What the object is."}},
        "allOf": each.collect::<Vec<_>>(),
    })
}

/// Of one object.
pub fn one(object: &Value) -> Value {
    let mut schema = rewritten(object);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema
}

fn rewritten(schema: &Value) -> Value {
    let mut schema = schema.clone();
    rewrite(&mut schema);
    schema
}

fn rewrite(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    map.remove("x-secret");
    if let Some(Value::String(words)) = map.remove("x-expected") {
        map.insert("errorMessage".to_owned(), format!("expected {words}").into());
    }
    if map.remove("x-kubernetes-int-or-string").is_some() {
        map.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if map.get("x-kubernetes-list-type").is_some_and(|it| it == "set") {
        map.insert("uniqueItems".to_owned(), json!(true));
    }
    let open = map.get("x-kubernetes-preserve-unknown-fields").is_some();
    if map.contains_key("properties") && !open {
        map.entry("additionalProperties").or_insert_with(|| json!(false));
    }
    map.retain(|key, _| !key.starts_with("x-kubernetes-"));
    for (key, value) in map.iter_mut() {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(rewrite),
            ("items" | "additionalProperties" | "propertyNames", value) => rewrite(value),
            _ => {}
        }
    }
}
