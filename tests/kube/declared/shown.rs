//! What people see of policies with kubectl: columns, explanations, conditions to wait for, and why an object is refused.

use serde_json::{Value, json};

use super::installed;

fn policy(kind: &str, name: &str, spec: &Value) -> Value {
    let mut metadata = json!({"name": name});
    if kind.starts_with("Namespaced") {
        metadata["namespace"] = json!("shown");
    }
    json!({"apiVersion": "verdict.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
}

#[test]
fn kubectl_shows_how_policies_fare() {
    let Some(cluster) = installed() else { return };
    let kubectl = |args: &[&str]| cluster.plane.kubectl(args).ok();
    let _ = cluster.plane.kubectl(&["create", "namespace", "shown"]);
    let component = format!("sha256:{}", "5f3a".repeat(16));
    let status = json!({"status": {
        "observedGeneration": 1,
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "Registered", "lastTransitionTime": "2026-11-23T00:00:00Z"},
        ],
        "replicas": {"ready": 2, "total": 2},
        "component": component, "interfaces": ["validating"], "mode": "Deny", "message": "all is well",
        "accepted": {"webhook": {"anything": [1]}},
    }});
    for (kind, short) in [("Validator", "vval"), ("NamespacedValidator", "nvval")] {
        let object = policy(kind, "seen-labels", &json!({"component": {"image": "registry.example.org/labels:1"}}));
        cluster.plane.kubectl_with(&["apply", "--validate=strict", "-f", "-"], &object.to_string()).ok();
        let patch = status.to_string();
        let patched =
            ["patch", short, "seen-labels", "-n", "shown", "--subresource=status", "--type=merge", "-p", &patch];
        kubectl(&patched);
        let table = kubectl(&["get", short, "seen-labels", "-n", "shown"]);
        let words: Vec<Vec<&str>> = table.lines().map(|it| it.split_whitespace().collect()).collect();
        assert_eq!(words[0], ["NAME", "READY", "MODE", "COMPONENT", "AGE"], "{table}");
        assert_eq!(words[1][..4], ["seen-labels", "True", "Deny", &component], "{table}");
        let wide = kubectl(&["get", short, "seen-labels", "-n", "shown", "-o", "wide"]);
        assert!(wide.contains("MESSAGE") && wide.contains("all is well"), "{wide}");
        let resource = format!("{short}/seen-labels");
        kubectl(&["wait", "--for=condition=Ready", &resource, "-n", "shown", "--timeout=5s"]);
        let kept = kubectl(&[
            "get",
            short,
            "seen-labels",
            "-n",
            "shown",
            "-o",
            "jsonpath={.status.accepted.webhook.anything[0]}",
        ]);
        assert_eq!(kept, "1");
        // Whoever may write the object cannot thereby say how it fares.
        let forged = json!({"spec": {"order": 5}, "status": {"mode": "Forged"}}).to_string();
        kubectl(&["patch", short, "seen-labels", "-n", "shown", "--type=merge", "-p", &forged]);
        let mode = kubectl(&["get", short, "seen-labels", "-n", "shown", "-o", "jsonpath={.status.mode}"]);
        assert_eq!(mode, "Deny");
    }
    let all = kubectl(&["get", "verdict", "-n", "shown"]);
    assert!(all.contains("validator.verdict.dev/seen-labels"), "{all}");
    for (field, expected) in [
        ("namespacedvalidators.spec", "settingsFrom"),
        ("validator.spec.settingsFrom", "JSON Pointer"),
        ("nvval.spec.matchConstraints", "resourceRules"),
        ("vgroup.spec.members", "expression"),
        ("vval.status", "observedGeneration"),
        ("replica.status.policies", "stale"),
    ] {
        let page = kubectl(&["explain", field, "--recursive=false"]);
        assert!(page.contains("DESCRIPTION:") && page.contains(expected), "{field}: {page}");
    }
    let page = kubectl(&["explain", "nvmut.spec.matchConstraints"]);
    assert!(!page.contains("namespaceSelector"), "{page}");
}

#[test]
fn a_replica_says_how_it_is() {
    let Some(cluster) = installed() else { return };
    cluster.namespace("replicas");
    let replica = json!({
        "apiVersion": "verdict.dev/v1alpha1", "kind": "Replica", "metadata": {"name": "verdict-0", "namespace": "replicas"},
        "status": {
            "digest": "d1", "renewed": "2026-11-23T00:00:00Z",
            "policies": [{"policy": "Validator/team-labels", "state": "stale", "revision": "3", "component": "sha256:0", "message": "m"}],
            "ofNewer": {"servers": 1},
        },
    });
    cluster.plane.kubectl_with(&["apply", "--server-side", "--validate=strict", "-f", "-"], &replica.to_string()).ok();
    let text = cluster.plane.kubectl(&["get", "vrep", "verdict-0", "-n", "replicas", "-o", "json"]).ok();
    let kept: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(kept["status"], replica["status"]);
    let table = cluster.plane.kubectl(&["get", "replicas.verdict.dev", "-n", "replicas"]).ok();
    assert!(table.starts_with("NAME") && table.contains("DIGEST") && table.contains("d1"), "{table}");
}

#[test]
fn what_would_read_a_file_is_refused_with_what_to_do_instead() {
    let Some(cluster) = installed() else { return };
    let image = json!({"image": "registry.example.org/labels:1"});
    for (spec, expected) in [
        (json!({"component": {"path": "/etc/passwd"}}), "in a cluster, use image, url or builtin"),
        (
            json!({"component": image, "grants": {"env": [{"name": "A", "valueFrom": {"file": "/etc/passwd"}}]}}),
            "in a cluster, use secretKeyRef or configMapKeyRef",
        ),
    ] {
        for kind in ["Validator", "NamespacedMutator", "Provider", "Authenticator"] {
            let object = policy(kind, "reads-files", &spec);
            let refused =
                cluster.plane.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &object.to_string()).refused();
            assert!(refused.contains(expected), "{kind}: {refused}");
        }
    }
    // The same within a group.
    let member = json!({"name": "a", "component": {"path": "/etc/passwd"}});
    let object = policy("PolicyGroup", "reads-files", &json!({"expression": "a()", "members": [member]}));
    let refused = cluster.plane.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &object.to_string()).refused();
    assert!(refused.contains("in a cluster, use image, url or builtin"), "{refused}");
}
