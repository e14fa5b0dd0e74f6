//! What arrives: answers with all that they hold, objects of any size, numbers that nobody touches, and what is granted.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    every,
    guest::{GRANTED, message, named, object},
};
use crate::support::host::admission;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_arrives() {
    every(|guest| async move {
        for route in ["/validate/p", "/mutate/p"] {
            let answer = guest.ask(route, &named("invalid", "u", object())).await;
            let causes = json!([
                {"field": "data.a", "message": "must be x", "reason": "FieldValueInvalid"},
                {"field": "data.b", "message": "is missing", "reason": "FieldValueRequired"},
            ]);
            let told = "the message\n* data.a: must be x\n* data.b: is missing";
            assert_eq!((&answer["allowed"], message(&answer)), (&json!(false), told), "{route}: {answer}");
            let status = &answer["status"];
            assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")), "{route}: {answer}");
            assert_eq!(status["details"]["causes"], causes, "{route}");
        }
        let answer = guest.ask("/validate/p", &named("speak", "u", object())).await;
        assert_eq!((&answer["allowed"], &answer["warnings"]), (&json!(true), &json!(["be warned"])), "{answer}");
        assert_eq!(answer["auditAnnotations"], json!({"p.a": "b"}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_what_is_granted_and_there_are_no_files() {
    every(|guest| async move {
        assert_eq!(guest.message("p", "environment").await, GRANTED);
        if let Some(words) = guest.language.no_file {
            assert_eq!(guest.message("p", "files").await, words);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_pass_in_both_instance_modes() {
    every(|guest| async move {
        let data = (0..3000).map(|it| (format!("key-{it}"), Value::from("x".repeat(1000))));
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "data": data.collect::<serde_json::Map<_, _>>()});
        let length = object.to_string().len();
        let review = |deed: &str| named(deed, "this one", object.clone());
        let (large, raw) = (review("large"), review("raw"));
        let (read, whole) = (format!("{length} {length}"), format!("this one {}", raw.to_string().len()));
        for policy in ["p", "large"] {
            // The garbage of earlier reviews is collected while the host passes arguments.
            for _ in 0..6 {
                for (review, expected) in [(&large, &read), (&raw, &whole)] {
                    let answer = guest.ask(&format!("/validate/{policy}"), review).await;
                    assert_eq!(message(&answer), expected, "{policy}");
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_nobody_touches_survive_a_mutation() {
    const OBJECT: &str = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"cm"},
        "numbers":[1.0,1.10,1e400,-0,-0.0,0.1000000000000000055,9007199254740993,123456789012345678901234567890],
        "spec":{"big":12345678901234567890,"one":1.0,"huge":1e+400},"list":[9007199254740993,1.50,{"deep":0.10}],
        "rest":[1e+400,-0.0,100000000000000000000000]}"#;
    every(|guest| async move {
        let patch = async |deed: &str| {
            let review = named(deed, "u", json!("$OBJECT")).to_string().replace("\"$OBJECT\"", OBJECT);
            let (_, answer) = guest.host.post("/mutate/p", review).await;
            let answer: Value = serde_json::from_str(&answer).unwrap();
            let patch = answer["response"]["patch"].as_str().unwrap_or_else(|| panic!("{deed}: {answer}"));
            serde_json::from_slice::<Vec<Value>>(&BASE64_STANDARD.decode(patch).unwrap()).unwrap()
        };
        let labels = json!({"op": "add", "path": "/metadata/labels", "value": {"team": "unknown"}});
        for deed in ["change", "json-patch", "merge-patch"] {
            assert_eq!(patch(deed).await, std::slice::from_ref(&labels), "{deed}");
        }
        if guest.language.moves {
            let numbers = serde_json::from_str::<Value>(OBJECT).unwrap()["spec"].take();
            let mut expected = [
                json!({"op": "add", "path": "/list/0", "value": "first"}),
                labels,
                json!({"op": "add", "path": "/moved", "value": numbers}),
                json!({"op": "remove", "path": "/spec"}),
            ]
            .map(|it| it.to_string());
            let mut made: Vec<_> = patch("move").await.iter().map(Value::to_string).collect();
            expected.sort();
            made.sort();
            assert_eq!(made, expected);
            assert!(made.concat().contains(r#"{"big":12345678901234567890,"huge":1e+400,"one":1.0}"#), "{made:?}");
        }
        let labelled = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"labels": {}}});
        for deed in ["change", "json-patch", "merge-patch"] {
            let answer = guest.ask("/mutate/p", &named(deed, "u", labelled.clone())).await;
            assert_eq!((&answer["allowed"], &answer["patch"]), (&json!(true), &Value::Null), "{deed}");
        }
        let before = guest.host.count("Mutator", "p", "guest_error");
        let answer = guest.ask("/mutate/p", &admission("u", object())).await;
        assert_eq!(message(&answer), "the policy could not decide");
        assert_eq!(guest.host.count("Mutator", "p", "guest_error"), before + 1);
    })
    .await;
}
