//! The kinds of review that are no admission; in Go `tests/go_kinds.rs` sees each of their fields.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};
use verdict::spec::PolicySpec;

use super::{Language, every_of};
use crate::support::host::{Host, access, changed, token};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_accesses_and_events_are_answered() {
    let component = |it: &Language| (it.built.as_ref()?.kinds.as_ref()?.component)();
    every_of(component, |language, component| async move {
        let kinds = language.built.as_ref().and_then(|it| it.kinds.as_ref()).unwrap();
        are_answered(&component, kinds.number).await;
    })
    .await;
}

/// An event's `1.10` comes back as `number`.
async fn are_answered(component: &Path, number: &str) {
    let mut spec = PolicySpec::file("p", component);
    spec.limits.time = Duration::from_secs(20);
    let host = Host::load(vec![spec]).await.unwrap();
    let known = host.review("/authenticate", &token("correct-horse")).await;
    let user =
        json!({"username": "jane", "uid": "7", "groups": ["developers"], "extra": {"example.org/team": ["a", "b"]}});
    let audiences = json!(["https://kubernetes.default.svc"]);
    assert_eq!(known["status"], json!({"authenticated": true, "user": user, "audiences": audiences}));
    for (bearer, label) in [("expired", "rejected"), ("other", "unknown"), ("raise", "guest_error")] {
        let answer = host.review("/authenticate", &token(bearer)).await;
        assert_ne!(answer["status"]["authenticated"], true, "{answer}");
        assert_eq!(host.count("Authenticator", "p", label), 1, "{}", host.metrics.text());
    }
    let mut review = access();
    assert_ne!(host.review("/authorize", &review).await["status"]["allowed"], true);
    review["spec"]["resourceAttributes"]["labelSelector"] =
        json!({"requirements": [{"key": "app", "operator": "In", "values": ["x", "y"]}]});
    let answer = host.review("/authorize", &review).await;
    assert_eq!(answer["status"], json!({"allowed": true, "reason": "app In x, y"}));
    let spec = review["spec"].as_object_mut().unwrap();
    spec.remove("resourceAttributes");
    spec.insert("nonResourceAttributes".to_owned(), json!({"verb": "get", "path": "/healthz"}));
    let answer = host.review("/authorize", &review).await;
    assert_eq!(answer["status"], json!({"allowed": false, "denied": true, "reason": "not /healthz"}));
    let (_, text) = host.post("/events/p", r#"{"a": 1.10}"#).await;
    assert_eq!(text, format!(r#"{{"event":{{"a":{number}}},"raw":11}}"#));
    changes_are_answered(&host, "p").await;
}

/// With each action, by a component that exports both interfaces of events; in Go that is another one.
pub async fn changes_are_answered(host: &Host, policy: &str) {
    let key = json!({"apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "cm"});
    let node = json!({"apiVersion": "v1", "kind": "Node", "name": "n"});
    let with = |key: &Value, more: Value| {
        let mut key = key.clone();
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    };
    let change = changed("cm");
    let expected = json!([
        {"againAfter": 2},
        {"event": {"type": "Normal", "reason": "Changed", "note": "MODIFIED true 1"}},
        {"event": {"type": "Warning", "reason": "Warned", "note": "be warned"}},
        {"apply": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "copy"}, "data": {"a": "ü"}}},
        {"patch": with(&key, json!({"type": "MergePatch", "patch": {"data": {"a": null}}}))},
        {"patch": with(&key, json!({"type": "MergePatch", "subresource": "status", "patch": {"status": {}}}))},
        {"patch": with(&node, json!({"type": "JsonPatch", "patch": [{"op": "remove", "path": "/a"}]}))},
        {"patch": with(&node, json!({"type": "JsonPatch", "subresource": "status", "patch": []}))},
        {"delete": key},
    ]);
    assert_eq!(host.told(&change).await.unwrap(), expected);
    // The first time it is seen there is no old object.
    let mut added = change.clone();
    added["type"] = json!("ADDED");
    added.as_object_mut().unwrap().retain(|name, _| name == "type" || name == "object");
    let first = host.told(&added).await.unwrap();
    assert_eq!(first[1]["event"]["note"], "ADDED false none", "{first}");
    assert_eq!(host.told(&changed("nothing")).await.unwrap(), json!([]));
    let failed = host.count("Provider", policy, "guest_error");
    for name in ["raise", "many"] {
        assert_eq!(host.told(&changed(name)).await, Err((500, "the policy could not decide")), "{name}");
    }
    assert_eq!(host.count("Provider", policy, "guest_error"), failed + 2, "{}", host.metrics.text());
    assert_eq!(host.told(&changed("refused")).await, Err((500, "the policy's answer is not valid")));
    assert_eq!(host.count("Provider", policy, "invalid_answer"), 1, "{}", host.metrics.text());
}
