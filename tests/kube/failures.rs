//! Policies that fail: denied or let through as configured, in words of their own, and the API server goes on.

use super::cluster::{Cluster, cluster};
use crate::support::control_plane::Output;

#[test]
fn a_failed_policy_denies() {
    let Some(cluster) = cluster() else { return };
    for (namespace, reason, words, outcome) in [
        ("trap-fail", "InternalError", "the policy crashed", "trap"),
        ("loop-fail", "Timeout", "the policy took too long", "timeout"),
        ("memory-fail", "InternalError", "the policy ran out of memory", "memory"),
        ("error-fail", "InternalError", "the policy could not decide", "guest_error"),
    ] {
        let refused = create(&cluster, namespace).refused();
        assert_eq!(
            refused,
            format!(
                "Error from server ({reason}): error when creating \"STDIN\": admission webhook \"{namespace}.verdict.test\" denied the request: {namespace}: {words}\n"
            )
        );
        assert_eq!(cluster.bad.reviews(namespace, outcome), 1);
        others_are_served(&cluster, namespace);
    }
}

#[test]
fn a_failed_policy_that_may_be_ignored_warns() {
    let Some(cluster) = cluster() else { return };
    for (namespace, words) in [
        ("trap-ignore", "the policy crashed; ignored because of failurePolicy"),
        ("loop-ignore", "the policy took too long; ignored because of limitPolicy"),
    ] {
        let output = create(&cluster, namespace);
        assert_eq!(output.stderr, format!("Warning: {namespace}: {words}\n"), "{output}");
        output.ok();
    }
}

#[test]
fn a_code_that_is_none_becomes_forbidden() {
    let Some(cluster) = cluster() else { return };
    // Above 999, kube-apiserver itself would panic.
    assert_eq!(
        create(&cluster, "code-out-of-range").refused(),
        "Error from server (Forbidden): error when creating \"STDIN\": admission webhook \"code-out-of-range.verdict.test\" denied the request: code-out-of-range: no\n"
    );
}

#[test]
fn a_message_without_end_is_cut() {
    let Some(cluster) = cluster() else { return };
    let refused = create(&cluster, "long-message").refused();
    assert!(refused.contains("denied the request: long-message: long long long"), "{refused}");
    assert!(refused.len() < 9000, "{}", refused.len());
}

fn create(cluster: &Cluster, namespace: &str) -> Output {
    cluster.namespace(namespace);
    cluster.create(namespace, "a")
}

fn others_are_served(cluster: &Cluster, namespace: &str) {
    let name = format!("after-{namespace}");
    cluster.plane.kubectl(&["create", "configmap", &name, "-n", "default"]).ok();
}
