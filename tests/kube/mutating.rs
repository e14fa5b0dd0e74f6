//! AdmissionReview, mutating: what is stored.

use serde_json::{Value, json};

use super::cluster::{Cluster, cluster};
use crate::support::eventually;

#[test]
fn an_object_is_stored_as_changed() {
    let Some(cluster) = cluster() else { return };
    let plane = &cluster.plane;
    cluster.namespace("changed");
    plane.kubectl(&["create", "configmap", "empty", "-n", "changed"]).ok();
    plane
        .kubectl(&[
            "create",
            "configmap",
            "full",
            "-n",
            "changed",
            "--from-literal=a=b",
            "--from-literal=magic-value=mine",
        ])
        .ok();
    let data = |name: &str| stored(&cluster, "changed", "configmap", name)["data"].clone();
    assert_eq!(data("empty"), json!({"magic-value": "foobar"}));
    assert_eq!(data("full"), json!({"a": "b", "magic-value": "foobar"}));
    // Applied again, nothing changes: no new version of the object.
    let version = |name| stored(&cluster, "changed", "configmap", name)["metadata"]["resourceVersion"].clone();
    let before = version("full");
    plane.kubectl(&["annotate", "configmap", "full", "-n", "changed", "a=b"]).ok();
    let after = version("full");
    assert_ne!(before, after);
    plane.kubectl(&["annotate", "configmap", "full", "-n", "changed", "a=b", "--overwrite"]).ok();
    assert_eq!(version("full"), after);
}

#[test]
fn numbers_that_no_double_can_hold_stay() {
    let Some(cluster) = cluster() else { return };
    let plane = &cluster.plane;
    cluster.namespace("double-numbers");
    plane.kubectl_with(&["apply", "-f", "-"], &numbers_definition()).ok();
    // 2^53 + 1, the largest of all, and some that others like to respell.
    let spec = json!({"odd": 9_007_199_254_740_993_i64, "most": i64::MAX, "list": [9_007_199_254_740_995_i64, 1], "one": 1, "small": -3});
    let object = json!({
        "apiVersion": "verdict.test/v1", "kind": "Number",
        "metadata": {"name": "big", "namespace": "double-numbers"}, "spec": spec,
    })
    .to_string();
    // A definition is served a moment after it was applied.
    eventually("the number is created", || {
        let output = plane.kubectl_with(&["create", "-f", "-"], &object);
        let retried = output.stderr.contains("no matches for kind") || output.stderr.contains("not find");
        assert!(output.success() || retried, "{output}");
        if output.success() { Ok(()) } else { Err(output.stderr) }
    });
    let number = stored(&cluster, "double-numbers", "numbers", "big");
    assert_eq!(number["metadata"]["labels"]["touched"], "yes", "{number}");
    assert_eq!(number["spec"], spec);
}

#[test]
fn a_change_that_cannot_be_made_is_the_policys_failure() {
    let Some(cluster) = cluster() else { return };
    for namespace in ["patch-not-json", "patch-does-not-apply", "full-no-object"] {
        cluster.namespace(namespace);
        let refused = cluster.create(namespace, "a").refused();
        assert_eq!(
            refused,
            format!(
                "Error from server (InternalError): error when creating \"STDIN\": admission webhook \"{namespace}.verdict.test\" denied the request: {namespace}: the policy's answer is not valid\n"
            )
        );
        assert_eq!(cluster.bad.reviews(namespace, "invalid_answer"), 1);
    }
    // To the API server itself, a patch that does not apply would be an error that nothing ignores.
    cluster.namespace("patch-ignore");
    let output = cluster.create("patch-ignore", "a");
    assert_eq!(
        output.stderr,
        "Warning: patch-ignore: the policy's answer is not valid; ignored because of failurePolicy\n"
    );
    output.ok();
}

#[test]
fn a_mutator_may_deny() {
    let Some(cluster) = cluster() else { return };
    cluster.namespace("deny");
    let refused = cluster.create("deny", "a").refused();
    assert_eq!(
        refused,
        "Error from server (Forbidden): error when creating \"STDIN\": admission webhook \"deny.verdict.test\" denied the request: deny: denied on purpose\n* spec.x: x is wrong\n"
    );
    // Validators are not asked about what a mutator refused.
    assert_eq!(cluster.bad.reviews("deny", "denied"), 1);
}

fn stored(cluster: &Cluster, namespace: &str, kind: &str, name: &str) -> Value {
    let output = cluster.plane.kubectl(&["get", kind, name, "-n", namespace, "-o", "json"]).ok();
    serde_json::from_str(&output).expect("JSON")
}

fn numbers_definition() -> String {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "numbers.verdict.test"},
        "spec": {
            "group": "verdict.test",
            "scope": "Namespaced",
            "names": {"plural": "numbers", "singular": "number", "kind": "Number"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
    .to_string()
}
