//! Turns events of deployments into notifications.

use serde::{Deserialize, Serialize};
use verdict_sdk::{Error, Policy, Provider, SettingsError, audit};

/// What the operator sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(example = serde_json::json!({}), example = serde_json::json!({"minimum": 0.5})))]
struct Settings {
    /// The share of replicas that must be ready.
    #[serde(default = "all")]
    #[cfg_attr(test, schemars(range(min = 0, max = 1)))]
    minimum: f64,
}

fn all() -> f64 {
    1.0
}

struct MyPolicy {
    minimum: f64,
}

#[derive(Deserialize)]
struct Event {
    namespace: String,
    name: String,
    replicas: u32,
    ready: u32,
}

#[derive(Debug, Serialize)]
struct Notification {
    severity: &'static str,
    text: String,
}

impl Policy for MyPolicy {
    type Settings = Settings;

    /// Runs once, when the policy is loaded. What is wrong here is shown to the operator.
    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        if !(0.0..=1.0).contains(&settings.minimum) {
            let message = format!("expected a share from 0 to 1, got {}", settings.minimum);
            return Err(vec![SettingsError::new("/minimum", message)]);
        }
        Ok(Self {
            minimum: settings.minimum,
        })
    }
}

impl Provider for MyPolicy {
    type Event = Event;
    type Answer = Notification;

    fn handle_event(&self, event: Event) -> Result<Notification, Error> {
        let Event {
            namespace,
            name,
            replicas,
            ready,
        } = event;
        let enough = f64::from(ready) >= self.minimum * f64::from(replicas);
        let severity = if enough { "ok" } else { "warning" };
        audit("severity", severity);
        Ok(Notification {
            severity,
            text: format!("{namespace}/{name}: {ready} of {replicas} replicas are ready"),
        })
    }
}

verdict_sdk::export!(MyPolicy: Provider);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::provider::<MyPolicy>("{}").check_reviews();
    }

    #[test]
    fn a_share_of_the_replicas_can_be_enough() {
        let subject = testing::provider::<MyPolicy>(r#"{"minimum": 0.5}"#);
        let answer =
            subject.ask(r#"{"namespace": "shop", "name": "web", "replicas": 3, "ready": 2}"#);
        assert_eq!(answer["severity"], "ok");
    }

    #[test]
    fn bad_settings_are_refused_where_they_are() {
        assert_eq!(
            testing::settings_errors::<MyPolicy>(r#"{"minimum": 2}"#)[0].path,
            "/minimum"
        );
    }

    #[test]
    fn the_schema_is_that_of_the_settings() {
        testing::check_schema(&schemars::schema_for!(Settings));
    }
}
