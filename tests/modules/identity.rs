//! k8s-wasm's modules that say who somebody is and what they may do.

use serde_json::json;
use verdict::spec::Kind;

use super::policy;
use crate::support::{
    fixtures,
    host::{Host, access, token},
};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_known_unknown_or_an_error() {
    let host = Host::load(vec![policy(Kind::Authenticator, &fixtures::module("k8s_wasm"), None)]).await.unwrap();
    let status = host.review("/authenticate", &token("magic-token")).await["status"].clone();
    assert_eq!(status["authenticated"], true);
    let user = json!({"username": "magic-user", "uid": "0", "groups": ["magic-group"], "extra": {"k": ["v"]}});
    assert_eq!(status["user"], user);
    let unknown = host.review("/authenticate", &token("other")).await["status"].clone();
    assert!(unknown["authenticated"] == false && unknown["error"].is_null(), "{unknown}");
    let broken = host.review("/authenticate", &token("broken-token")).await["status"].clone();
    assert!(broken["authenticated"] == false && broken["error"].is_string(), "{broken}");
    assert_eq!(host.count("Authenticator", "p", "guest_error"), 1);
    // v1beta1 goes out as it came; the module reads v1.
    let mut review = token("magic-token");
    review["apiVersion"] = json!("authentication.k8s.io/v1beta1");
    assert_eq!(host.review("/authenticate", &review).await["status"]["authenticated"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn accesses_are_allowed_denied_or_left_to_others() {
    let host = Host::load(vec![policy(Kind::Authorizer, &fixtures::module("k8s_wasm"), None)]).await.unwrap();
    for (namespace, group, allowed, denied) in [
        ("default", "magic-group", true, false),
        ("default", "other", false, false),
        ("forbidden", "magic-group", false, true),
        // A contradiction allows nothing.
        ("both", "magic-group", false, true),
    ] {
        let mut review = access();
        review["spec"]["resourceAttributes"]["namespace"] = json!(namespace);
        review["spec"]["groups"] = json!([group]);
        let status = host.review("/authorize", &review).await["status"].clone();
        let found = (status["allowed"] == true, status["denied"] == true);
        assert_eq!(found, (allowed, denied), "{namespace} {group} {status}");
    }
}
