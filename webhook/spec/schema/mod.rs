//! JSON Schemas of the declared objects, made of their Rust types.
//!
//! One form for [`crate::config`], which reads all extensions; [`structural`] makes that of a CRD of it, [`editor`] that of an editor.

pub mod cluster;
pub mod editor;
mod namespaced;
pub mod registered;
mod status;
pub mod structural;

use std::sync::LazyLock;

use schemars::{JsonSchema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Map, Value, json};

pub use status::replica;

use super::{
    Kind,
    declared::{
        AuthenticatorSpec, AuthorizerSpec, MutatorSpec, PolicyGroupSpec, ProviderSpec, ValidatorSpec, labels,
        manifest::PolicyManifest,
    },
};

/// The API group and version of the declared objects.
pub const API_VERSION: &str = "verdict.dev/v1alpha1";

/// The whole object of a kind.
pub fn object(kind: Kind) -> &'static Value {
    &OBJECTS[Kind::ALL.iter().position(|it| *it == kind).unwrap_or_default()]
}

/// A PolicyManifest.
pub fn manifest() -> &'static Value {
    &MANIFEST
}

static MANIFEST: LazyLock<Value> = LazyLock::new(schema::<PolicyManifest>);
static OBJECTS: LazyLock<[Value; Kind::ALL.len()]> = LazyLock::new(|| Kind::ALL.map(made));

fn made(kind: Kind) -> Value {
    let mut spec = match kind {
        Kind::Validator => schema::<ValidatorSpec>(),
        Kind::Mutator => schema::<MutatorSpec>(),
        Kind::Authorizer => schema::<AuthorizerSpec>(),
        Kind::Authenticator => schema::<AuthenticatorSpec>(),
        Kind::Provider => schema::<ProviderSpec>(),
        Kind::PolicyGroup => schema::<PolicyGroupSpec>(),
        Kind::NamespacedValidator => namespaced::spec(schema::<ValidatorSpec>(), namespaced::VALIDATOR),
        Kind::NamespacedMutator => namespaced::spec(schema::<MutatorSpec>(), namespaced::MUTATOR),
    };
    // Who only answers needs no rights in a cluster.
    let grants = if kind == Kind::PolicyGroup { &mut spec["properties"]["members"]["items"] } else { &mut spec };
    if let Some(grants) = grants["properties"]["grants"]["properties"].as_object_mut()
        && kind != Kind::Provider
    {
        grants.remove("kubernetes");
    }
    let description = spec["description"].clone();
    json!({
        "description": description,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"description": "The version of this schema.", "type": "string", "enum": [API_VERSION]},
            "kind": {"description": "What the policy has the power to do.", "type": "string", "enum": [kind.name()]},
            "metadata": metadata(kind),
            "spec": spec,
            "status": {
                "description": "What a server writes about the object; nothing in files.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
            },
        },
    })
}

/// What is checked of the head of an object; kube-apiserver has its own rules for it, and these are the same.
fn metadata(kind: Kind) -> Value {
    let name = "at most 63 lower-case letters, digits and '-', with a letter or digit at each end";
    let mut properties = json!({
        "name": {
            "description": "Unique among the objects of its kind. It becomes a path of the server and a part of audit annotations.",
            "type": "string",
            "maxLength": 63,
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            "x-expected": name,
        },
        "labels": generated(labels),
        "annotations": {
            "description": "Anything, for other programs.",
            "type": "object",
            "propertyNames": generated(labels)["propertyNames"],
            "additionalProperties": {"type": "string"},
        },
    });
    if kind.is_namespaced() {
        properties["namespace"] = json!({
            "description": "The namespace that it belongs to, and whose objects it sees. It becomes a path of the server, too.",
            "type": "string",
            "maxLength": 63,
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            "x-expected": name,
        });
    }
    properties["labels"]["description"] = json!("To find the object by.");
    for name in OF_SERVERS {
        properties[name] = json!({"description": "Written by a server; nothing in files.", "x-kubernetes-preserve-unknown-fields": true});
    }
    json!({
        "description": "What the object is called.",
        "type": "object",
        "required": if kind.is_namespaced() { &["name", "namespace"][..] } else { &["name"] },
        "properties": properties,
    })
}

fn generated(make: fn(&mut schemars::SchemaGenerator) -> schemars::Schema) -> Value {
    make(&mut SchemaSettings::default().into_generator()).to_value()
}

/// Without references, with plain enums and without null: what is absent may always be null, as kube-apiserver reads it.
pub fn schema<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let generator = settings.with_transform(RecursiveTransform(plain)).into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("title");
    }
    schema
}

fn plain(schema: &mut schemars::Schema) {
    let Some(map) = schema.as_object_mut() else { return };
    map.remove("title");
    let says_nothing = |it: &Value| it.is_null() || it == &json!([]) || it == &json!({});
    if map.get("default").is_some_and(says_nothing) {
        map.remove("default");
    }
    if let Some(Value::String(description)) = map.get_mut("description") {
        *description = joined(description);
    }
    // Of numbers, the formats of Rust.
    if map.get("format").and_then(Value::as_str).is_some_and(|it| it != "int32" && it != "int64") {
        map.remove("format");
    }
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|it| it != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            map.insert("type".to_owned(), one);
        }
    }
    // Of an option: the type itself.
    if let Some(Value::Array(mut any)) = map.remove("anyOf") {
        any.retain(|it| it.get("type").is_none_or(|it| it != "null"));
        match any.pop() {
            Some(Value::Object(one)) if any.is_empty() => merge(map, one),
            Some(last) => {
                any.push(last);
                map.insert("anyOf".to_owned(), Value::Array(any));
            }
            None => {}
        }
    }
    enumerate(map);
}

/// Lines of comments are no lines of the text, but items of lists are.
fn joined(description: &str) -> String {
    let mut text = String::new();
    for line in description.lines() {
        if !text.is_empty() {
            text.push(if line.starts_with("- ") || line.is_empty() || text.ends_with('\n') { '\n' } else { ' ' });
        }
        text.push_str(line);
    }
    text
}

/// What is said of the field counts before what its type says.
fn merge(map: &mut Map<String, Value>, of: Map<String, Value>) {
    for (key, value) in of {
        map.entry(key).or_insert(value);
    }
    enumerate(map);
}

/// Of an enum whose values have descriptions, one list of values, and their descriptions below that of the whole.
fn enumerate(map: &mut Map<String, Value>) {
    let Some(Value::Array(values)) = map.get("oneOf") else { return };
    let (mut words, mut lines) = (Vec::new(), Vec::new());
    for value in values {
        let named =
            value.get("const").into_iter().chain(value.get("enum").and_then(Value::as_array).into_iter().flatten());
        for word in named {
            if let (Some(text), Some(description)) = (word.as_str(), value["description"].as_str()) {
                lines.push(format!("- {text}: {}", description.trim_end_matches('.')));
            }
            words.push(word.clone());
        }
    }
    if words.is_empty() {
        return;
    }
    map.remove("oneOf");
    map.insert("type".to_owned(), json!("string"));
    map.insert("enum".to_owned(), words.into());
    let description = map.get("description").and_then(Value::as_str).unwrap_or_default();
    let description = format!("{description}\n{}", lines.join("\n"));
    map.insert("description".to_owned(), description.trim().into());
}

/// Of metadata, what a server writes: it is there when an object was copied out of a cluster, and means nothing here.
const OF_SERVERS: [&str; 10] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "selfLink",
];
