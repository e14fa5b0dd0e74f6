//! AdmissionReview, validating: what users see of a denial, of warnings and of the audit log.

use serde_json::{Value, json};

use super::cluster::{Cluster, cluster};
use crate::support::eventually;

#[test]
fn a_denial_is_shown_with_its_message() {
    let Some(cluster) = cluster() else { return };
    let plane = &cluster.plane;
    cluster.namespace("denial");
    assert_eq!(
        cluster.create("denial", "not-allowed-value").refused(),
        "Error from server (Forbidden): error when creating \"STDIN\": admission webhook \"magic.verdict.test\" denied the request: magic-validator: value not-allowed-value not allowed in configmap\n* data.not-allowed-value\n"
    );
    plane.kubectl(&["get", "configmap", "cm", "-n", "denial"]).refused();
    // An update is judged as a creation is.
    cluster.create("denial", "a").ok();
    let patch = ["patch", "configmap", "cm", "-n", "denial", "-p", r#"{"data":{"not-allowed-value":"x"}}"#];
    let refused = plane.kubectl(&patch).refused();
    assert!(refused.contains("value not-allowed-value not allowed in configmap"), "{refused}");

    // All of it, as a program sees it.
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "other"}, "data": {"not-allowed-value": "x"},
    });
    let reply = plane.post(&cluster.pki, "/api/v1/namespaces/denial/configmaps", &object);
    let (code, body) = reply.expect("an answer");
    let status: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(code, 403, "{status}");
    assert_eq!(status["reason"], "Forbidden");
    assert_eq!(
        status["details"]["causes"],
        json!([{
            "reason": "FieldValueForbidden",
            "message": "value not-allowed-value not allowed in configmap",
            "field": "data.not-allowed-value",
        }])
    );
}

#[test]
fn of_an_invalid_object_kubectl_shows_the_causes() {
    let Some(cluster) = cluster() else { return };
    assert_eq!(
        refused_in(&cluster, "invalid"),
        "The ConfigMap \"cm\" is invalid: \n* data.a: must be x\n* data.b: is missing\n"
    );
}

#[test]
fn the_operators_words_come_before_the_policys_causes() {
    let Some(cluster) = cluster() else { return };
    assert_eq!(
        refused_in(&cluster, "deny-message"),
        "Error from server (Forbidden): error when creating \"STDIN\": admission webhook \"deny-message.verdict.test\" denied the request: deny-message: ask the platform team\n* spec.x: x is wrong\n"
    );
}

#[test]
fn modes_that_do_not_enforce_let_pass_and_tell() {
    let Some(cluster) = cluster() else { return };
    for namespace in ["deny-warn", "deny-audit"] {
        cluster.namespace(namespace);
    }
    let create = |namespace: &str| cluster.create(namespace, "a");
    let warned = create("deny-warn");
    assert_eq!(warned.stderr, "Warning: deny-warn: denied on purpose\nWarning: deny-warn: spec.x: x is wrong\n");
    warned.ok();
    let audited = create("deny-audit");
    assert_eq!(audited.stderr, "");
    audited.ok();
    let key = "deny-audit.verdict.test/deny-audit.denied";
    eventually("the denial is in the audit log", || {
        let found = annotation(&cluster, "deny-audit", key);
        (found.as_deref() == Some("denied on purpose\n* spec.x: x is wrong")).then_some(()).ok_or(format!("{found:?}"))
    });
}

#[test]
fn warnings_reach_the_user_as_lines() {
    let Some(cluster) = cluster() else { return };
    cluster.namespace("dirty-warnings");
    let output = cluster.create("dirty-warnings", "a");
    let mut lines: Vec<&str> = output.stderr.lines().collect();
    // From the mutator and from the validator alike, but the same words are shown once.
    lines.sort_unstable();
    let [red, two, long] = lines[..] else { panic!("{output}") };
    assert_eq!(red, "Warning: [31mred");
    assert_eq!(two, "Warning: two lines");
    assert!(long.starts_with("Warning: xxxxx") && long.ends_with('…'), "{long}");
    assert_eq!(long.chars().count(), "Warning: ".len() + 256);
    output.ok();
}

#[test]
fn audit_annotations_are_kept_under_the_names_of_webhook_and_policy() {
    let Some(cluster) = cluster() else { return };
    cluster.namespace("bad-annotations");
    cluster.create("bad-annotations", "a").ok();
    let value = eventually("the annotation is in the audit log", || {
        annotation(&cluster, "bad-annotations", "bad-annotations.verdict.test/bad-annotations.good").ok_or("not found")
    });
    assert!(value.starts_with("vvv") && value.ends_with('…'), "{value}");
    // Keys that no API server takes were respelt, not lost: an empty one, three bad ones and a long one.
    let keys = annotations(&cluster, "bad-annotations");
    let respelt = keys.iter().filter(|key| key.starts_with("bad-annotations.verdict.test/bad-annotations."));
    assert_eq!(respelt.count(), 6, "{keys:?}");
}

#[test]
fn a_dry_run_gets_the_verdict_and_stores_nothing() {
    let Some(cluster) = cluster() else { return };
    cluster.namespace("dry");
    let create = |more: &str| {
        cluster.plane.kubectl(&["create", "configmap", "cm", "-n", "dry", "--dry-run=server", "-o", "json", more])
    };
    let allowed: Value = serde_json::from_str(&create("--from-literal=a=b").ok()).expect("JSON");
    assert_eq!(allowed["data"], json!({"a": "b", "magic-value": "foobar"}));
    let refused = create("--from-literal=not-allowed-value=x").refused();
    assert!(refused.contains("value not-allowed-value not allowed in configmap"), "{refused}");
    let refused = cluster.plane.kubectl(&["get", "configmap", "cm", "-n", "dry"]).refused();
    assert!(refused.contains("not found"), "{refused}");
}

#[test]
fn an_object_in_another_version_than_the_rules_is_seen() {
    let Some(cluster) = cluster() else { return };
    cluster.namespace("versions");
    for version in ["v1", "v2"] {
        let object = |labels: Value| {
            json!({
                "apiVersion": format!("autoscaling/{version}"),
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": format!("scale-{version}"), "namespace": "versions", "labels": labels},
                "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}},
            })
            .to_string()
        };
        let create = ["create", "-f", "-"];
        let refused = cluster.plane.kubectl_with(&create, &object(json!({}))).refused();
        assert!(
            refused
                .ends_with("denied the request: required-labels: the label team is required\n* metadata.labels.team\n"),
            "{refused}"
        );
        cluster.plane.kubectl_with(&create, &object(json!({"team": "web"}))).ok();
    }
}

#[test]
fn kube_system_is_left_alone() {
    let Some(cluster) = cluster() else { return };
    let create =
        ["create", "configmap", "left-alone", "-n", "kube-system", "--from-literal=not-allowed-value=x", "-o", "json"];
    let stored: Value = serde_json::from_str(&cluster.plane.kubectl(&create).ok()).expect("JSON");
    assert_eq!(stored["data"], json!({"not-allowed-value": "x"}));
}

#[test]
fn the_first_version_of_admission_review_is_answered() {
    let Some(cluster) = cluster() else { return };
    cluster.namespace("beta");
    let before = cluster.good.reviews("magic-validator", "denied");
    let refused = cluster.create("beta", "not-allowed-value").refused();
    // Two webhooks deny it, of which one speaks v1beta1; the API server shows whichever came first.
    assert!(refused.contains("denied the request: magic-validator: value not-allowed-value"), "{refused}");
    assert!(cluster.good.reviews("magic-validator", "denied") > before);
    cluster.create("beta", "a").ok();
}

/// What kubectl says when the policy of this name refuses a ConfigMap.
fn refused_in(cluster: &Cluster, namespace: &str) -> String {
    cluster.namespace(namespace);
    cluster.create(namespace, "a").refused()
}

fn annotation(cluster: &Cluster, namespace: &str, key: &str) -> Option<String> {
    let of_namespace = |event: &&Value| event["objectRef"]["namespace"] == namespace;
    let events = cluster.plane.audit();
    events.iter().filter(of_namespace).find_map(|event| Some(event["annotations"][key].as_str()?.to_owned()))
}

fn annotations(cluster: &Cluster, namespace: &str) -> Vec<String> {
    let of_namespace = |event: &&Value| event["objectRef"]["namespace"] == namespace;
    let events = cluster.plane.audit();
    let maps = events.iter().filter(of_namespace).filter_map(|event| event["annotations"].as_object());
    maps.flat_map(|map| map.keys().cloned()).collect()
}
