//! Deployments of several replicas have a PodDisruptionBudget.

use serde::Deserialize;
use verdict_sdk::{
    Action, ChangeType, Controller, Error, ObjectChange, ObjectKey, Policy, SettingsError,
    serde_json::{Value, json},
};

/// What the operator sets.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(example = serde_json::json!({}), example = serde_json::json!({"maxUnavailable": 2})))]
struct Settings {
    /// How many Pods of a Deployment may be missing at once.
    #[serde(default = "one")]
    #[cfg_attr(test, schemars(range(min = 1)))]
    max_unavailable: u32,
}

fn one() -> u32 {
    1
}

struct MyPolicy {
    max_unavailable: u32,
}

/// Only the fields that matter: reading the rest would cost time.
#[derive(Deserialize)]
struct Deployment {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize)]
struct Spec {
    replicas: u32,
    selector: Value,
}

impl Policy for MyPolicy {
    type Settings = Settings;

    /// Runs once, when the policy is loaded. What is wrong here is shown to the operator.
    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        if settings.max_unavailable == 0 {
            let message = "expected a whole number from 1, got 0";
            return Err(vec![SettingsError::new("/maxUnavailable", message)]);
        }
        Ok(Self {
            max_unavailable: settings.max_unavailable,
        })
    }
}

impl Controller for MyPolicy {
    /// The same change may come twice, and objects that are there already come when the policy is loaded: so it says
    /// what must be, whatever was before.
    fn handle(&self, change: &ObjectChange) -> Result<Vec<Action>, Error> {
        let ObjectKey {
            namespace, name, ..
        } = change.key()?;
        let Deployment { metadata, spec } = change.object()?;
        // Its budget goes with it, since it is its owner.
        if change.change_type == ChangeType::Deleted || metadata.deletion_timestamp.is_some() {
            return Ok(Vec::new());
        }
        let budget = format!("{name}-my-policy");
        if spec.replicas < 2 {
            let key = ObjectKey::new("policy/v1", "PodDisruptionBudget", namespace, budget);
            return Ok(vec![Action::delete(key)]);
        }
        let owner = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": metadata.uid});
        Ok(vec![Action::apply(&json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"namespace": namespace, "name": budget, "ownerReferences": [owner]},
            "spec": {"maxUnavailable": self.max_unavailable, "selector": spec.selector},
        }))?])
    }
}

verdict_sdk::export!(MyPolicy: Controller);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    #[test]
    fn the_sample_changes_give_the_verdict_that_they_are_named_after() {
        testing::controller::<MyPolicy>("{}").check_reviews();
    }

    #[test]
    fn several_replicas_have_a_budget() {
        let subject = testing::controller::<MyPolicy>(r#"{"maxUnavailable": 2}"#);
        let actions = subject.ask_file("answered-several-replicas.json");
        assert_eq!(actions.len(), 1);
        let budget = &actions[0].json()["apply"];
        assert_eq!(budget["metadata"]["name"], "web-my-policy");
        assert_eq!(
            budget["spec"],
            json!({"maxUnavailable": 2, "selector": {"matchLabels": {"app": "web"}}})
        );
    }

    #[test]
    fn one_replica_has_none() {
        let actions = testing::controller::<MyPolicy>("{}").ask_file("answered-one-replica.json");
        let budget = ObjectKey::new("policy/v1", "PodDisruptionBudget", "shop", "web-my-policy");
        assert_eq!(actions, [Action::delete(budget)]);
    }

    #[test]
    fn bad_settings_are_refused_where_they_are() {
        assert_eq!(
            testing::settings_errors::<MyPolicy>(r#"{"maxUnavailable": 0}"#)[0].path,
            "/maxUnavailable"
        );
    }

    #[test]
    fn the_schema_is_that_of_the_settings() {
        testing::check_schema(&schemars::schema_for!(Settings));
    }
}
