//! The reviews that are sent, as kube-apiserver writes them: compact, with every field it always fills in.

use serde_json::{Value, json};

/// An AdmissionReview of a small ConfigMap that has the labels which `required-labels` asks for.
pub(crate) fn config_map() -> String {
    admission(&json!({"a": "1"}))
}

/// The same with a megabyte in it.
pub(crate) fn large_config_map() -> String {
    let line = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCD\n";
    let data: serde_json::Map<String, Value> =
        (0..16).map(|it| (format!("file-{it}"), line.repeat((1 << 20) / 16 / line.len()).into())).collect();
    admission(&Value::Object(data))
}

fn admission(data: &Value) -> String {
    let kind = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    let resource = json!({"group": "", "version": "v1", "resource": "configmaps"});
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": UID,
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": "settings",
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:ci:deployer",
                "uid": "b7b7b2b6-9b3d-4b2f-8f3e-0e4d6c1a2f10",
                "groups": ["system:serviceaccounts", "system:serviceaccounts:ci", "system:authenticated"]
            },
            "object": {
                "kind": "ConfigMap",
                "apiVersion": "v1",
                "metadata": {
                    "name": "settings",
                    "namespace": "default",
                    "uid": "2f0c9a52-3c5b-4f5e-9f5d-7a1f7d3e8b11",
                    "creationTimestamp": "2026-01-05T08:00:00Z",
                    "labels": {"team": "a", "example.org/cost-center": "1234"},
                    "annotations": {"example.org/commit": "4f0c1d2e"},
                    "managedFields": [{
                        "manager": "deployer",
                        "operation": "Update",
                        "apiVersion": "v1",
                        "time": "2026-01-05T08:00:00Z",
                        "fieldsType": "FieldsV1",
                        "fieldsV1": {"f:data": {".": {}, "f:a": {}}, "f:metadata": {"f:labels": {".": {}, "f:team": {}}}}
                    }]
                },
                "data": data
            },
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "deployer"}
        }
    })
    .to_string()
}

/// A TokenReview that `magic-authenticator` knows.
pub(crate) fn token() -> String {
    json!({
        "kind": "TokenReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"creationTimestamp": null},
        "spec": {"token": "magic-token", "audiences": ["https://kubernetes.default.svc.cluster.local"]},
        "status": {"user": {}}
    })
    .to_string()
}

/// A SubjectAccessReview that `magic-authorizer` allows.
pub(crate) fn access() -> String {
    json!({
        "kind": "SubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": null},
        "spec": {
            "resourceAttributes": {"namespace": "default", "verb": "list", "version": "v1", "resource": "configmaps"},
            "user": "jane",
            "groups": ["magic-group", "system:authenticated"]
        },
        "status": {"allowed": false}
    })
    .to_string()
}

/// Of every AdmissionReview that is sent.
pub(crate) const UID: &str = "705ab4f5-6393-11e8-b7cc-42010a800002";
