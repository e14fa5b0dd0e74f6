//! A policy in Go that answers every kind of review with what it was asked: each field of the contract, both ways.

use http::StatusCode;
use serde_json::{Value, json};
use verdict::spec::PolicySpec;

use crate::{
    languages::kinds::changes_are_answered,
    support::{fixtures, host::Host},
};

async fn host() -> Option<Host> {
    let mut spec = PolicySpec::file("echo", &fixtures::go("fixtures/echo-go")?);
    spec.limits.time = std::time::Duration::from_secs(5);
    Some(Host::load(vec![spec]).await.unwrap())
}

fn seen(text: &Value) -> Value {
    let text = text.as_str().unwrap_or_else(|| panic!("{text}"));
    let json = text.find('{').unwrap_or_else(|| panic!("{text}"));
    // Below it are the causes.
    let mut values = serde_json::Deserializer::from_str(&text[json..]).into_iter();
    values.next().unwrap_or_else(|| panic!("{text}")).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn token_reviews() {
    let Some(host) = host().await else { return };
    let ask = async |token: &str| {
        let review = json!({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1",
            "spec": {"token": token, "audiences": ["a", "b"]}});
        host.review("/authenticate", &review).await["status"].clone()
    };
    assert_eq!(
        ask("jane").await,
        json!({"authenticated": true, "audiences": ["a", "b"], "user": {
            "username": "bearer of jane", "uid": "u-1", "groups": ["one", "two"],
            "extra": {"example.org/asked-for": ["a", "b"], "example.org/none": []}}})
    );
    assert_ne!(ask("unknown").await["authenticated"], true);
    assert_ne!(ask("rejected").await["authenticated"], true);
    assert_ne!(ask("error").await["authenticated"], true);
    for (outcome, count) in [("authenticated", 1), ("unknown", 1), ("rejected", 1), ("guest_error", 1)] {
        assert_eq!(host.count("Authenticator", "echo", outcome), count, "{}", host.metrics.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subject_access_reviews() {
    let Some(host) = host().await else { return };
    let ask = async |attributes: Value| {
        let mut spec = json!({"user": "jane", "uid": "42", "groups": ["g1", "g2"], "extra": {"k": ["v1", "v2"]}});
        spec.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        let review = json!({"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": spec});
        host.review("/authorize", &review).await["status"].clone()
    };
    let user = json!({"Username": "jane", "UID": "42", "Groups": ["g1", "g2"], "Extra": {"k": ["v1", "v2"]}});

    let answer = ask(json!({"resourceAttributes": {
        "verb": "list", "group": "apps", "version": "v1", "resource": "deployments", "subresource": "scale",
        "namespace": "ns", "name": "web",
        "fieldSelector": {"requirements": [{"key": "metadata.name", "operator": "In", "values": ["web"]}]},
        "labelSelector": {"requirements": [
            {"key": "app", "operator": "NotIn", "values": ["x", "y"]}, {"key": "team", "operator": "Exists"}]},
    }}))
    .await;
    assert_eq!(answer["allowed"], true, "{answer}");
    let expected = json!({
        "Verb": "list", "Group": "apps", "Version": "v1", "Resource": "deployments", "Subresource": "scale",
        "Namespace": "ns", "Name": "web",
        "FieldSelector": [{"Key": "metadata.name", "Operator": 0, "Values": ["web"]}],
        "LabelSelector": [
            {"Key": "app", "Operator": 1, "Values": ["x", "y"]}, {"Key": "team", "Operator": 2, "Values": []}],
    });
    assert_eq!(seen(&answer["reason"]), json!({"User": user, "Resource": expected, "NonResource": null}));

    let answer = ask(json!({"nonResourceAttributes": {"verb": "delete", "path": "/healthz"}})).await;
    assert_eq!((&answer["allowed"], &answer["denied"]), (&json!(false), &json!(true)), "{answer}");
    let expected = json!({"Verb": "delete", "Path": "/healthz"});
    assert_eq!(seen(&answer["reason"]), json!({"User": user, "Resource": null, "NonResource": expected}));

    let answer = ask(json!({"nonResourceAttributes": {"verb": "watch", "path": "/"}})).await;
    assert_eq!((&answer["allowed"], answer["denied"].as_bool().unwrap_or(false)), (&json!(false), false), "{answer}");
}

/// An update of a Deployment that came as another version than the webhook is registered for.
fn update(name: &str) -> Value {
    let group = |version: &str, kind: &str| json!({"group": "apps", "version": version, (kind): if kind == "kind" { "Deployment" } else { "deployments" }});
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u-7", "operation": "UPDATE", "name": name, "namespace": "ns",
        "kind": group("v1", "kind"), "resource": group("v1", "resource"), "subResource": "scale",
        "requestKind": group("v1beta1", "kind"), "requestResource": group("v1beta1", "resource"),
        "requestSubResource": "scale",
        "userInfo": {"username": "jane", "uid": "42", "groups": ["g1"], "extra": {"k": ["v"]}},
        "object": {"kind": "Deployment", "data": {"a": 12345678901234567890u64}}, "oldObject": {"old": true},
        "options": {"kind": "UpdateOptions"}, "dryRun": true}})
}

#[tokio::test(flavor = "multi_thread")]
async fn validating_admission_reviews() {
    let Some(host) = host().await else { return };
    let answer = host.review("/validate", &update("web")).await["response"].clone();
    let status = &answer["status"];
    let kind = |version: &str| json!({"Group": "apps", "Version": version, "Kind": "Deployment"});
    let resource = |version: &str| json!({"Group": "apps", "Version": version, "Resource": "deployments"});
    let mut expected = json!({
        "UID": "u-7", "Operation": "UPDATE", "Kind": kind("v1"), "Resource": resource("v1"), "SubResource": "scale",
        "Requested": {"Kind": kind("v1beta1"), "Resource": resource("v1beta1"), "SubResource": "scale"},
        "Namespace": "ns", "Name": "web",
        "User": {"Username": "jane", "UID": "42", "Groups": ["g1"], "Extra": {"k": ["v"]}},
        "Object": {"kind": "Deployment", "data": {"a": 12345678901234567890u64}}, "OldObject": {"old": true},
        "Options": {"kind": "UpdateOptions"}, "DryRun": true,
    });
    assert_eq!(seen(&status["message"]), expected);
    assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")));
    assert_eq!(
        status["details"]["causes"],
        json!([
            {"reason": "FieldValueInvalid", "message": "first", "field": "spec.a"},
            {"reason": "FieldValueRequired", "message": "second", "field": "spec.b"}])
    );
    assert_eq!(answer["warnings"], json!(["be warned", "twice"]));
    assert_eq!(answer["auditAnnotations"], json!({"echo.seen": "yes", "echo.by": "jane"}));

    let mut delete = update("web");
    let request = delete["request"].as_object_mut().unwrap();
    request.insert("operation".to_owned(), json!("DELETE"));
    request.insert("object".to_owned(), Value::Null);
    request.retain(|name, _| !name.starts_with("request") && name != "options");
    let answer = host.review("/validate", &delete).await["response"].clone();
    let fields = expected.as_object_mut().unwrap();
    fields.insert("Operation".to_owned(), json!("DELETE"));
    for none in ["Object", "Options", "Requested"] {
        fields.insert(none.to_owned(), Value::Null);
    }
    assert_eq!(seen(&answer["status"]["message"]), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn mutating_admission_reviews() {
    let Some(host) = host().await else { return };
    for (name, added) in
        [("json-patch", "by patch"), ("merge-patch", "by merge"), ("full", "by replacing"), ("unchanged", "")]
    {
        let answer = host.review("/mutate", &update(name)).await["response"].clone();
        assert_eq!(answer["allowed"], true, "{answer}");
        assert_eq!(answer["warnings"], json!([format!("changed: {name}")]));
        assert_eq!(answer["auditAnnotations"]["echo.changed"], name);
        let expected = (!added.is_empty()).then(|| json!([{"op": "add", "path": "/data/added", "value": added}]));
        assert_eq!(patch(&answer), expected, "{name}");
    }
    let answer = host.review("/mutate", &update("denied")).await["response"].clone();
    assert_eq!(answer["allowed"], false);
    assert_eq!(seen(&answer["status"]["message"])["Requested"]["Kind"]["Version"], "v1beta1");
}

fn patch(answer: &Value) -> Option<Value> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(answer["patch"].as_str()?).unwrap();
    Some(serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn events() {
    let Some(host) = host().await else { return };
    let (status, text) = host.post("/events/echo", r#"{"any": [1, 2]}"#).await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, r#"{"seen":{"any":[1,2]}}"#));
    let (status, text) = host.post("/events/echo", r#"{"fail": true}"#).await;
    assert!(status.is_server_error() && !text.contains("asked to fail"), "{status} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes() {
    let Some(host) = host().await else { return };
    changes_are_answered(&host, "echo").await;
}
