//! What becomes of answers beside what `languages` tests: policies that say when to come again, and those that are plain functions.

use http::StatusCode;
use serde_json::{Value, json};
use verdict::spec::PolicySpec;

use crate::support::{
    fixtures,
    host::{Host, access, changed, config_map, misbehaving, token},
};

/// As their settings say, to the caller.
#[tokio::test(flavor = "multi_thread")]
async fn who_denies_may_say_when_to_come_again() {
    let policies = ["one", "two"].map(|name| misbehaving(name, "try-later", "")).concat();
    let host = Host::yaml(&policies).await;
    for route in ["/validate", "/mutate"] {
        let status: Value = host.review(route, &config_map("u")).await["response"]["status"].clone();
        assert_eq!(status["code"], 429, "{status}");
        assert_eq!(
            (&status["reason"], &status["details"]["retryAfterSeconds"]),
            (&"TooManyRequests".into(), &60.into())
        );
    }
    let host = Host::yaml(&(policies + &misbehaving("three", "deny", ""))).await;
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
    let key = json!({"apiVersion": "v1", "kind": "ConfigMap", "namespace": "shop", "name": "cm"});
    assert_eq!(host.told(&changed("cm")).await.unwrap(), json!([{"delete": key}]));
}
