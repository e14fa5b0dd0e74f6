use verdict_sdk::{Denial, testing};

use super::*;

const BASELINE: &str = r#"{"level": "baseline"}"#;
const RESTRICTED: &str = r#"{"level": "restricted"}"#;

fn review(group: &str, kind: &str, operation: &str, object: &str, old: &str) -> String {
    format!(
        r#"{{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {{"uid": "1",
            "kind": {{"group": "{group}", "version": "v1", "kind": "{kind}"}},
            "resource": {{"group": "{group}", "version": "v1", "resource": "x"}}, "namespace": "shop",
            "operation": "{operation}", "userInfo": {{"username": "jane"}}, "object": {object}, "oldObject": {old}}}}}"#
    )
}

fn pod(settings: &str, pod: &str) -> Option<Denial> {
    testing::validator::<PodSecurity>(settings).ask(&review("", "Pod", "CREATE", pod, "null")).outcome.err()
}

fn fields(denial: Option<Denial>) -> Vec<String> {
    denial.map(|it| it.causes.into_iter().map(|cause| cause.field).collect()).unwrap_or_default()
}

#[test]
fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
    testing::validator::<PodSecurity>(RESTRICTED).check_reviews();
}

#[test]
fn every_violation_is_a_cause_with_its_control_and_path() {
    let object = r#"{"metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/a": "unconfined"}},
        "spec": {"hostPID": true, "securityContext": {"sysctls": [{"name": "kernel.msgmax"}]},
        "volumes": [{"name": "ok", "emptyDir": {}}, {"name": "root", "hostPath": {"path": "/"}}],
        "initContainers": [{"name": "i", "ports": [{"containerPort": 1, "hostPort": 0}, {"hostPort": 80}]}],
        "containers": [{"name": "a", "securityContext": {"privileged": true, "capabilities": {"add": ["KILL", "SYS_ADMIN"]}}}],
        "ephemeralContainers": [{"name": "e", "livenessProbe": {"httpGet": {"host": "10.0.0.1"}}}]}}"#;
    let denial = pod(BASELINE, object).unwrap();
    let causes: Vec<(&str, &str)> =
        denial.causes.iter().map(|cause| (cause.message.split(':').next().unwrap(), cause.field.as_str())).collect();
    let expected = [
        ("appArmorProfile", "metadata.annotations[container.apparmor.security.beta.kubernetes.io/a]"),
        ("capabilities_baseline", "spec.containers[0].securityContext.capabilities.add[1]"),
        ("hostNamespaces", "spec.hostPID"),
        ("hostPathVolumes", "spec.volumes[1].hostPath"),
        ("hostPorts", "spec.initContainers[0].ports[1].hostPort"),
        ("hostProbesAndHostLifecycle", "spec.ephemeralContainers[0].livenessProbe.httpGet.host"),
        ("privileged", "spec.containers[0].securityContext.privileged"),
        ("sysctls", "spec.securityContext.sysctls[0].name"),
    ];
    assert_eq!(causes, expected);
    assert!(
        denial.message.starts_with("violates PodSecurity \"baseline:latest\": appArmorProfile, "),
        "{}",
        denial.message
    );
    for (control, _) in expected {
        assert!(denial.message.contains(control), "{control}: {}", denial.message);
    }
}

#[test]
fn templates_are_checked_where_they_are() {
    let template = r#"{"metadata": {"annotations": {"container.apparmor.security.beta.kubernetes.io/a": "x"}}, "spec": {"hostIPC": true, "containers": [{"name": "a"}]}}"#;
    let three = format!(r#"{{"spec": {{"template": {template}}}}}"#);
    let cron_job = format!(r#"{{"spec": {{"jobTemplate": {{"spec": {{"template": {template}}}}}}}}}"#);
    let alone = format!(r#"{{"template": {template}}}"#);
    let annotation = "metadata.annotations[container.apparmor.security.beta.kubernetes.io/a]";
    for (group, kind, object, path) in [
        ("apps", "Deployment", &three, "spec.template"),
        ("apps", "ReplicaSet", &three, "spec.template"),
        ("apps", "StatefulSet", &three, "spec.template"),
        ("apps", "DaemonSet", &three, "spec.template"),
        ("", "ReplicationController", &three, "spec.template"),
        ("batch", "Job", &three, "spec.template"),
        ("batch", "CronJob", &cron_job, "spec.jobTemplate.spec.template"),
        ("", "PodTemplate", &alone, "template"),
    ] {
        let answer = testing::validator::<PodSecurity>(BASELINE).ask(&review(group, kind, "CREATE", object, "null"));
        assert_eq!(
            fields(answer.outcome.err()),
            [format!("{path}.{annotation}"), format!("{path}.spec.hostIPC")],
            "{kind}"
        );
    }
}

#[test]
fn versions_differ() {
    let unmasked = r#"{"spec": {"hostUsers": false, "containers": [{"name": "a", "securityContext": {"procMount": "Unmasked"}}]}}"#;
    let denied = |version: &str, object: &str| {
        pod(&format!(r#"{{"level": "baseline", "version": "{version}"}}"#), object).is_some()
    };
    assert!(denied("v1.34", unmasked));
    assert!(!denied("v1.35", unmasked));
    assert!(!denied("latest", unmasked));
    assert!(!denied("v1.99", unmasked));
    let keepalive = r#"{"spec": {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_keepalive_time"}]}}}"#;
    assert!(denied("v1.28", keepalive));
    assert!(!denied("v1.29", keepalive));
}

#[test]
fn restricted_does_not_know_user_namespaces_for_proc_mounts() {
    let object = r#"{"spec": {"hostUsers": false, "containers": [{"name": "a", "securityContext": {"procMount": "Unmasked",
        "allowPrivilegeEscalation": false, "runAsUser": 0, "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "Localhost"}}}]}}"#;
    assert_eq!(fields(pod(RESTRICTED, object)), ["spec.containers[0].securityContext.procMount"]);
}

#[test]
fn a_volume_of_an_unknown_type_is_restricted() {
    let object = r#"{"spec": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": "a", "secret": {}, "nfs": null}, {"name": "b"}, {"name": "c", "teleport": {}}]}}"#;
    assert_eq!(fields(pod(RESTRICTED, object)), ["spec.volumes[2].teleport"]);
}

#[test]
fn exemptions_let_through() {
    let object = r#"{"spec": {"runtimeClassName": "kata", "hostPID": true}}"#;
    for (exemptions, is_denied) in [
        (r#"{}"#, true),
        (r#"{"usernames": ["joe"], "namespaces": ["shop-2"], "runtimeClasses": [""]}"#, true),
        (r#"{"usernames": ["jane"]}"#, false),
        (r#"{"namespaces": ["shop"]}"#, false),
        (r#"{"runtimeClasses": ["kata"]}"#, false),
    ] {
        let settings = format!(r#"{{"level": "baseline", "exemptions": {exemptions}}}"#);
        assert_eq!(pod(&settings, object).is_some(), is_denied, "{exemptions}");
    }
    assert_eq!(pod(r#"{"level": "privileged"}"#, object), None);
}

#[test]
fn only_updates_that_run_something_else_are_checked() {
    let subject = testing::validator::<PodSecurity>(BASELINE);
    let one = r#"{"spec": {"hostPID": true, "containers": [{"name": "a", "image": "x:1"}]}}"#;
    let is_denied = |kind: (&str, &str), new: &str, old: &str| {
        subject.ask(&review(kind.0, kind.1, "UPDATE", new, old)).outcome.is_err()
    };
    let labelled = one.replacen('{', r#"{"metadata": {"labels": {"a": "b"}}, "#, 1);
    assert!(!is_denied(("", "Pod"), &labelled, one));
    assert!(is_denied(("", "Pod"), &one.replace("x:1", "x:2"), one));
    let debugged =
        one.replace(r#""containers""#, r#""ephemeralContainers": [{"name": "d", "image": "x:1"}], "containers""#);
    assert!(is_denied(("", "Pod"), &debugged, one));
    assert!(!is_denied(("", "Pod"), &debugged, &debugged));

    let deployment = |pod: &str, replicas: u8| format!(r#"{{"spec": {{"replicas": {replicas}, "template": {pod}}}}}"#);
    let kind = ("apps", "Deployment");
    assert!(!is_denied(kind, &deployment(one, 2), &deployment(one, 1)));
    let before = one.replace("true", "false");
    assert!(is_denied(kind, &deployment(one, 1), &deployment(&before, 1)));
}

#[test]
fn a_denial_has_an_end() {
    let container = r#"{"name": "a", "securityContext": {"privileged": true}}"#;
    let containers = vec![container; 3000].join(",");
    let denial = pod(RESTRICTED, &format!(r#"{{"spec": {{"containers": [{containers}]}}}}"#)).unwrap();
    assert!(denial.causes.len() <= 16 * 8, "{}", denial.causes.len());
    assert!(denial.message.len() < 4096, "{}", denial.message.len());
    assert!(denial.message.contains("privileged (and 2984 more fields)"), "{}", denial.message);
}

#[test]
fn nulls_are_nothing() {
    let object = r#"{"metadata": null, "spec": {"os": null, "volumes": null, "securityContext": null, "containers": [{"name": "a",
        "ports": null, "lifecycle": {"preStop": null}, "securityContext": {"capabilities": {"add": null}, "sysctls": null}}]}}"#;
    assert_eq!(pod(BASELINE, object), None);
}

#[test]
fn bad_settings_are_refused_where_they_are() {
    for (settings, path) in [
        ("{}", ""),
        (r#"{"level": "strict"}"#, "/level"),
        (r#"{"level": "baseline", "version": "1.36"}"#, "/version"),
        (r#"{"level": "baseline", "version": "v1.036"}"#, "/version"),
        (r#"{"level": "baseline", "exemptions": {"users": []}}"#, "/exemptions/users"),
    ] {
        assert_eq!(testing::settings_errors::<PodSecurity>(settings)[0].path, path, "{settings}");
    }
}
