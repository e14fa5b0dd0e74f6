//! ConfigMaps with labels, as the guests of `policies/fixtures/modules` judge and change them.

use serde_json::{Value, json};

use crate::support::{
    control_plane::{ControlPlane, Output},
    eventually,
};

/// Tries to create one, and prints what a mutator made of its label.
pub fn create(plane: &ControlPlane, namespace: &str, labels: Value) -> Output {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "cm", "namespace": namespace, "labels": labels}});
    let arguments = ["create", "--dry-run=server", "-o", "jsonpath={.metadata.labels.changed}", "-f", "-"];
    plane.kubectl_with(&arguments, &object.to_string())
}

/// Waits until a validator that wants the label `team`, and a mutator, are asked.
pub fn wait_until_judged(plane: &ControlPlane, namespace: &str) {
    eventually("both webhooks are live", || {
        let denied = create(plane, namespace, json!({}));
        let changed = create(plane, namespace, json!({"team": "a", "change": "me"}));
        let live = denied.stderr.contains("the label team is required") && changed.stdout == "yes";
        if live { Ok(()) } else { Err(format!("{denied}\n{changed}")) }
    });
}
