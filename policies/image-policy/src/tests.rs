use verdict_sdk::{Validation, testing};

use super::*;

const SETTINGS: &str = r#"{"allowedRegistries": ["registry.example.org", "docker.io/library"], "forbidLatest": true}"#;

fn fields(answer: Validation) -> Vec<String> {
    answer.outcome.err().map(|it| it.causes.into_iter().map(|cause| cause.field).collect()).unwrap_or_default()
}

fn pod(spec: &str) -> String {
    review("", "Pod", "CREATE", &format!(r#"{{"spec": {spec}}}"#), "null")
}

fn review(group: &str, kind: &str, operation: &str, object: &str, old: &str) -> String {
    format!(
        r#"{{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {{"uid": "1",
            "kind": {{"group": "{group}", "version": "v1", "kind": "{kind}"}},
            "resource": {{"group": "{group}", "version": "v1", "resource": "x"}}, "namespace": "default",
            "operation": "{operation}", "userInfo": {{"username": "jane"}}, "object": {object}, "oldObject": {old}}}}}"#
    )
}

#[test]
fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
    testing::validator::<ImagePolicy>(SETTINGS).check_reviews();
}

#[test]
fn every_place_that_names_an_image_is_checked() {
    let subject = testing::validator::<ImagePolicy>(r#"{"allowedRegistries": ["ghcr.io"]}"#);
    let spec = r#"{"initContainers": [{"image": "evil.example/a:1"}], "containers": [{"image": "ghcr.io/a:1"}, {"image": "evil.example/a:1"}],
        "ephemeralContainers": [{"image": "evil.example/a:1"}], "volumes": [{"name": "v", "image": {"reference": "evil.example/a:1"}}, {"name": "w"}]}"#;
    let expected = [
        "spec.initContainers[0].image",
        "spec.containers[1].image",
        "spec.ephemeralContainers[0].image",
        "spec.volumes[0].image.reference",
    ];
    assert_eq!(fields(subject.ask(&pod(spec))), expected);
    let cron_job = format!(r#"{{"spec": {{"jobTemplate": {{"spec": {{"template": {{"spec": {spec}}}}}}}}}}}"#);
    let found = fields(subject.ask(&review("batch", "CronJob", "CREATE", &cron_job, "null")));
    assert_eq!(found[0], "spec.jobTemplate.spec.template.spec.initContainers[0].image");
    assert_eq!(found.len(), 4);
}

#[test]
fn nulls_and_absent_lists_are_nothing() {
    let subject = testing::validator::<ImagePolicy>(SETTINGS);
    assert_eq!(subject.ask(&pod(r#"{"containers": null, "volumes": [{"name": "v", "image": null}]}"#)).outcome, Ok(()));
    let without_template = review("", "ReplicationController", "CREATE", r#"{"spec": {"template": null}}"#, "null");
    assert_eq!(subject.ask(&without_template).outcome, Ok(()));
}

#[test]
fn an_update_that_changes_no_image_passes() {
    let subject = testing::validator::<ImagePolicy>(r#"{"requireDigest": true}"#);
    let (one, other) =
        (r#"{"spec": {"containers": [{"image": "a:1"}]}}"#, r#"{"spec": {"containers": [{"image": "b:1"}]}}"#);
    assert_eq!(fields(subject.ask(&review("", "Pod", "UPDATE", one, one))), [""; 0]);
    assert_eq!(fields(subject.ask(&review("", "Pod", "UPDATE", one, other))), ["spec.containers[0].image"]);
}

#[test]
fn a_denial_has_an_end() {
    let containers = vec![r#"{"image": "a"}"#; 5000].join(",");
    let answer = testing::validator::<ImagePolicy>(r#"{"requireDigest": true}"#)
        .ask(&pod(&format!(r#"{{"containers": [{containers}]}}"#)));
    let denial = answer.outcome.unwrap_err();
    assert_eq!(denial.causes.len(), MAX_CAUSES);
    assert!(denial.message.ends_with("(and 4999 more)"), "{}", denial.message);
}

#[test]
fn bad_settings_are_refused_where_they_are() {
    for (settings, path) in [
        ("{}", ""),
        (r#"{"allowedRegistries": []}"#, "/allowedRegistries"),
        (r#"{"allowedRegistries": ["ghcr.io", "https://ghcr.io"]}"#, "/allowedRegistries/1"),
        (r#"{"forbidLatest": "yes"}"#, "/forbidLatest"),
        (r#"{"requireDigests": true}"#, "/requireDigests"),
    ] {
        assert_eq!(testing::settings_errors::<ImagePolicy>(settings)[0].path, path, "{settings}");
    }
}
