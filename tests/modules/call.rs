//! Operations of waPC guests that know no reviews: behind a Provider.

use http::StatusCode;
use serde_json::json;
use verdict::spec::{Kind, PolicySpec};

use super::policy;
use crate::support::{fixtures, host::Host};

const HELLO: &str = "sample:Guest!Hello";

fn provider(operation: Option<&str>) -> PolicySpec {
    PolicySpec {
        operation: operation.map(str::to_owned),
        ..policy(Kind::Provider, &fixtures::module("wapc_echo"), None)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_answers_the_events_of_a_provider() {
    let host = Host::load(vec![provider(Some(HELLO))]).await.unwrap();
    let (status, answer) = host.post("/events/p", "1").await;
    // Nobody answers what it asks the host.
    assert_eq!((status, answer.as_str()), (StatusCode::OK, r#""Hello, 1: Host error: unknown binding: wapc""#));
    assert_eq!(host.count("Provider", "p", "answered"), 1);
    // It puts the event between quotes, which is no JSON then.
    let (status, answer) = host.post("/events/p", json!({"a": "b"}).to_string()).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{answer}");
    assert_eq!(host.count("Provider", "p", "invalid_answer"), 1);

    let host = Host::load(vec![provider(Some("sample:Guest!Bye"))]).await.unwrap();
    let (status, answer) = host.post("/events/p", "1").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{answer}");
    assert_eq!(host.count("Provider", "p", "guest_error"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_for_wapc_alone() {
    let settings = Some("{}".to_owned());
    let bare = PolicySpec { kind: None, ..provider(None) };
    let component = PolicySpec {
        kind: Some(Kind::Provider),
        operation: Some(HELLO.to_owned()),
        ..PolicySpec::builtin("caesar-cipher")
    };
    let review = PolicySpec {
        operation: Some(HELLO.to_owned()),
        ..policy(Kind::Validator, &fixtures::module("k8s_wasm"), None)
    };
    for (spec, expected) in [
        (bare, "spec.operation: this waPC module answers no reviews: declare it as a Provider with spec.operation"),
        (provider(None), "spec.operation: this waPC module answers no reviews"),
        (component, "spec.operation: only waPC modules have operations, and the protocol of this one is \"component\""),
        (
            review,
            "spec.operation: only waPC modules have operations, and the protocol of this one is \"k8s-wasm (WASI)\"",
        ),
        (PolicySpec { settings, ..provider(Some(HELLO)) }, "spec.settings: waPC has no settings"),
        (PolicySpec { kind: Some(Kind::Validator), ..provider(None) }, "it cannot be a Validator, only Provider"),
    ] {
        let errors = Host::load(vec![spec]).await.err().unwrap();
        assert!(errors.len() == 1 && errors[0].contains(expected), "{errors:?}\nexpected {expected}");
    }
}
