//! SubjectAccessReview: authorizers before RBAC. The administrator impersonates users, so that none needs a token.

use serde_json::{Value, json};

use super::cluster::{Cluster, cluster};
use crate::support::{control_plane::Output, eventually};

#[test]
fn an_authorizer_allows_what_rbac_does_not() {
    let Some(cluster) = cluster() else { return };
    let plane = &cluster.plane;
    let magic = |what: &str| plane.kubectl(&["get", what, "--as=somebody", "--as-group=magic-group"]);
    magic("configmaps").ok();
    let refused = magic("secrets").refused();
    assert!(
        refused.starts_with(
            "Error from server (Forbidden): secrets is forbidden: User \"somebody\" cannot list resource \"secrets\""
        ),
        "{refused}"
    );
    plane.kubectl(&["get", "configmaps", "--as=somebody"]).refused();
    // The whole way, by token.
    plane.kubectl_as(&cluster.pki, "magic-token", &["get", "configmaps"], "").ok();
    plane.kubectl_as(&cluster.pki, "magic-token", &["get", "secrets"], "").refused();

    // Why it was allowed is in the audit log.
    eventually("the reason is in the audit log", || {
        let events = plane.audit();
        let mut reasons = events.iter().filter_map(|it| it["annotations"]["authorization.k8s.io/reason"].as_str());
        reasons.find(|it| *it == "magic-group may use configmaps").map(|_| ()).ok_or("not found")
    });
}

#[test]
fn namespaces_are_granted_by_pattern() {
    let Some(cluster) = cluster() else { return };
    cluster.namespace("team-a-web");
    cluster.namespace("team-b-web");
    let team = |namespace: &str, verb: &str| {
        cluster.plane.kubectl(&["auth", "can-i", verb, "pods", "-n", namespace, "--as=ann", "--as-group=team-a"])
    };
    team("team-a-web", "list").ok();
    team("team-a-web", "delete").refused();
    team("team-b-web", "list").refused();
}

#[test]
fn a_denial_beats_rbac_and_no_opinion_falls_through() {
    let Some(cluster) = cluster() else { return };
    may_list_pods(&cluster, "denies");
    may_list_pods(&cluster, "no-opinion");
    let refused = get(&cluster, "denies", "pods").refused();
    assert_eq!(
        refused,
        "Error from server (Forbidden): pods is forbidden: User \"denies\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\": denied on purpose\n"
    );
    get(&cluster, "no-opinion", "pods").ok();
    get(&cluster, "no-opinion", "secrets").refused();
}

#[test]
fn what_an_authorizer_cannot_decide_is_cached_neither_as_yes_nor_as_no() {
    let Some(cluster) = cluster() else { return };
    for (user, outcome) in [("traps", "trap"), ("loops", "timeout")] {
        // RBAC would allow it.
        may_list_pods(&cluster, user);
        let before = cluster.bad.reviews(user, outcome);
        for round in 1..=3 {
            let (status, body) = raw(&cluster, user);
            assert_eq!(status, 500, "{body}");
            // The API server has its own words for a 503.
            assert!(body.contains("the server is currently unable to handle the request"), "{body}");
            // Asked once for each request: neither answered from a cache nor tried again.
            assert_eq!(cluster.bad.reviews(user, outcome), before + round);
        }
    }
    // Others are served meanwhile.
    get(&cluster, "no-opinion", "services").refused();
}

#[test]
fn the_api_server_decides_about_a_failed_authorizer() {
    let Some(cluster) = cluster() else { return };
    may_list_pods(&cluster, "traps-open");
    let before = cluster.bad.reviews("traps-open", "trap");
    for round in 1..=2 {
        get(&cluster, "traps-open", "pods").ok();
        // kubectl may ask for more than the one thing.
        assert!(cluster.bad.reviews("traps-open", "trap") >= before + round);
    }
    get(&cluster, "traps-open", "secrets").refused();
}

#[test]
fn a_policy_can_say_what_its_failure_means() {
    let Some(cluster) = cluster() else { return };
    for user in ["traps-no-opinion", "traps-deny", "loops-no-opinion"] {
        may_list_pods(&cluster, user);
    }
    get(&cluster, "traps-no-opinion", "pods").ok();
    let refused = get(&cluster, "traps-deny", "pods").refused();
    assert!(refused.ends_with("in the namespace \"default\": policy traps-deny: the policy crashed\n"), "{refused}");
    // A limit that is used up is no opinion that a user could provoke.
    let (status, body) = raw(&cluster, "loops-no-opinion");
    assert_eq!(status, 500, "{body}");
}

#[test]
fn a_long_reason_reaches_the_user_as_one_line() {
    let Some(cluster) = cluster() else { return };
    let refused = get(&cluster, "long-reason", "pods").refused();
    assert!(refused.contains(": long long long "), "{refused}");
    assert!(refused.ends_with("…\n"), "{refused}");
    assert_eq!(refused.lines().count(), 1, "{refused}");
    assert!(refused.len() < 2048, "{}", refused.len());
}

/// By RBAC, the user may list pods in all namespaces; the role `view` stays empty without the controllers that fill it.
fn may_list_pods(cluster: &Cluster, user: &str) {
    let object = |kind: &str, more: Value| {
        let mut object = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": format!("list-pods-{user}")},
        });
        object.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        object
    };
    let role = object("ClusterRole", json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]}));
    let binding = object(
        "ClusterRoleBinding",
        json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": format!("list-pods-{user}")},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        }),
    );
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [role, binding]}).to_string();
    cluster.plane.kubectl_with(&["create", "-f", "-"], &list).ok();
}

fn get(cluster: &Cluster, user: &str, what: &str) -> Output {
    cluster.plane.kubectl(&["get", what, &format!("--as={user}"), "-n", "default"])
}

/// One request, so one question to the authorizers.
fn raw(cluster: &Cluster, user: &str) -> (u16, String) {
    cluster.plane.get_as(&cluster.pki, user, "/api/v1/namespaces/default/pods").expect("an answer")
}
