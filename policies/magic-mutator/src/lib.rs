//! Adds `magic-value: foobar` to the data of every ConfigMap.

use serde_json::{Value, json};
use verdict_sdk::{AdmissionRequest, Error, Mutation, Mutator, NoSettings, Patch, Policy, SettingsError};

const KEY: &str = "magic-value";
const VALUE: &str = "foobar";

struct MagicMutator;

impl Policy for MagicMutator {
    type Settings = NoSettings;

    fn new(NoSettings {}: NoSettings) -> Result<Self, Vec<SettingsError>> {
        Ok(Self)
    }
}

impl Mutator for MagicMutator {
    fn mutate(&self, request: &AdmissionRequest) -> Result<Mutation, Error> {
        if !request.is_kind("", "ConfigMap") || request.object.is_none() {
            return Ok(Mutation::unchanged());
        }
        let object: Value = request.object()?;
        let mut patch = Patch::new();
        match object.get("data") {
            Some(Value::Object(data)) if data.get(KEY).and_then(Value::as_str) == Some(VALUE) => {
                return Ok(Mutation::unchanged());
            }
            Some(Value::Object(_)) => patch.add(format!("/data/{KEY}"), VALUE),
            _ => patch.add("/data", json!({KEY: VALUE})),
        };
        Ok(Mutation::json_patch(patch))
    }
}

verdict_sdk::export!(MagicMutator: Mutator);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::mutator::<MagicMutator>("{}").check_reviews();
    }
}
