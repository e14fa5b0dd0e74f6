use super::*;
use crate::review::{
    Version,
    verdict::{AdmissionVerdict, Denied},
};

const REQUEST: &str = r#"{"uid":"u1","kind":{"group":"","version":"v1","kind":"ConfigMap"},
    "resource":{"group":null,"version":"v1","resource":"configmaps"},"operation":"CREATE","name":"cm","namespace":"default",
    "userInfo":{"username":"jane","groups":null},"object":{"big":12345678901234567890123, "x" : 1.0},"oldObject":null,"dryRun":false}"#;

fn body(request: &str) -> String {
    format!(r#"{{"kind":"{KIND}","apiVersion":"{GROUP}/v1","request":{request}}}"#)
}

#[test]
fn objects_stay_as_they_came() {
    let body = body(REQUEST);
    let request = decode(body.as_bytes()).unwrap().review;
    assert_eq!(request.object.unwrap().get(), r#"{"big":12345678901234567890123, "x" : 1.0}"#);
    assert!(request.old_object.is_none());
    assert_eq!(request.request_kind, request.kind);
    assert_eq!(request.request_json()["kind"]["kind"], "ConfigMap");
}

#[test]
fn what_is_missing_is_named() {
    let without = |field: &str| {
        let mut request: Value = serde_json::from_str(REQUEST).unwrap();
        request.as_object_mut().unwrap().remove(field);
        decode(body(&request.to_string()).as_bytes()).unwrap_err().to_string()
    };
    for field in ["uid", "operation", "kind", "resource"] {
        assert_eq!(without(field), format!("request.{field} is missing"));
    }
    assert_eq!(decode(body("null").as_bytes()).unwrap_err().to_string(), "request is missing");
}

#[test]
fn deep_objects_are_passed_on_unread() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = body(&REQUEST.replace(r#"{"big":12345678901234567890123, "x" : 1.0}"#, &deep));
    assert_eq!(decode(body.as_bytes()).unwrap().review.object.unwrap().get(), deep);
}

#[test]
fn a_denial_has_no_patch_and_an_allow_no_status() {
    let body = body(REQUEST);
    let asked = decode(body.as_bytes()).unwrap().review;
    let denied =
        Denied { message: "no".into(), code: 403, reason: "Forbidden".into(), causes: Vec::new(), retry_after: None };
    let verdict = AdmissionVerdict { denial: Some(denied), patch: Some("[{}]".into()), ..AdmissionVerdict::default() };
    assert_eq!(
        String::from_utf8(encode(Version::V1, &asked, &verdict)).unwrap(),
        r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"u1","allowed":false,"status":{"status":"Failure","message":"no","reason":"Forbidden","code":403}}}"#
    );
    let verdict = AdmissionVerdict { patch: Some("[]".into()), ..AdmissionVerdict::default() };
    assert_eq!(
        String::from_utf8(encode(Version::V1Beta1, &asked, &verdict)).unwrap(),
        r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1beta1","response":{"uid":"u1","allowed":true,"patch":"W10=","patchType":"JSONPatch"}}"#
    );
}

const SCALE: &str = r#"{
    "uid": "u-1",
    "kind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
    "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
    "subResource": "scale",
    "requestKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
    "requestResource": {"group": "apps", "version": "v1beta1", "resource": "deployments"},
    "requestSubResource": "scale",
    "name": "web", "namespace": "shop", "operation": "UPDATE",
    "userInfo": {"username": "jane", "groups": ["dev"], "extra": {"k": ["v"]}},
    "object": {"spec": {"replicas": 2}}, "oldObject": {"spec": {"replicas": 1}},
    "dryRun": true,
    "options": {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1"}
}"#;

#[test]
fn conditions_see_the_whole_request_but_for_its_objects() {
    let body = body(SCALE);
    let mut expected: Value = serde_json::from_str(SCALE).unwrap();
    for object in ["object", "oldObject"] {
        expected[object] = Value::Null;
    }
    expected["uid"] = "".into();
    assert_eq!(decode(body.as_bytes()).unwrap().review.request_json(), expected);
}

#[test]
fn what_was_asked_for_is_what_matched_unless_said_otherwise() {
    let without = |fields: &[&str]| {
        let mut request: Value = serde_json::from_str(SCALE).unwrap();
        for field in fields {
            request.as_object_mut().unwrap().remove(*field);
        }
        let body = body(&request.to_string());
        decode(body.as_bytes()).unwrap().review.request_json()
    };
    let none = without(&["requestKind", "requestResource", "requestSubResource"]);
    assert_eq!(none["requestResource"], none["resource"]);
    assert_eq!(none["requestSubResource"], "scale");
    assert!(without(&["requestSubResource"]).get("requestSubResource").is_none());
}

#[test]
fn null_is_as_good_as_absent() {
    let body = body(
        r#"{"uid":"u","operation":"CONNECT","kind":{},"resource":{"group":null},"subResource":null,"requestKind":null,
        "requestResource":null,"requestSubResource":null,"name":null,"namespace":null,"userInfo":null,"object":null,
        "oldObject":null,"options":null,"dryRun":null}"#,
    );
    let request = decode(body.as_bytes()).unwrap().review;
    assert!(request.object.is_none() && request.options.is_none() && !request.dry_run);
    assert_eq!(request.user, UserInfo::default());
    assert_eq!(request.request_resource, GroupVersionResource::default());
    assert!(!request.converted);
}

#[test]
fn any_difference_to_what_the_user_named_is_a_conversion() {
    let same = json!({"uid": "u", "operation": "CREATE", "subResource": "scale",
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "requestKind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "requestResource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "requestSubResource": "scale"});
    let converted = |request: &Value| {
        let body = body(&request.to_string());
        decode(body.as_bytes()).unwrap().review.converted
    };
    assert!(!converted(&same));
    for pointer in [
        "/requestKind/group",
        "/requestKind/version",
        "/requestKind/kind",
        "/requestResource/group",
        "/requestResource/version",
        "/requestResource/resource",
        "/requestSubResource",
    ] {
        for other in ["", "scalf", "apps", "v2"] {
            let mut request = same.clone();
            let field = request.pointer_mut(pointer).unwrap();
            let differs = *field != other;
            *field = other.into();
            assert_eq!(converted(&request), differs, "{pointer} {other}");
        }
    }
}

#[test]
fn every_operation_is_known_and_no_other() {
    for operation in [Operation::Create, Operation::Update, Operation::Delete, Operation::Connect] {
        let body = body(&REQUEST.replace("CREATE", operation.name()));
        assert_eq!(decode(body.as_bytes()).unwrap().review.operation, operation);
    }
    let words = decode(body(&REQUEST.replace("CREATE", "PATCH")).as_bytes()).unwrap_err().to_string();
    assert_eq!(words, "request.operation is none of CREATE, UPDATE, DELETE and CONNECT");
}

#[test]
fn a_body_that_is_cut_off_anywhere_is_refused() {
    let whole = body(SCALE);
    for end in 1..whole.len() {
        let words = decode(&whole.as_bytes()[..end]).unwrap_err().to_string();
        assert!(words.starts_with("not JSON: cut off at line "), "{words}");
    }
}

#[test]
fn everything_that_a_denial_may_carry_is_written() {
    let body = body(SCALE);
    let asked = decode(body.as_bytes()).unwrap().review;
    let cause = |field: &str| Cause { field: field.into(), reason: "FieldValueInvalid".into(), message: "x".into() };
    let denied = Denied {
        message: "no\nway".into(),
        code: 422,
        reason: "Invalid".into(),
        causes: vec![cause("data.a"), cause("")],
        retry_after: Some(30),
    };
    let verdict = AdmissionVerdict {
        denial: Some(denied),
        patch: None,
        warnings: vec!["careful".into()],
        annotations: [("p.k".to_owned(), "v".to_owned())].into(),
    };
    let answer: Value = serde_json::from_slice(&encode(Version::V1, &asked, &verdict)).unwrap();
    assert_eq!(
        answer["response"],
        json!({
            "uid": "u-1",
            "allowed": false,
            "status": {
                "status": "Failure", "message": "no\nway", "reason": "Invalid", "code": 422,
                "details": {"name": "web", "group": "autoscaling", "kind": "Scale", "causes": [
                    {"field": "data.a", "reason": "FieldValueInvalid", "message": "x"},
                    {"reason": "FieldValueInvalid", "message": "x"},
                ], "retryAfterSeconds": 30},
            },
            "warnings": ["careful"],
            "auditAnnotations": {"p.k": "v"},
        })
    );
}
