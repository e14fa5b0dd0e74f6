//! Containers come from allowed registries.

use serde::Deserialize;
use verdict_sdk::{
    AdmissionRequest, Cause, Error, FieldPath, Policy, SettingsError, Validation, Validator,
};

/// What the operator sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(example = serde_json::json!({"registries": ["registry.example.org/"]})))]
struct Settings {
    /// Where images may come from: prefixes that end with a slash.
    #[cfg_attr(test, schemars(length(min = 1), inner(pattern("/$"))))]
    registries: Vec<String>,
}

struct MyPolicy {
    registries: Vec<String>,
}

/// Only the fields that matter: reading the rest would cost time.
#[derive(Deserialize)]
struct Pod {
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    containers: Vec<Container>,
    #[serde(default)]
    init_containers: Vec<Container>,
    #[serde(default)]
    ephemeral_containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    image: String,
}

impl Policy for MyPolicy {
    type Settings = Settings;

    /// Runs once, when the policy is loaded. What is wrong here is shown to the operator.
    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        let mut errors = Vec::new();
        if settings.registries.is_empty() {
            errors.push(SettingsError::new("/registries", "expected at least one"));
        }
        for (index, registry) in settings.registries.iter().enumerate() {
            if !registry.ends_with('/') {
                let message = format!("expected a prefix that ends with /, got {registry:?}");
                errors.push(SettingsError::new(format!("/registries/{index}"), message));
            }
        }
        if errors.is_empty() {
            Ok(Self {
                registries: settings.registries,
            })
        } else {
            Err(errors)
        }
    }
}

impl Validator for MyPolicy {
    fn validate(&self, request: &AdmissionRequest) -> Result<Validation, Error> {
        // A delete has no object, and what other subresources are sent with is no pod.
        if request.object.is_none() || !matches!(&*request.subresource, "" | "ephemeralcontainers")
        {
            return Ok(Validation::allow());
        }
        let Spec {
            containers,
            init_containers,
            ephemeral_containers,
        } = request.object::<Pod>()?.spec;
        let mut causes = Vec::new();
        self.check("containers", &containers, &mut causes);
        self.check("initContainers", &init_containers, &mut causes);
        self.check("ephemeralContainers", &ephemeral_containers, &mut causes);
        Ok(Validation::from_causes(
            format!("images must come from {}", self.registries.join(", ")),
            causes,
        ))
    }
}

impl MyPolicy {
    fn check(&self, field: &str, containers: &[Container], causes: &mut Vec<Cause>) {
        for (index, Container { image }) in containers.iter().enumerate() {
            if !self
                .registries
                .iter()
                .any(|registry| image.starts_with(registry))
            {
                let path = FieldPath::new("spec")
                    .field(field)
                    .index(index)
                    .field("image");
                let message = format!("{image} is not from an allowed registry");
                causes.push(Cause::new(path, "FieldValueForbidden", message));
            }
        }
    }
}

verdict_sdk::export!(MyPolicy: Validator);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    const SETTINGS: &str = r#"{"registries": ["registry.example.org/"]}"#;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::validator::<MyPolicy>(SETTINGS).check_reviews();
    }

    #[test]
    fn each_violation_names_its_field() {
        let denial = testing::validator::<MyPolicy>(SETTINGS)
            .ask_file("denied-init-container.json")
            .outcome
            .unwrap_err();
        assert_eq!(denial.causes[0].field, "spec.initContainers[0].image");
    }

    #[test]
    fn bad_settings_are_refused_where_they_are() {
        for (settings, path) in [
            (r#"{"registries": []}"#, "/registries"),
            (r#"{"registries": ["a/", "b"]}"#, "/registries/1"),
            (r#"{"registry": ["a/"]}"#, "/registry"),
        ] {
            assert_eq!(testing::settings_errors::<MyPolicy>(settings)[0].path, path);
        }
    }

    #[test]
    fn the_schema_is_that_of_the_settings() {
        testing::check_schema(&schemars::schema_for!(Settings));
    }
}
