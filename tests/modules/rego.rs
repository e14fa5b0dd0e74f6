//! Rego that OPA compiled: what only these modules have.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use verdict::spec::{Instances, Kind, Limits, PolicySpec};

use super::{annotated_as, policy};
use crate::support::{
    host::{Host, admission},
    rego,
    verdict::verdict,
};

const SETTINGS: &str = r#"{"labels": ["team", "owner"]}"#;

/// A policy that answers what the object says.
fn responses() -> Option<PathBuf> {
    rego::module("responses", "responses/main,responses/other")
}

fn object(labels: Value) -> Value {
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm", "labels": labels}})
}

fn saying(says: &str) -> Value {
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm"}, "data": {"says": says}})
}

async fn host(kind: Kind, path: &Path) -> Host {
    Host::load(vec![policy(kind, path, None)]).await.unwrap_or_else(|errors| panic!("{errors:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_the_policys_own_but_for_its_uid() {
    let Some(path) = responses() else { return };
    let host = host(Kind::Validator, &path).await;
    let ask = async |says: Value| host.review("/validate", &admission("u", saying(&says.to_string()))).await;
    let allowed =
        ask(json!({"uid": "x", "allowed": true, "warnings": ["careful"], "auditAnnotations": {"k": "v"}})).await;
    assert_eq!(
        allowed["response"],
        json!({"uid": "u", "allowed": true, "warnings": ["careful"], "auditAnnotations": {"p.k": "v"}})
    );
    let status = json!({"message": "no", "code": 418, "reason": "Teapot", "details": {"causes": [{"field": "f", "message": "m"}]}});
    let denied = ask(json!({"allowed": false, "status": status})).await["response"].clone();
    assert_eq!((&denied["uid"], &denied["allowed"]), (&json!("u"), &json!(false)));
    let said = &denied["status"];
    assert_eq!(
        (&said["message"], &said["code"], &said["reason"]),
        (&json!("p: no\n* f: m"), &json!(418), &json!("Teapot"))
    );
    assert_eq!(said["details"]["causes"], json!([{"field": "f", "message": "m"}]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_is_a_failure_of_its_own() {
    let Some(path) = responses() else { return };
    // Enough for the builtins to be what is used up first, on a busy machine too.
    let limits = Limits { time: Duration::from_secs(30), memory: 512 << 20, ..Limits::default() };
    let spec = PolicySpec { limits, ..policy(Kind::Validator, &path, None) };
    let host = Host::load(vec![spec]).await.unwrap();
    let ask = async |object: Value| {
        let answer = host.review("/validate", &admission("u", object)).await;
        assert_eq!(
            (&answer["response"]["allowed"], &answer["response"]["status"]["code"]),
            (&json!(false), &json!(500))
        );
    };
    // Undefined, and of another form.
    ask(object(json!({}))).await;
    ask(saying("nonsense")).await;
    ask(saying("[]")).await;
    assert_eq!(host.count("Validator", "p", "invalid_answer"), 3);
    // OPA gives up.
    ask(saying("!conflict")).await;
    assert_eq!(host.count("Validator", "p", "trap"), 1);
    // More than builtins may do.
    ask(saying("!widths")).await;
    assert_eq!(host.count("Validator", "p", "fuel"), 1);
}

/// A snapshot would keep it.
#[tokio::test(flavor = "multi_thread")]
async fn the_clock_goes_on_between_reviews_and_stands_still_within_one() {
    let Some(path) = responses() else { return };
    let host = host(Kind::Validator, &path).await;
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut before = now();
    for _ in 0..3 {
        let answer = host.review("/validate", &admission("u", saying("!clock"))).await;
        let message = answer["response"]["status"]["message"].as_str().unwrap().to_owned();
        let (time, passed) = message.strip_prefix("p: ").unwrap().split_once(' ').unwrap();
        let time = Duration::from_nanos(time.parse().unwrap());
        assert!(before <= time && time <= now(), "{message}");
        assert_eq!(passed, "0");
        before = time;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_violation_of_gatekeepers_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let Some(module) = rego::gatekeeper() else { return };
    let path = annotated_as(&folder, &module, r#"{"mutating": false, "executionMode": "gatekeeper"}"#);
    let host = Host::load(vec![policy(Kind::Validator, &path, Some(SETTINGS))]).await.unwrap();
    let answer = host.review("/validate", &admission("u", object(json!({"x": "y"})))).await;
    let status = &answer["response"]["status"];
    // A set has no order.
    let mut messages: Vec<_> = status["message"].as_str().unwrap().strip_prefix("p: ").unwrap().split(", ").collect();
    messages.sort_unstable();
    assert_eq!(messages, ["the label owner is required", "the label team is required"]);
    assert_eq!(status["code"], 403);
}

/// Its list is no response: the operator is told what to do, and nothing is allowed.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_gatekeepers_without_metadata_allows_nothing() {
    let Some(module) = rego::gatekeeper() else { return };
    let host = host(Kind::Validator, &module).await;
    let answer = host.review("/validate", &admission("u", object(json!({"team": "a", "owner": "b"})))).await;
    assert_eq!(answer["response"]["allowed"], false);
    assert_eq!(host.count("Validator", "p", "invalid_answer"), 1);
}

/// Before version 1.2 there was no `opa_eval`, and before 1.1 no export of the memory.
#[tokio::test(flavor = "multi_thread")]
async fn modules_of_the_first_version_of_the_abi_run() {
    let folder = tempfile::tempdir().unwrap();
    let Some(module) = rego::opa() else { return };
    let mut bytes = fs::read(module).unwrap();
    rename(&mut bytes, b"\x08opa_eval\0", b"\x08opa_none\0");
    rename(&mut bytes, b"\x06memory\x02\0", b"\x06noname\x02\0");
    let path = folder.path().join("old.wasm");
    fs::write(&path, bytes).unwrap();
    let host = Host::load(vec![policy(Kind::Validator, &path, Some(SETTINGS))]).await.unwrap();
    for (labels, allowed) in [(json!({"team": "a"}), false), (json!({"team": "a", "owner": "b"}), true)] {
        let answer = host.review("/validate", &admission("u", object(labels))).await;
        assert_eq!(answer["response"]["allowed"], allowed, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_cannot_have_here_is_told_at_load() {
    let folder = tempfile::tempdir().unwrap();
    let Some(module) = rego::opa() else { return };
    let metadata = r#"{"mutating": false, "executionMode": "opa", "contextAwareResources": [{"apiVersion": "v1", "kind": "Pod"}]}"#;
    let errors = Host::load(vec![policy(Kind::Validator, &annotated_as(&folder, &module, metadata), None)]).await;
    let errors = errors.err().unwrap();
    assert!(errors[0].contains("looks up objects of the cluster (contextAwareResources)"), "{errors:?}");

    let Some(module) = rego::module("unserved", "unserved/main") else { return };
    let errors = Host::load(vec![policy(Kind::Validator, &module, None)]).await.err().unwrap();
    assert!(errors[0].contains("not served here: http.send, opa.runtime"), "{errors:?}");
}

/// The first one is asked; `inspect` tells that, and what is called of the host.
#[test]
fn inspect_tells_what_is_asked_and_called() {
    let Some(path) = responses() else { return };
    let (_, told, _) = verdict(&["inspect", path.to_str().unwrap(), "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["protocol"], "Kubewarden (OPA)");
    assert_eq!(told["entrypoints"], json!(["responses/main", "responses/other"]));
    assert_eq!(told["builtins"], json!(["sprintf", "time.now_ns"]));
}

/// Whether reviews start from a snapshot or not.
#[tokio::test(flavor = "multi_thread")]
async fn settings_are_data_from_the_first_review_on() {
    let folder = tempfile::tempdir().unwrap();
    let Some(module) = rego::opa() else { return };
    let mut bytes = fs::read(&module).unwrap();
    // A name that the snapshot tool refuses.
    rename(&mut bytes, b"\x12opa_value_add_path\0", b"\x12__wizer_is_refused\0");
    let without = folder.path().join("without.wasm");
    fs::write(&without, bytes).unwrap();
    let (_, told, _) = verdict(&["inspect", without.to_str().unwrap()]);
    assert!(told.contains("init; no snapshot: input Wasm module already exports"), "{told}");
    for module in [module, without] {
        let spec = policy(Kind::Validator, &module, Some(SETTINGS));
        let reused = PolicySpec { name: "r".to_owned(), instance_policy: Instances::Reuse, ..spec.clone() };
        let other = PolicySpec { name: "q".to_owned(), ..policy(Kind::Validator, &module, Some("{}")) };
        let host = Host::load(vec![spec, reused, other]).await.unwrap();
        for _ in 0..3 {
            for name in ["p", "r"] {
                let answer =
                    host.review(&format!("/validate/{name}"), &admission("u", object(json!({"team": "a"})))).await;
                let words = format!("{name}: the label owner is required");
                assert_eq!(answer["response"]["status"]["message"], words, "{answer}");
            }
            let answer = host.review("/validate/q", &admission("u", object(json!({})))).await;
            assert_eq!(answer["response"]["allowed"], true, "{answer}");
        }
    }
}

/// Another name of the same length for an export; what else looks like it comes before.
fn rename(module: &mut [u8], export: &[u8], other: &[u8]) {
    let at = module.windows(export.len()).rposition(|it| it == export).unwrap();
    module[at..at + export.len()].copy_from_slice(other);
}
