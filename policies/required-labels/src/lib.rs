//! Requires labels and annotations, each with any value or one that matches a regular expression.

use std::{collections::BTreeMap, fmt};

use regex_lite::Regex;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use verdict_sdk::{
    AdmissionRequest, Cause, Denial, Error, FieldPath, Operation, Policy, SettingsError, Validation, Validator,
};

struct RequiredLabels {
    labels: Vec<Required>,
    annotations: Vec<Required>,
}

struct Required {
    key: String,
    pattern: Option<Regex>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    labels: Vec<Entry>,
    #[serde(default)]
    annotations: Vec<Entry>,
}

/// A key alone, or an object. Not an untagged enum, whose errors would not say which field is wrong.
struct Entry {
    key: String,
    pattern: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Matching {
    key: String,
    pattern: Option<String>,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key, or {key, pattern}")
            }

            fn visit_str<E>(self, key: &str) -> Result<Entry, E> {
                Ok(Entry { key: key.to_owned(), pattern: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                let Matching { key, pattern } = Matching::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Entry { key, pattern })
            }
        }

        deserializer.deserialize_any(EntryVisitor)
    }
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    deletion_timestamp: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Policy for RequiredLabels {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        if settings.labels.is_empty() && settings.annotations.is_empty() {
            return Err(vec![SettingsError::new("", "expected at least one of labels and annotations")]);
        }
        let mut errors = Vec::new();
        let labels = required("/labels", settings.labels, &mut errors);
        let annotations = required("/annotations", settings.annotations, &mut errors);
        if errors.is_empty() { Ok(Self { labels, annotations }) } else { Err(errors) }
    }
}

fn required(path: &str, entries: Vec<Entry>, errors: &mut Vec<SettingsError>) -> Vec<Required> {
    let mut all: Vec<Required> = Vec::new();
    for (index, Entry { key, pattern }) in entries.into_iter().enumerate() {
        if key.is_empty() {
            errors.push(SettingsError::new(format!("{path}/{index}"), "expected a key, got an empty one"));
        }
        if all.iter().any(|it| it.key == key) {
            errors.push(SettingsError::new(format!("{path}/{index}"), format!("the key {key} is listed twice")));
        }
        match pattern.map(|it| Regex::new(&it)).transpose() {
            Ok(pattern) => all.push(Required { key, pattern }),
            Err(error) => errors.push(SettingsError::new(
                format!("{path}/{index}/pattern"),
                format!("expected a regular expression: {error}"),
            )),
        }
    }
    all
}

impl Validator for RequiredLabels {
    fn validate(&self, request: &AdmissionRequest) -> Result<Validation, Error> {
        // A delete has no object, and what a subresource is sent with (a Scale, a Binding) has labels of its own.
        if request.object.is_none() || !request.subresource.is_empty() {
            return Ok(Validation::allow());
        }
        let object: Object = request.object()?;
        // What is going away only loses its finalizers, and must be able to.
        if request.operation == Operation::Update && object.metadata.deletion_timestamp.is_some() {
            return Ok(Validation::allow());
        }
        let mut causes = Vec::new();
        check("label", &self.labels, object.metadata.labels, &mut causes);
        check("annotation", &self.annotations, object.metadata.annotations, &mut causes);
        if causes.is_empty() {
            return Ok(Validation::allow());
        }
        let all: Vec<&str> = causes.iter().map(|cause| cause.message.as_str()).collect();
        let message = all.join("; ");
        Ok(Validation::deny(
            causes
                .into_iter()
                .fold(Denial::new(message), |denial, cause| denial.cause(cause.field, cause.reason, cause.message)),
        ))
    }
}

fn check(name: &str, required: &[Required], found: Option<BTreeMap<String, String>>, causes: &mut Vec<Cause>) {
    let found = found.unwrap_or_default();
    let fields = FieldPath::new("metadata").field(&format!("{name}s"));
    for Required { key, pattern } in required {
        // A key with dots or a slash would read as a path.
        let field = if key.contains(['.', '/']) { fields.key(key) } else { fields.field(key) };
        match (found.get(key), pattern) {
            (None, _) => causes.push(Cause::new(field, "FieldValueRequired", format!("the {name} {key} is required"))),
            (Some(value), Some(pattern)) if !pattern.is_match(value) => causes.push(Cause::new(
                field,
                "FieldValueInvalid",
                format!("the {name} {key} must match {}, got {value:?}", pattern.as_str()),
            )),
            _ => {}
        }
    }
}

verdict_sdk::export!(RequiredLabels: Validator);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    const SETTINGS: &str = r#"{"labels": ["team", {"key": "example.org/cost-center", "pattern": "^[0-9]{4}$"}]}"#;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::validator::<RequiredLabels>(SETTINGS).check_reviews();
    }

    #[test]
    fn each_violation_names_its_field() {
        let denial =
            testing::validator::<RequiredLabels>(SETTINGS).ask_file("denied-no-labels.json").outcome.unwrap_err();
        let fields: Vec<&str> = denial.causes.iter().map(|cause| cause.field.as_str()).collect();
        assert_eq!(fields, ["metadata.labels.team", "metadata.labels[example.org/cost-center]"]);
    }

    #[test]
    fn bad_settings_are_refused_where_they_are() {
        for (settings, path) in [
            ("{}", ""),
            (r#"{"labels": ["a", {"key": "b", "pattern": "("}]}"#, "/labels/1/pattern"),
            (r#"{"label": ["a"]}"#, "/label"),
            (r#"{"annotations": [""]}"#, "/annotations/0"),
            (r#"{"labels": [1]}"#, "/labels/0"),
            (r#"{"labels": [{"key": 1}]}"#, "/labels/0/key"),
            (r#"{"labels": [{"key": "a", "regex": "x"}]}"#, "/labels/0/regex"),
            (r#"{"labels": ["a", {"key": "a", "pattern": "x"}]}"#, "/labels/1"),
        ] {
            assert_eq!(testing::settings_errors::<RequiredLabels>(settings)[0].path, path, "{settings}");
        }
    }
}
