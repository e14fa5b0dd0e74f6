//! What SDKs make of answers. A policy that forgets to answer never allows, in no language and no kind of review. In Rust it does not compile, which the
//! SDK's own documentation tests.

use std::path::Path;

use http::StatusCode;
use serde_json::Value;
use verdict::spec::PolicySpec;

use crate::support::{
    fixtures,
    host::{Host, access, config_map, token},
    node,
};

async fn never_allows(component: &Path) {
    let mut spec = PolicySpec::file("forgetful", component);
    spec.limits.time = std::time::Duration::from_secs(5);
    let host = Host::load(vec![spec]).await.unwrap();
    for route in ["/validate", "/mutate"] {
        let answer = host.review(route, &config_map("u")).await["response"].clone();
        assert_eq!(answer["allowed"], false, "{route}: {answer}");
        assert_eq!(answer["status"]["message"], "forgetful: the policy could not decide", "{answer}");
    }
    let answer = host.review("/authenticate", &token("t")).await["status"].clone();
    assert_ne!(answer["authenticated"], true, "{answer}");
    assert!(answer["error"].is_string(), "{answer}");
    // Nothing that kube-apiserver would cache.
    let (status, answer) = host.post("/authorize", access().to_string()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    let (status, answer) = host.post("/events/forgetful", "{}").await;
    assert!(!status.is_success(), "{status} {answer}");
    for kind in ["Validator", "Mutator", "Authenticator", "Authorizer", "Provider"] {
        assert_eq!(host.count(kind, "forgetful", "guest_error"), 1, "{kind}: {}", host.metrics.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_go() {
    let Some(component) = fixtures::go("fixtures/forgetful-go") else { return };
    never_allows(&component).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_javascript() {
    let Some(component) = node::component("fixtures/forgetful-js") else { return };
    never_allows(&component).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_python() {
    let Some(component) = fixtures::python("fixtures/forgetful-python") else { return };
    never_allows(&component).await;
}

/// As their settings say, to the caller.
#[tokio::test(flavor = "multi_thread")]
async fn who_denies_may_say_when_to_come_again() {
    let policies = ["one", "two"].map(|name| crate::support::host::misbehaving(name, "try-later", "")).concat();
    let host = Host::yaml(&policies).await;
    for route in ["/validate", "/mutate"] {
        let status: Value = host.review(route, &config_map("u")).await["response"]["status"].clone();
        assert_eq!(status["code"], 429, "{status}");
        assert_eq!(
            (&status["reason"], &status["details"]["retryAfterSeconds"]),
            (&"TooManyRequests".into(), &60.into())
        );
    }
    let host = Host::yaml(&(policies + &crate::support::host::misbehaving("three", "deny", ""))).await;
    let status: Value = host.review("/validate", &config_map("u")).await["response"]["status"].clone();
    assert_eq!((&status["code"], &status["details"]["retryAfterSeconds"]), (&403.into(), &Value::Null), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_functions_are_a_policy() {
    let host = Host::load(vec![PolicySpec::file("plain", &fixtures::plain_function())]).await.unwrap();
    assert_eq!(host.review("/validate", &config_map("u")).await["response"]["allowed"], true);
    assert_eq!(host.review("/validate", &config_map("denied")).await["response"]["status"]["message"], "plain: no");
    assert!(host.review("/mutate", &config_map("u")).await["response"]["patch"].is_string());
    assert_eq!(host.review("/authenticate", &token("jane")).await["status"]["user"]["username"], "jane");
    assert_eq!(host.review("/authorize", &access()).await["status"]["allowed"], true);
    let (status, answer) = host.post("/events/plain", "1").await;
    assert_eq!((status, answer.as_str()), (StatusCode::OK, r#"{"event":1}"#));
}
