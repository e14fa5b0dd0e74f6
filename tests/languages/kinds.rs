//! The kinds of review that are no admission; in Go `tests/go_kinds.rs` sees each of their fields.

use std::{path::Path, time::Duration};

use serde_json::json;
use verdict::spec::PolicySpec;

use super::{Language, every_of};
use crate::support::host::{Host, access, token};

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
}
