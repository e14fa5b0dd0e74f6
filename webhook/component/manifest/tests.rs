use serde_json::json;

use super::schema::Schema;
use super::*;

const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fn manifest() -> Manifest {
    Manifest {
        name: "team-labels".to_owned(),
        version: Some("1.2.3".to_owned()),
        description: Some("Requires a team.".to_owned()),
        authors: vec!["Jane <jane@example.org>".to_owned()],
        license: Some("Apache-2.0 OR MIT".to_owned()),
        source: Some("https://example.org/team-labels".to_owned()),
        settings: Some(json!({"type": "object", "examples": [{"a": 1}]})),
        match_constraints: Some(json!({"resourceRules": []})),
        match_conditions: None,
        reads: vec!["spec.containers[].image".into()],
        imports: Some(vec![Import::Review]),
        grants: Wanted { env: [("KEY".to_owned(), "signs".to_owned())].into(), log: true },
    }
}

#[test]
fn a_manifest_survives_the_component() {
    let bytes = embed(COMPONENT, &manifest()).unwrap();
    assert_eq!(embedded(&bytes).unwrap(), Some(manifest()));
    assert_eq!(embedded(COMPONENT).unwrap(), None);
    assert_eq!(embed(COMPONENT, &manifest()).unwrap(), bytes);
    assert_eq!(manifest().examples(), [json!({"a": 1})]);
    // As other tools read it.
    let wasm_metadata::Payload::Component { metadata, .. } = wasm_metadata::Payload::from_binary(&bytes).unwrap()
    else {
        panic!("no component");
    };
    assert_eq!(metadata.name.as_deref(), Some("team-labels"));
    assert_eq!(metadata.version.map(|it| it.to_string()).as_deref(), Some("1.2.3"));
}

#[test]
fn a_field_of_another_shape_is_named() {
    let wrong = embed(COMPONENT, &Manifest { license: Some("all mine".to_owned()), ..manifest() });
    assert!(wrong.unwrap_err().to_string().contains("license: "));
    let wrong = embed(COMPONENT, &Manifest { source: Some("here".to_owned()), ..manifest() });
    assert!(wrong.unwrap_err().to_string().contains("source: "));
}

#[test]
fn a_hostile_section_is_refused() {
    let section = |data: &[u8]| {
        use wasm_encoder::{ComponentSection as _, Encode as _};
        let section = wasm_encoder::CustomSection { name: section::NAME.into(), data: data.into() };
        let mut bytes = COMPONENT.to_vec();
        bytes.push(section.id());
        section.encode(&mut bytes);
        embedded(&bytes)
    };
    assert!(section(b"{}").is_err());
    assert!(section(br#"{"name": "\u001b[2J"}"#).is_err());
    assert!(section(&vec![b' '; 300 << 10]).is_err());
    assert!(section(br#"{"name": "a"}"#).unwrap().is_some());
}

#[test]
fn settings_are_checked_with_their_paths() {
    let schema = Schema::compile(&json!({
        "type": "object",
        "required": ["labels"],
        "additionalProperties": false,
        "properties": {"labels": {"type": "array", "items": {"anyOf": [
            {"type": "string", "pattern": "^[a-z]+$"},
            {"type": "object", "required": ["key"]},
        ]}}},
    }))
    .unwrap();
    assert!(schema.check(&json!({"labels": ["a", {"key": 1}]})).is_empty());
    for (settings, path, words) in [
        (json!({}), "", "labels"),
        (json!({"labels": 1}), "/labels", "array"),
        (json!({"labels": [], "more": 1}), "", "more"),
        (json!({"labels": ["a", "B"]}), "/labels/1", "none of the allowed forms fits"),
    ] {
        let found = schema.check(&settings);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].path, path, "{found:?}");
        assert!(found[0].message.contains(words), "{found:?}");
    }
}

/// Messages go to logs, and settings may be secrets: the rule and the place are enough to mend one.
#[test]
fn no_value_of_a_setting_is_told() {
    let schema = Schema::compile(&json!({
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "properties": {
            "pattern": {"pattern": "^[0-9]+$"},
            "enum": {"enum": ["a", "b"]},
            "const": {"const": "a"},
            "type": {"type": "integer"},
            "short": {"maxLength": 3},
            "long": {"minLength": 300},
            "least": {"minimum": 900_000},
            "most": {"maximum": 1},
            "above": {"exclusiveMinimum": 900_000},
            "below": {"exclusiveMaximum": 1},
            "multiple": {"multipleOf": 2},
            "not": {"not": {"type": "string"}},
            "any": {"anyOf": [{"pattern": "^a"}, {"maxLength": 1}]},
            "one": {"oneOf": [{"pattern": "^a"}, {"maxLength": 1}]},
            "items": {"contains": {"const": "a"}},
            "unique": {"uniqueItems": true},
            "names": {"propertyNames": {"pattern": "^[a-z]$"}},
        },
    }))
    .unwrap();
    let text = "hunter2";
    let settings = json!({
        "pattern": text, "enum": text, "const": text, "type": text, "short": text, "long": text,
        "least": 73737, "most": 73737, "above": 73737, "below": 73737, "multiple": 73737,
        "not": text, "any": text, "one": text, "items": [text], "unique": [text, text],
    });
    let mut found = schema.check(&settings);
    let told: std::collections::BTreeSet<&str> = found.iter().filter_map(|it| it.path.split('/').nth(1)).collect();
    let fields: std::collections::BTreeSet<&str> = settings.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(told, fields, "{found:?}");
    found.extend(schema.check(&json!({"names": {"A1": text}})));
    assert!(found.last().unwrap().message.starts_with("the name of the field A1: expected"), "{found:?}");
    for violation in &found {
        assert!(!violation.message.contains(text) && !violation.message.contains("73737"), "{violation:?}");
        // Nor how long it is.
        assert!(!violation.message.contains('7'), "{violation:?}");
        assert!(!violation.message.is_empty());
    }
}

#[test]
fn numbers_beyond_doubles_are_numbers() {
    let schema = Schema::compile(&json!({"properties": {"a": {"type": "integer", "minimum": 1}}})).unwrap();
    let settings: Value = serde_json::from_str(r#"{"a": 123456789012345678901234567890}"#).unwrap();
    assert_eq!(schema.check(&settings), []);
    assert_eq!(schema.check(&json!({"a": 0})).len(), 1);
}

/// A schema must not read files of the machine that checks it.
#[test]
fn a_schema_refers_to_nothing_outside() {
    for reference in ["file:///etc/passwd", "https://example.org/schema.json", "other.json"] {
        let error = Schema::compile(&json!({"$ref": reference})).err().unwrap();
        assert!(error.contains("must not refer") || error.contains("no"), "{error}");
    }
    assert!(Schema::compile(&json!({"type": "nonsense"})).is_err());
    assert!(Schema::compile(&json!({"properties": {"a": {"pattern": "("}}})).is_err());
}
