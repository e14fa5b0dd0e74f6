//! Policies of each kind, and what they take values of.

use serde_json::{Value, json};

use super::RELEASE;

/// One of each kind, for the namespace `used`.
pub fn policies() -> Vec<Value> {
    let pods = json!({"limits": {"memory": "1Mi"}});
    let mut labels = policy("Validator", "labels", "required-labels", &json!({}));
    labels["spec"]["settingsFrom"] = json!([{"configMapKeyRef": {"name": "labels", "key": "value"}}]);
    let mut provider = policy("Provider", "caesar", "caesar-cipher", &json!({}));
    let value_from = json!({"secretKeyRef": {"name": "key", "key": "value"}});
    provider["spec"]["grants"] = json!({"env": [{"name": "SHIFT_AMOUNT", "valueFrom": value_from}]});
    let mut group = policy("PolicyGroup", "cared-for", "required-labels", &json!({"labels": ["team"]}));
    let member = json!({"name": "team", "component": group["spec"]["component"].take(), "settings": group["spec"]["settings"].take()});
    let spec = group["spec"].as_object_mut().unwrap();
    spec.retain(|_, it| !it.is_null());
    spec.extend([
        ("expression".to_owned(), json!("team()")),
        ("members".to_owned(), json!([member])),
        ("message".to_owned(), json!("somebody must care")),
    ]);
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "used", "labels": {"used": "yes"}}}),
        of_values("Secret", RELEASE, "key", "5"),
        of_values("ConfigMap", RELEASE, "labels", "labels: [team]"),
        labels,
        provider,
        group,
        policy("Mutator", "memory", "default-resources", &pods),
        policy("Authorizer", "magic", "magic-authorizer", &json!({})),
        policy("Authenticator", "magic", "magic-authenticator", &json!({})),
        policy("NamespacedValidator", "labels", "required-labels", &json!({"labels": ["team"]})),
        policy("NamespacedMutator", "memory", "default-resources", &pods),
    ]
}

pub fn policy(kind: &str, name: &str, builtin: &str, settings: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "verdict.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
        "spec": {"component": {"builtin": builtin}, "settings": settings},
    });
    let resource = if kind.ends_with("Mutator") { "pods" } else { "configmaps" };
    let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}]);
    match kind {
        "Validator" | "Mutator" | "PolicyGroup" => {
            let selector = json!({"matchLabels": {"used": "yes"}});
            object["spec"]["matchConstraints"] = json!({"namespaceSelector": selector, "resourceRules": rules});
        }
        "NamespacedValidator" | "NamespacedMutator" => {
            object["metadata"]["namespace"] = json!("used");
            object["spec"]["matchConstraints"] = json!({"resourceRules": rules});
        }
        _ => {}
    }
    object
}

pub fn of_values(kind: &str, namespace: &str, name: &str, value: &str) -> Value {
    let data = if kind == "Secret" { "stringData" } else { "data" };
    // Policies are asked about it, too.
    let labels = json!({"team": "a"});
    json!({
        "apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace, "labels": labels},
        data: {"value": value},
    })
}
