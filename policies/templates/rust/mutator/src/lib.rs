//! Adds labels that are missing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use verdict_sdk::{AdmissionRequest, Error, Mutation, Mutator, Policy, SettingsError};

/// What the operator sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(example = serde_json::json!({"labels": {"team": "unknown"}})))]
struct Settings {
    /// The labels, with the values that they get where they are missing.
    #[cfg_attr(test, schemars(extend("minProperties" = 1)))]
    labels: BTreeMap<String, String>,
}

struct MyPolicy {
    labels: BTreeMap<String, String>,
}

/// Only the fields that matter. All others stay as they are, numbers of any size too.
#[derive(Deserialize, Serialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize, Serialize)]
struct Metadata {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

impl Policy for MyPolicy {
    type Settings = Settings;

    /// Runs once, when the policy is loaded. What is wrong here is shown to the operator.
    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        if settings.labels.is_empty() {
            return Err(vec![SettingsError::new(
                "/labels",
                "expected at least one label",
            )]);
        }
        Ok(Self {
            labels: settings.labels,
        })
    }
}

impl Mutator for MyPolicy {
    fn mutate(&self, request: &AdmissionRequest) -> Result<Mutation, Error> {
        // A delete has no object.
        if request.object.is_none() {
            return Ok(Mutation::unchanged());
        }
        Mutation::change(request, |object: &mut Object| {
            let labels = object.metadata.labels.get_or_insert_default();
            for (key, value) in &self.labels {
                labels.entry(key.clone()).or_insert_with(|| value.clone());
            }
        })
    }
}

verdict_sdk::export!(MyPolicy: Mutator);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    const SETTINGS: &str = r#"{"labels": {"team": "unknown"}}"#;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::mutator::<MyPolicy>(SETTINGS).check_reviews();
    }

    #[test]
    fn bad_settings_are_refused_where_they_are() {
        for (settings, path) in [
            (r#"{"labels": {}}"#, "/labels"),
            (r#"{"labels": {"team": 1}}"#, "/labels/team"),
        ] {
            assert_eq!(testing::settings_errors::<MyPolicy>(settings)[0].path, path);
        }
    }

    #[test]
    fn the_schema_is_that_of_the_settings() {
        testing::check_schema(&schemars::schema_for!(Settings));
    }
}
