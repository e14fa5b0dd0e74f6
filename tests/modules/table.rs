//! The same policy in every protocol gives the same verdict on the same reviews.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use verdict::spec::{Instances, Kind, PolicySpec};

use super::{annotated, annotated_as, policy, written};
use crate::support::{
    fixtures,
    host::{Host, admission},
    rego,
};

const SETTINGS: &str = r#"{"labels": ["team"]}"#;

/// Each with what it is called. Those in Rego need Go.
fn all(folder: &TempDir, mutating: bool) -> Vec<(&'static str, PathBuf)> {
    let mut all = stateful(folder, mutating);
    let metadata = |mode: &str| json!({"mutating": mutating, "executionMode": mode}).to_string();
    if let Some(module) = rego::opa() {
        all.push(("Kubewarden (OPA)", annotated_as(folder, &module, &metadata("opa"))));
    }
    // Gatekeeper's change nothing.
    if let Some(module) = rego::gatekeeper().filter(|_| !mutating) {
        all.push(("Kubewarden (Gatekeeper)", annotated_as(folder, &module, &metadata("gatekeeper"))));
    }
    all
}

/// Those that could keep something between two reviews.
fn stateful(folder: &TempDir, mutating: bool) -> Vec<(&'static str, PathBuf)> {
    let command = json!({"mutating": mutating, "executionMode": "wasi", "protocolVersion": "v1"}).to_string();
    let wapc = json!({"mutating": mutating, "protocolVersion": "v1"}).to_string();
    vec![
        ("k8s-wasm (WASI)", fixtures::module("k8s_wasm")),
        ("k8s-wasm (raw)", fixtures::module("k8s_wasm_raw")),
        ("waPC without metadata", fixtures::module("kubewarden_wapc")),
        ("Kubewarden (waPC)", annotated(folder, "kubewarden_wapc", &wapc)),
        ("Kubewarden (WASI)", annotated(folder, "kubewarden-wasi", &command)),
    ]
}

fn object(name: &str, labels: Value) -> Value {
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}, "data": {"n": 1}})
}

#[tokio::test(flavor = "multi_thread")]
async fn validators_agree_with_the_component() {
    let folder = tempfile::tempdir().unwrap();
    let component = PolicySpec {
        kind: Some(Kind::Validator),
        name: "p".to_owned(),
        settings: Some(SETTINGS.to_owned()),
        ..PolicySpec::builtin("required-labels")
    };
    let component = Host::load(vec![component]).await.unwrap();
    for (name, path) in all(&folder, false) {
        let host = Host::load(vec![policy(Kind::Validator, &path, Some(SETTINGS))]).await.unwrap();
        for labels in [json!({"team": "a"}), json!({"team": ""}), json!({"other": "a"}), json!({}), Value::Null] {
            let review = admission("u", object("cm", labels.clone()));
            let answer = host.review("/validate", &review).await;
            let expected = component.review("/validate", &review).await;
            assert_eq!(answer["response"]["uid"], "u");
            assert_eq!(answer["response"]["allowed"], expected["response"]["allowed"], "{name} {labels} {answer}");
            if answer["response"]["allowed"] == false {
                let status = &answer["response"]["status"];
                assert_eq!(
                    (&status["code"], &status["message"]),
                    (&json!(403), &json!("p: the label team is required"))
                );
            }
        }
        // The version that came is the one that goes.
        let mut review = admission("u", object("cm", json!({})));
        review["apiVersion"] = json!("admission.k8s.io/v1beta1");
        assert_eq!(host.review("/validate", &review).await["response"]["allowed"], false, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mutators_change_only_what_they_change() {
    let folder = tempfile::tempdir().unwrap();
    for (name, path) in all(&folder, true) {
        let host = Host::load(vec![policy(Kind::Mutator, &path, Some(SETTINGS))]).await.unwrap();
        let unchanged = host.review("/mutate", &admission("u", object("cm", json!({"team": "a"})))).await;
        assert_eq!(unchanged["response"], json!({"uid": "u", "allowed": true}), "{name}");
        let answer = host.review("/mutate", &admission("u", object("cm", json!({"team": "a", "change": "me"})))).await;
        let response = &answer["response"];
        assert_eq!(
            (&response["allowed"], &response["patchType"]),
            (&json!(true), &json!("JSONPatch")),
            "{name} {answer}"
        );
        let patch = STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        assert_eq!(patch, json!([{"op": "add", "path": "/metadata/labels/changed", "value": "yes"}]), "{name}");
        let denied = host.review("/mutate", &admission("u", object("cm", json!({})))).await;
        assert_eq!(denied["response"]["status"]["message"], "p: the label team is required", "{name}");
    }
}

/// Two kinds of changes that a validator must not make look like an allowed object.
#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_changes_the_object_fails() {
    let folder = tempfile::tempdir().unwrap();
    for (name, path) in all(&folder, false).into_iter().filter(|(name, _)| *name != "Kubewarden (Gatekeeper)") {
        let host = Host::load(vec![policy(Kind::Validator, &path, None)]).await.unwrap();
        let answer = host.review("/validate", &admission("u", object("cm", json!({"change": "me"})))).await;
        assert_eq!(answer["response"]["allowed"], false, "{name}");
        assert_eq!(host.count("Validator", "p", "invalid_answer"), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_review_sees_the_state_of_another() {
    let folder = tempfile::tempdir().unwrap();
    for (name, path) in stateful(&folder, false) {
        let spec = policy(Kind::Validator, &path, None);
        let reused = PolicySpec { instance_policy: Instances::Reuse, ..spec.clone() };
        let (host, reused) = (Host::load(vec![spec]).await.unwrap(), Host::load(vec![reused]).await.unwrap());
        let review = admission("u", object("state", json!({})));
        for count in 0..3 {
            let words = |answer: Value| answer["response"]["status"]["message"].as_str().unwrap_or_default().to_owned();
            assert_eq!(words(host.review("/validate", &review).await), "p: there were 0", "{name}");
            // A command ends with each review.
            let before = if name == "Kubewarden (WASI)" { 0 } else { count };
            assert_eq!(words(reused.review("/validate", &review).await), format!("p: there were {before}"), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_checked_at_load_where_the_protocol_can() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = r#"{"labels": "team"}"#;
    for (name, path) in stateful(&folder, false) {
        let loaded = Host::load(vec![policy(Kind::Validator, &path, Some(wrong))]).await;
        if name.starts_with("k8s-wasm") {
            // Its modules say so in each review.
            let host = loaded.unwrap();
            let answer = host.review("/validate", &admission("u", object("cm", json!({})))).await;
            assert_eq!(answer["response"]["status"]["code"], 500, "{name}");
            assert_eq!(host.count("Validator", "p", "guest_error"), 1, "{name}");
        } else {
            let errors = loaded.err().unwrap();
            assert!(errors.len() == 1 && errors[0].ends_with("labels: expected a list of texts"), "{name} {errors:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_the_metadata_are_the_default_match() {
    let folder = tempfile::tempdir().unwrap();
    let metadata = json!({"mutating": false, "protocolVersion": "v1", "rules": [
        {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}]});
    let path = annotated(&folder, "kubewarden_wapc", &metadata.to_string());
    let host = Host::load(vec![policy(Kind::Validator, &path, Some(SETTINGS))]).await.unwrap();
    let mut review = admission("u", object("cm", json!({})));
    assert_eq!(host.review("/validate", &review).await["response"]["allowed"], true);
    review["request"]["resource"]["resource"] = json!("pods");
    assert_eq!(host.review("/validate", &review).await["response"]["allowed"], false);

    // A module that only validates is no mutator.
    let errors = Host::load(vec![policy(Kind::Mutator, &path, None)]).await.err().unwrap();
    assert!(errors[0].ends_with("it cannot be a Mutator, only Validator"), "{errors:?}");
}

/// What the host grants nobody is answered with Kubewarden's own words, and the policy goes on.
#[tokio::test(flavor = "multi_thread")]
async fn host_calls_are_answered() {
    let host = Host::load(vec![policy(Kind::Validator, &fixtures::module("kubewarden_wapc"), None)]).await.unwrap();
    let answer = host.review("/validate", &admission("u", object("host", json!({})))).await;
    let status = &answer["response"]["status"];
    let message = status["message"].as_str().unwrap();
    assert_eq!(status["code"], 418);
    assert!(message.starts_with("p: 0 bytes; "), "{message}");
    let refused = "Policy has not been granted access to the 'net/v1/dns_lookup_host' host capability. The violation has been reported.";
    assert!(message.contains(refused), "{message}");
}

/// With `failurePolicy: Fail` no object enters because a command gave up.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_exits_with_an_error_fails() {
    let folder = tempfile::tempdir().unwrap();
    let metadata = r#"{"mutating": false, "executionMode": "wasi"}"#;
    let path = annotated(&folder, "kubewarden-wasi", metadata);
    let host = Host::load(vec![policy(Kind::Validator, &path, None)]).await.unwrap();
    let answer = host.review("/validate", &admission("u", object("exit", json!({})))).await;
    assert_eq!(answer["response"]["status"]["code"], 500, "{answer}");
    assert_eq!(host.count("Validator", "p", "trap"), 1);
}

/// What is printed before the first question is no part of an answer.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_module_prints_when_it_begins_is_not_its_answer() {
    // What the host answers is no part of a snapshot: the second begins anew for each instance.
    let call = "(import \"host\" \"call\" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))";
    let zero = "(i32.const 0) ".repeat(8);
    let calls = format!("(drop (call $call {zero}))");
    for (more, start) in [("", ""), (call, calls.as_str())] {
        let text = format!(
            "(module {more}
               (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
               (memory (export \"memory\") 1)
               (data (i32.const 64) \"hello\") (data (i32.const 128) \"{ANSWER}\")
               (func $say (param i32 i32)
                 (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1))
                 (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32))))
               (func (export \"_initialize\") {start} (call $say (i32.const 64) (i32.const 5)))
               (func (export \"validate\") (call $say (i32.const 128) (i32.const {length}))))",
            length = ANSWER.replace("\\22", "\"").len(),
        );
        let folder = tempfile::tempdir().unwrap();
        for instance_policy in [Instances::PerReview, Instances::Reuse] {
            let spec = policy(Kind::Validator, &written(&folder, &text), None);
            let host = Host::load(vec![PolicySpec { instance_policy, ..spec }]).await.unwrap();
            for _ in 0..2 {
                let answer = host.review("/validate", &admission("u", object("cm", json!({})))).await;
                assert_eq!(answer["response"], json!({"uid": "u", "allowed": true}));
            }
        }
    }
}

/// Of k8s-wasm, in the text format of Wasm.
const ANSWER: &str = "{\\22response\\22: {\\22response\\22: {\\22uid\\22: \\22u\\22, \\22allowed\\22: true}}}";
