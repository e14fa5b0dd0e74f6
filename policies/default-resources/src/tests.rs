use verdict_sdk::{Change, testing};

use super::*;

const SETTINGS: &str = r#"{"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": 1, "memory": "256Mi"}}"#;

/// The patch for a pod with one container of these resources, as JSON.
fn patch_for(resources: &str) -> String {
    let object = format!(r#"{{"spec": {{"containers": [{{"name": "a", "resources": {resources}}}]}}}}"#);
    patch("", "Pod", "CREATE", &object)
}

fn patch(group: &str, kind: &str, operation: &str, object: &str) -> String {
    let review = format!(
        r#"{{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {{"uid": "1",
            "kind": {{"group": "{group}", "version": "v1", "kind": "{kind}"}},
            "resource": {{"group": "{group}", "version": "v1", "resource": "x"}}, "namespace": "default",
            "operation": "{operation}", "userInfo": {{"username": "jane"}}, "object": {object}, "oldObject": null}}}}"#
    );
    match testing::mutator::<DefaultResources>(SETTINGS).ask(&review).outcome.unwrap() {
        Change::Unchanged => String::new(),
        Change::JsonPatch(patch) => patch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
    testing::mutator::<DefaultResources>(SETTINGS).check_reviews();
}

#[test]
fn what_is_missing_is_added_as_a_whole() {
    let all = concat!(
        r#"{"op":"add","path":"/spec/containers/0/resources/requests","value":{"cpu":"100m","memory":"128Mi"}},"#,
        r#"{"op":"add","path":"/spec/containers/0/resources/limits","value":{"cpu":"1","memory":"256Mi"}}]"#
    );
    assert_eq!(patch_for("{}"), format!("[{all}"));
    let object = r#"{"op":"add","path":"/spec/containers/0/resources","value":{}}"#;
    assert_eq!(patch_for("null"), format!("[{object},{all}"));
}

#[test]
fn what_is_there_is_not_touched() {
    assert_eq!(
        patch_for(r#"{"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"memory": "1Mi"}}"#),
        r#"[{"op":"add","path":"/spec/containers/0/resources/limits/cpu","value":"1"}]"#
    );
    assert_eq!(
        patch_for(r#"{"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"cpu": "1", "memory": "1Mi"}}"#),
        ""
    );
}

#[test]
fn a_limit_without_a_request_is_left_to_kubernetes() {
    assert_eq!(patch_for(r#"{"limits": {"cpu": "50m", "memory": "1Gi"}}"#), "");
}

#[test]
fn no_limit_is_set_below_a_request() {
    assert_eq!(patch_for(r#"{"requests": {"cpu": "2", "memory": "1Gi"}}"#), "");
}

#[test]
fn a_pod_with_resources_of_its_own_shares_them() {
    let object = r#"{"spec": {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}, "containers": [{"name": "a"}]}}"#;
    assert_eq!(patch("", "Pod", "CREATE", object), "");
}

#[test]
fn templates_are_completed_also_when_they_are_updated_and_pods_and_jobs_are_not() {
    let template = r#"{"spec": {"template": {"spec": {"initContainers": [{"name": "a", "resources": {}}]}}}}"#;
    let path = r#""path":"/spec/template/spec/initContainers/0/resources/requests""#;
    assert!(patch("apps", "Deployment", "UPDATE", template).contains(path));
    assert!(patch("batch", "Job", "CREATE", template).contains(path));
    assert_eq!(patch("batch", "Job", "UPDATE", template), "");
    assert_eq!(patch("", "Pod", "UPDATE", r#"{"spec": {"containers": [{"name": "a"}]}}"#), "");
}

#[test]
fn bad_settings_are_refused_where_they_are() {
    for (settings, path) in [
        ("{}", ""),
        (r#"{"requests": {"cpu": "much"}}"#, "/requests/cpu"),
        (r#"{"requests": {"cpu": true}}"#, "/requests/cpu"),
        (r#"{"limits": {"nvidia.com/gpu": "1"}}"#, "/limits/nvidia.com~1gpu"),
        (r#"{"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}"#, "/requests/memory"),
        (r#"{"request": {"cpu": "1"}}"#, "/request"),
    ] {
        assert_eq!(testing::settings_errors::<DefaultResources>(settings)[0].path, path, "{settings}");
    }
}
