//! Denies ConfigMaps that have the key `not-allowed-value`.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};
use verdict_sdk::{AdmissionRequest, Denial, Error, NoSettings, Policy, SettingsError, Validation, Validator};

const KEY: &str = "not-allowed-value";

struct MagicValidator;

#[derive(Deserialize)]
struct ConfigMap {
    #[serde(default)]
    data: Option<BTreeMap<String, IgnoredAny>>,
}

impl Policy for MagicValidator {
    type Settings = NoSettings;

    fn new(NoSettings {}: NoSettings) -> Result<Self, Vec<SettingsError>> {
        Ok(Self)
    }
}

impl Validator for MagicValidator {
    fn validate(&self, request: &AdmissionRequest) -> Result<Validation, Error> {
        if !request.is_kind("", "ConfigMap") || request.object.is_none() {
            return Ok(Validation::allow());
        }
        let object: ConfigMap = request.object()?;
        if !object.data.unwrap_or_default().contains_key(KEY) {
            return Ok(Validation::allow());
        }
        let message = format!("value {KEY} not allowed in configmap");
        let denial = Denial::new(&message).cause(format!("data.{KEY}"), "FieldValueForbidden", message);
        Ok(Validation::deny(denial))
    }
}

verdict_sdk::export!(MagicValidator: Validator);

#[cfg(test)]
mod tests {
    use verdict_sdk::{Cause, testing};

    use super::*;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::validator::<MagicValidator>("{}").check_reviews();
    }

    #[test]
    fn the_denial_names_the_field() {
        let denied = testing::validator::<MagicValidator>("{}").ask_file("denied-not-allowed-value.json");
        let denial = denied.outcome.unwrap_err();
        assert_eq!(denial.message, "value not-allowed-value not allowed in configmap");
        let cause = Cause::new("data.not-allowed-value", "FieldValueForbidden", &denial.message);
        assert_eq!(denial.causes, [cause]);
    }

    #[test]
    fn settings_are_refused() {
        let errors = testing::settings_errors::<MagicValidator>(r#"{"key": 1}"#);
        assert_eq!(errors[0].path, "/key");
    }
}
