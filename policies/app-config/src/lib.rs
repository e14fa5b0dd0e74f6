//! Keeps a ConfigMap in step with each AppConfig, a custom resource: the ConfigMap of the same name has its data.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use verdict_sdk::{
    Action, ChangeType, Controller, Error, ObjectChange, ObjectKey, Policy, SettingsError, serde_json::json,
};

struct AppConfigs {
    resync: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Settings {
    #[serde(default = "ten_minutes")]
    resync_seconds: u32,
}

fn ten_minutes() -> u32 {
    600
}

#[derive(Deserialize)]
struct AppConfig {
    metadata: Metadata,
    spec: Spec,
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    #[serde(default)]
    generation: i64,
    deletion_timestamp: Option<String>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(default)]
    data: BTreeMap<String, String>,
}

#[derive(Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    observed_generation: i64,
    config_map: String,
    entries: usize,
}

impl Policy for AppConfigs {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        let seconds = settings.resync_seconds;
        if !(1..=86_400).contains(&seconds) {
            let message = format!("expected from 1 to 86400 seconds, got {seconds}");
            return Err(vec![SettingsError::new("/resyncSeconds", message)]);
        }
        Ok(Self { resync: Duration::from_secs(seconds.into()) })
    }
}

impl Controller for AppConfigs {
    fn handle(&self, change: &ObjectChange) -> Result<Vec<Action>, Error> {
        let key = change.key()?;
        let AppConfig { metadata, spec, status } = change.object()?;
        // The ConfigMap goes with it, since it is its owner.
        if change.change_type == ChangeType::Deleted || metadata.deletion_timestamp.is_some() {
            return Ok(Vec::new());
        }
        let ObjectKey { api_version, kind, namespace, name } = key.clone();
        let owner =
            json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": metadata.uid, "controller": true});
        let mut actions = vec![Action::apply(&json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"namespace": namespace, "name": name, "ownerReferences": [owner]},
            "data": spec.data,
        }))?];
        let entries = spec.data.len();
        let written = Status { observed_generation: metadata.generation, config_map: name, entries };
        // A status that is right already is not written again: to write it is a change, of which the policy is told.
        if status.as_ref() != Some(&written) {
            let note = format!(
                "ConfigMap {} has the {entries} entries of generation {}",
                written.config_map, metadata.generation
            );
            actions.push(Action::merge_patch_status(key, &json!({"status": written})));
            actions.push(Action::event("ConfigMapWritten", note));
        }
        // Nobody tells it of changes of the ConfigMap.
        actions.push(Action::again_after(self.resync));
        Ok(actions)
    }
}

verdict_sdk::export!(AppConfigs: Controller);

#[cfg(test)]
mod tests {
    use verdict_sdk::{serde_json::Value, testing};

    use super::*;

    fn ask(file: &str) -> Vec<Value> {
        let actions = testing::controller::<AppConfigs>(r#"{"resyncSeconds": 60}"#).ask_file(file);
        actions.iter().map(Action::json).collect()
    }

    /// What an action does, in one word.
    fn deeds(actions: &[Value]) -> Vec<&str> {
        actions.iter().map(|it| it.as_object().unwrap().keys().next().unwrap().as_str()).collect()
    }

    #[test]
    fn the_sample_changes_give_the_verdict_that_they_are_named_after() {
        testing::controller::<AppConfigs>("{}").check_reviews();
    }

    #[test]
    fn a_new_one_has_a_config_map_and_a_status() {
        let actions = ask("answered-added.json");
        assert_eq!(deeds(&actions), ["apply", "patch", "event", "againAfter"]);
        let map = &actions[0]["apply"];
        assert_eq!(map["data"], json!({"COLOR": "blue", "REGION": "eu"}));
        assert_eq!(map["metadata"]["ownerReferences"][0]["uid"], "2f6cb2c0-4d1b-4f0e-8f0a-6d2a7f0b5c11");
        let patch = &actions[1]["patch"];
        assert_eq!((&patch["subresource"], &patch["kind"]), (&json!("status"), &json!("AppConfig")));
        assert_eq!(patch["patch"], json!({"status": {"observedGeneration": 1, "configMap": "web", "entries": 2}}));
        assert_eq!(actions[3], json!({"againAfter": 60}));
    }

    #[test]
    fn its_own_status_leads_to_no_other() {
        assert_eq!(deeds(&ask("answered-status-is-right.json")), ["apply", "againAfter"]);
    }

    #[test]
    fn an_old_status_is_written_anew() {
        let actions = ask("answered-other-data.json");
        assert_eq!(deeds(&actions), ["apply", "patch", "event", "againAfter"]);
        assert_eq!(actions[0]["apply"]["data"], json!({"COLOR": "green"}));
    }

    #[test]
    fn what_is_deleted_is_left_to_the_cluster() {
        assert_eq!(ask("answered-deleted.json"), Vec::<Value>::new());
    }

    #[test]
    fn bad_settings_are_refused_where_they_are() {
        for settings in [r#"{"resyncSeconds": 0}"#, r#"{"resyncSeconds": 86401}"#, r#"{"resyncSeconds": "60"}"#] {
            assert_eq!(testing::settings_errors::<AppConfigs>(settings)[0].path, "/resyncSeconds");
        }
    }
}
