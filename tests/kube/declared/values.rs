//! The places of a document, and what else could stand in each.

use serde_json::{Value, json};

/// Every place below, as JSON Pointers. Settings are anything.
pub fn places_of(value: &Value, at: String, places: &mut Vec<String>) {
    if at == "/spec/settings" {
        places.push(at);
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                places_of(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), places);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places_of(item, format!("{at}/{index}"), places);
            }
        }
        _ => {}
    }
    places.push(at);
}

/// What stands there in the schema.
pub fn schema_of<'s>(schema: &'s Value, place: &str) -> &'s Value {
    let mut schema = schema;
    for name in place.split('/').skip(1) {
        schema = if schema["items"].is_object() {
            &schema["items"]
        } else if schema["properties"].get(name).is_some() {
            &schema["properties"][name]
        } else {
            &schema["additionalProperties"]
        };
    }
    schema
}

/// Other values for a place: of other types, and around the bounds of its schema.
pub fn others(value: &Value, schema: &Value) -> Vec<Value> {
    let mut others = vec![
        json!(null),
        json!("text"),
        json!(""),
        json!(5),
        json!(-1),
        json!(1.5),
        json!(true),
        json!([]),
        json!({}),
        json!(["a"]),
        json!([5]),
    ];
    match value {
        Value::Object(fields) => {
            let mut more = fields.clone();
            more.insert("zzz".to_owned(), json!(1));
            others.push(Value::Object(more));
            others.push(json!({"zzz": null}));
        }
        Value::Array(items) => {
            others.push(Value::Array([&items[..], &items[..]].concat()));
            others.push(Value::Array(items.iter().take(1).cloned().collect()));
            others.push(Value::Array([&items[..], &[json!(null)]].concat()));
            if let Some(most) = schema["maxItems"].as_u64() {
                others.push(Value::Array(
                    items.iter().cycle().take(usize::try_from(most).expect("small") + 1).cloned().collect(),
                ));
            }
        }
        Value::String(text) => {
            others.extend([
                json!(text.to_lowercase()),
                json!(text.to_uppercase()),
                json!(format!("{text} ")),
                json!(format!("{text}\n")),
            ]);
            others.extend(schema["enum"].as_array().into_iter().flatten().cloned());
            if let Some(most) = schema["maxLength"].as_u64().filter(|it| *it < 10_000) {
                let most = usize::try_from(most).expect("small");
                others.extend([json!("a".repeat(most)), json!("a".repeat(most + 1))]);
            }
        }
        Value::Number(_) => {
            for bound in ["minimum", "maximum"] {
                let bound = schema[bound].as_i64();
                others.extend(
                    bound
                        .into_iter()
                        .flat_map(|it| [it.checked_sub(1), Some(it), it.checked_add(1)])
                        .flatten()
                        .map(Value::from),
                );
            }
        }
        _ => {}
    }
    others
}
