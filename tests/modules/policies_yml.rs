//! A `policies.yml` of Kubewarden's, and the endpoints of its server.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use verdict::config;

use super::{annotated, annotated_as};
use crate::support::{
    fixtures,
    host::{Host, admission},
    rego,
};

/// Policies of the fixture, with its metadata as it would be for pods that are created.
async fn host(folder: &TempDir, entries: &str) -> Host {
    let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}]);
    let metadata = json!({"mutating": true, "protocolVersion": "v1", "rules": rules}).to_string();
    annotated(folder, "kubewarden_wapc", &metadata);
    let file = folder.path().join("policies.yml");
    fs::write(&file, entries).unwrap();
    let specs = config::read(&[file]).unwrap_or_else(|errors| panic!("{errors:?}"));
    Host::load(specs).await.unwrap_or_else(|errors| panic!("{errors:?}"))
}

const ENTRIES: &str = "
plain:
  module: file://kubewarden_wapc.wasm
  settings: {labels: [team]}
mutates:
  module: file://kubewarden_wapc.wasm
  allowedToMutate: true
only-watches:
  module: file://kubewarden_wapc.wasm
  policyMode: monitor
  settings: {labels: [team]}
own-words:
  module: file://kubewarden_wapc.wasm
  settings: {labels: [team]}
  message: ask the platform team
";

fn review(labels: Value) -> Value {
    admission("u", json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm", "labels": labels}}))
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_are_asked_by_their_ids_about_whatever_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(&folder, ENTRIES).await;
    // A ConfigMap, though the metadata says pods.
    let denied = host.review("/validate/plain", &review(json!({}))).await["response"].clone();
    assert_eq!((&denied["uid"], &denied["allowed"]), (&json!("u"), &json!(false)));
    // As the policy said it, since nobody else has a say.
    assert_eq!(denied["status"]["message"], "the label team is required");
    assert_eq!(host.review("/validate/plain", &review(json!({"team": "a"}))).await["response"]["allowed"], true);
    // Routes without a name never ask them, and /mutate does not either.
    for path in ["/validate", "/mutate", "/mutate/mutates", "/validate/unknown", "/audit/unknown"] {
        let (status, _) = host.post(path, review(json!({})).to_string()).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_change_objects_denies_where_it_would() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(&folder, ENTRIES).await;
    let change = review(json!({"team": "a", "change": "me"}));
    let changed = host.review("/validate/mutates", &change).await["response"].clone();
    let patch: Value = serde_json::from_slice(&STANDARD.decode(changed["patch"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(patch, json!([{"op": "add", "path": "/metadata/labels/changed", "value": "yes"}]));
    assert_eq!((&changed["allowed"], &changed["patchType"]), (&json!(true), &json!("JSONPatch")));
    let denied = host.review("/validate/plain", &change).await["response"].clone();
    let words = "Request rejected by policy plain. The policy attempted to mutate the request, but it is currently configured to not \
                 allow mutations.";
    assert_eq!((&denied["allowed"], &denied["status"]["message"]), (&json!(false), &json!(words)));
    assert!(denied.get("patch").is_none());
    // Nothing can be changed where there is nothing.
    let mut deleted = review(json!({}));
    deleted["request"]["operation"] = json!("DELETE");
    deleted["request"]["object"] = Value::Null;
    assert_eq!(host.review("/validate/mutates", &deleted).await["response"]["allowed"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mode_and_the_message_count_for_validate_and_not_for_audit() {
    let folder = tempfile::tempdir().unwrap();
    let host = host(&folder, ENTRIES).await;
    let monitored = host.review("/validate/only-watches", &review(json!({}))).await["response"].clone();
    assert_eq!(monitored, json!({"uid": "u", "allowed": true}));
    assert_eq!(host.count("Validator", "only-watches", "denied"), 1);
    let audited = host.review("/audit/only-watches", &review(json!({}))).await["response"].clone();
    assert_eq!(
        (&audited["allowed"], &audited["status"]["message"]),
        (&json!(false), &json!("the label team is required"))
    );

    let own = host.review("/validate/own-words", &review(json!({}))).await["response"].clone();
    assert_eq!(own["status"]["message"], "ask the platform team");
    assert_eq!(own["status"]["details"]["causes"], json!([{"message": "the label team is required"}]));
    let audited = host.review("/audit/own-words", &review(json!({}))).await["response"].clone();
    assert_eq!(audited["status"]["message"], "the label team is required");
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_requests_are_any_json() {
    let folder = tempfile::tempdir().unwrap();
    // What is asked by hand, without an SDK that wants an AdmissionRequest.
    let command = r#"{"mutating": true, "executionMode": "wasi", "policyType": "raw"}"#;
    annotated(&folder, "kubewarden-wasi", command);
    let host = host(
        &folder,
        "raw:\n  module: file://kubewarden-wasi.wasm\n  allowedToMutate: true\n  settings: {labels: [team]}\n",
    )
    .await;
    let ask = async |request: Value| {
        let (status, text) = host.post("/validate_raw/raw", json!({"request": request}).to_string()).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["response"].clone()
    };
    let denied = ask(json!({"uid": "x", "object": {"metadata": {"name": "a"}}})).await;
    assert_eq!((&denied["uid"], &denied["allowed"]), (&json!("x"), &json!(false)));
    assert_eq!(denied["status"]["message"], "the label team is required");
    let allowed = ask(json!({"uid": 7, "object": {"metadata": {"labels": {"team": "a"}}}})).await;
    assert_eq!(allowed, json!({"uid": "", "allowed": true}));
    for body in ["{}", "[]", "nonsense"] {
        assert_eq!(host.post("/validate_raw/raw", body).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_deny_and_other_modules_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    annotated(&folder, "kubewarden-wasi", r#"{"mutating": false, "executionMode": "wasi"}"#);
    let host = host(&folder, "fails:\n  module: file://kubewarden-wasi.wasm\n").await;
    let mut failing = review(json!({}));
    failing["request"]["object"]["metadata"]["name"] = json!("exit");
    let denied = host.review("/validate/fails", &failing).await["response"].clone();
    assert_eq!((&denied["allowed"], &denied["status"]["code"]), (&json!(false), &json!(500)));
    assert_eq!(denied["status"]["message"], "the policy crashed");

    let file = folder.path().join("other.yml");
    fs::write(&file, format!("other:\n  module: file://{}\n", fixtures::module("k8s_wasm").display())).unwrap();
    let errors = Host::load(config::read(&[file]).unwrap()).await.err().unwrap();
    assert!(errors[0].ends_with("module: expected a policy of Kubewarden's; this is k8s-wasm (WASI)"), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_in_rego_answer_as_kubewarden_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let (Some(opa), Some(gatekeeper)) = (rego::opa(), rego::gatekeeper()) else { return };
    annotated_as(&folder, &opa, r#"{"mutating": false, "executionMode": "opa"}"#);
    annotated_as(&folder, &gatekeeper, r#"{"mutating": false, "executionMode": "gatekeeper"}"#);
    let (opa, gatekeeper) = (opa.file_name().unwrap().display(), gatekeeper.file_name().unwrap().display());
    let settings = "settings: {labels: [team]}";
    let host = host(
        &folder,
        &format!(
            "opa:\n  module: file://{opa}\n  {settings}\nmutates:\n  module: file://{opa}\n  allowedToMutate: true\n\
             gatekeeper:\n  module: file://{gatekeeper}\n  {settings}\n"
        ),
    )
    .await;
    for id in ["opa", "gatekeeper"] {
        for path in ["validate", "audit"] {
            let ask =
                async |labels: Value| host.review(&format!("/{path}/{id}"), &review(labels)).await["response"].clone();
            assert_eq!(ask(json!({"team": "a"})).await, json!({"uid": "u", "allowed": true}), "{id}");
            let denied = ask(json!({})).await;
            assert_eq!(
                (&denied["allowed"], &denied["status"]["message"]),
                (&json!(false), &json!("the label team is required")),
                "{id}"
            );
        }
    }
    // Whatever the metadata says.
    let change = review(json!({"team": "a", "change": "me"}));
    assert!(host.review("/validate/mutates", &change).await["response"]["patch"].is_string());
    let denied = host.review("/validate/opa", &change).await["response"].clone();
    assert!(denied["status"]["message"].as_str().unwrap().contains("attempted to mutate the request"), "{denied}");

    let raw = async |id: &str| {
        let body = json!({"request": {"uid": "x", "object": {"metadata": {"labels": {}}}}});
        let (status, text) = host.post(&format!("/validate_raw/{id}"), body.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str::<Value>(&text).unwrap()["response"].clone()
    };
    let denied = raw("opa").await;
    assert_eq!((&denied["uid"], &denied["status"]["message"]), (&json!("x"), &json!("the label team is required")));
    // What would be looked up is no list that is empty.
    let file = folder.path().join("looks-up.yml");
    fs::write(
        &file,
        format!("looks-up:\n  module: file://{opa}\n  contextAwareResources: [{{apiVersion: v1, kind: Pod}}]\n"),
    )
    .unwrap();
    let errors = Host::load(config::read(&[file]).unwrap()).await.err().unwrap();
    assert!(errors[0].contains("looks-up: module: the policy looks up objects of the cluster"), "{errors:?}");
    // Gatekeeper has no such requests.
    let refused = raw("gatekeeper").await;
    assert_eq!((&refused["allowed"], &refused["status"]["code"]), (&json!(false), &json!(500)));
}

const GROUPS: &str = "
either:
  expression: team() || owner()
  message: somebody must care
  policies:
    team: {module: 'file://kubewarden_wapc.wasm', settings: {labels: [team]}}
    owner: {module: 'file://kubewarden_wapc.wasm', settings: {labels: [owner]}}
neither:
  expression: '!team() && !fails()'
  message: nobody may care
  policies:
    team: {module: 'file://kubewarden_wapc.wasm', settings: {labels: [team]}}
    fails: {module: 'file://kubewarden-wasi.wasm'}
watched:
  expression: team()
  message: somebody must care
  policyMode: monitor
  policies:
    team: {module: 'file://kubewarden_wapc.wasm', settings: {labels: [team]}}
";

#[tokio::test(flavor = "multi_thread")]
async fn groups_decide_together() {
    let folder = tempfile::tempdir().unwrap();
    annotated(&folder, "kubewarden-wasi", r#"{"mutating": false, "executionMode": "wasi"}"#);
    let host = host(&folder, GROUPS).await;
    let ask = async |id: &str, labels: Value| {
        host.review(&format!("/validate/{id}"), &review(labels)).await["response"].clone()
    };
    assert_eq!(ask("either", json!({"owner": "a"})).await, json!({"uid": "u", "allowed": true}));
    // The first suffices: the second was asked once only.
    assert_eq!(ask("either", json!({"team": "a"})).await["allowed"], true);
    assert_eq!(
        (host.count("PolicyGroup", "either/team", "allowed"), host.count("PolicyGroup", "either/owner", "allowed")),
        (1, 1)
    );
    let denied = ask("either", json!({})).await;
    assert_eq!((&denied["allowed"], &denied["status"]["message"]), (&json!(false), &json!("somebody must care")));
    let causes = json!([
        {"field": "spec.policies.team", "message": "the label team is required"},
        {"field": "spec.policies.owner", "message": "the label owner is required"},
    ]);
    assert_eq!(denied["status"]["details"]["causes"], causes);
    // What would change the object does not count as allowed.
    let changing = ask("either", json!({"team": "a", "change": "me"})).await;
    assert_eq!(changing["status"]["details"]["causes"][0]["message"], "mutation is not allowed inside of policy group");

    assert_eq!(ask("watched", json!({})).await, json!({"uid": "u", "allowed": true}));
    assert_eq!(host.review("/audit/watched", &review(json!({}))).await["response"]["allowed"], false);
    // Members have no routes of their own.
    for path in ["/validate/either%2Fteam", "/validate/team", "/mutate/either", "/validate_raw/either"] {
        let (status, _) = host.post(path, json!({"request": {}}).to_string()).await;
        assert!(status.is_client_error(), "{path}: {status}");
    }
}

/// Without a label `!team()` is true, and `!fails()` of a member that gave up must not be.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_fails_fails_its_group() {
    let folder = tempfile::tempdir().unwrap();
    annotated(&folder, "kubewarden-wasi", r#"{"mutating": false, "executionMode": "wasi"}"#);
    let host = host(&folder, GROUPS).await;
    let mut failing = review(json!({}));
    failing["request"]["object"]["metadata"]["name"] = json!("exit");
    let denied = host.review("/validate/neither", &failing).await["response"].clone();
    assert_eq!((&denied["allowed"], &denied["status"]["code"]), (&json!(false), &json!(500)), "{denied}");
    assert_eq!(host.count("PolicyGroup", "neither/fails", "trap"), 1);
}

/// Of modules that come with rules of their own.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_ours_without_constraints_has_those_that_its_members_agree_on() {
    let rules = |resource: &str| {
        let rules =
            json!([{"apiGroups": [""], "apiVersions": ["v1"], "resources": [resource], "operations": ["CREATE"]}]);
        json!({"mutating": false, "executionMode": "wasi", "rules": rules}).to_string()
    };
    let folder = tempfile::tempdir().unwrap();
    let load = async |resources: [&str; 2]| {
        let members = ["a", "b"].iter().zip(resources).map(|(name, resource)| {
            let module = folder.path().join(format!("{resource}.wasm"));
            fs::rename(annotated(&folder, "kubewarden-wasi", &rules(resource)), &module).unwrap();
            json!({"name": name, "component": {"path": module}, "settings": {"labels": [name]}})
        });
        let spec = json!({"expression": "a() || b()", "members": members.collect::<Vec<_>>()});
        let group = json!({"apiVersion": "verdict.dev/v1alpha1", "kind": "PolicyGroup", "metadata": {"name": "g"}, "spec": spec});
        Host::load(config::parse(&group.to_string(), "g.json", folder.path()).unwrap()).await
    };
    let host = load(["pods", "pods"]).await.unwrap_or_else(|errors| panic!("{errors:?}"));
    assert_eq!(host.review("/validate", &review(json!({}))).await["response"]["allowed"], true);
    let mut pod = review(json!({}));
    pod["request"]["resource"] = json!({"group": "", "version": "v1", "resource": "pods"});
    pod["request"]["requestResource"] = pod["request"]["resource"].clone();
    let denied = host.review("/validate", &pod).await["response"].clone();
    assert_eq!((&denied["allowed"], host.count("PolicyGroup", "g", "denied")), (&json!(false), 1), "{denied}");
    let causes = json!([{"message": "a: the label a is required"}, {"message": "b: the label b is required"}]);
    assert_eq!(denied["status"]["details"]["causes"], causes);

    let errors = load(["pods", "secrets"]).await.err().unwrap();
    let words = "PolicyGroup g: spec.matchConstraints: is required, since the manifests of the members are about different requests";
    assert_eq!(errors, [format!("g.json: {words}")]);
}
