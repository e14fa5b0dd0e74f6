//! Which policies share an entry of a webhook configuration, and what a dead server does to each: as `verdict manifests`
//! writes it and kube-apiserver reads it.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    cluster::policy,
    generated::{generate, path},
    registration::rules,
};
use crate::support::{
    binaries::{Binaries, binaries},
    control_plane::ControlPlane,
    eventually,
    pki::Pki,
    processes::folder,
    verdict::Verdict,
};

/// A server with these policies, and kube-apiserver that knows it by `verdict manifests`.
fn registered(binaries: &'static Binaries, pki: &Pki, folder: &Path, policies: &str) -> (Verdict, ControlPlane) {
    let verdict = Verdict::serve(pki, folder, policies, &[]);
    let out = generate(pki, &verdict, folder);
    let plane = ControlPlane::start(
        binaries,
        pki,
        &[
            "--authorization-mode=AlwaysAllow".to_owned(),
            format!("--admission-control-config-file={}", path(&out.join("admission-config.yaml"))),
        ],
    );
    plane.kubectl(&["apply", "-f", &path(&out.join("validating-webhook.yaml"))]).ok();
    (verdict, plane)
}

#[test]
fn a_policy_group_is_registered_like_a_validator() {
    let Some(binaries) = binaries() else { return };
    let folder = folder("policy-group");
    let pki = Pki::new(&folder.join("pki"));
    let member =
        |name: &str| json!({"name": name, "component": {"builtin": "required-labels"}, "settings": {"labels": [name]}});
    let group = json!({"apiVersion": "verdict.dev/v1alpha1", "kind": "PolicyGroup", "metadata": {"name": "cared-for"}, "spec": {
        "expression": "team() || owner()", "members": [member("team"), member("owner")], "message": "somebody must care",
        "matchConstraints": {"resourceRules": rules("", "v1", "configmaps")},
    }});
    let (_verdict, plane) = registered(binaries, &pki, &folder, &group.to_string());
    let create = |labels: Value| {
        let config_map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default", "labels": labels}});
        plane.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &config_map.to_string())
    };
    eventually("the group is asked", || {
        let output = create(json!({"app": "a"}));
        let told = ["cared-for: somebody must care", "owner: the label owner is required"];
        if told.iter().all(|it| output.stderr.contains(it)) { Ok(()) } else { Err(output.to_string()) }
    });
    create(json!({"team": "a"})).ok();
    create(json!({"owner": "a"})).ok();
}

#[test]
fn groups_that_share_storage_hide_no_policy() {
    let Some(binaries) = binaries() else { return };
    let folder = folder("shared-storage");
    let pki = Pki::new(&folder.join("pki"));
    let labels = |name: &str, label: &str, group: &str| {
        let more = json!({"matchConstraints": {"resourceRules": rules(group, "v1", "events")}});
        policy(name, "builtin:required-labels", &json!({"labels": [label]}), &more)
    };
    let policies = labels("core", "team", "") + &labels("own-group", "owner", "events.k8s.io");
    let (_verdict, plane) = registered(binaries, &pki, &folder, &policies);

    let event = |group: &str, labels: Value| {
        let mut event = json!({"kind": "Event", "metadata": {"name": "e", "namespace": "default", "labels": labels},
            "type": "Normal", "reason": "Tested", "action": "Test"});
        let object = json!({"kind": "Namespace", "apiVersion": "v1", "name": "default", "namespace": "default"});
        match group {
            "" => {
                event["apiVersion"] = json!("v1");
                event["involvedObject"] = object;
            }
            _ => {
                event["apiVersion"] = json!("events.k8s.io/v1");
                event["regarding"] = object;
                event["eventTime"] = json!("2026-01-01T00:00:00.000000Z");
                event["reportingController"] = json!("verdict.test/tests");
                event["reportingInstance"] = json!("tests");
            }
        }
        event.to_string()
    };
    let create = |group: &str, labels: Value| {
        plane.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &event(group, labels))
    };
    for group in ["", "events.k8s.io"] {
        for (labels, missing) in [(json!({"owner": "a"}), "team"), (json!({"team": "a"}), "owner")] {
            eventually("both policies are asked", || {
                let output = create(group, labels.clone());
                let denied = output.stderr.contains(&format!("the label {missing} is required"));
                if denied { Ok(()) } else { Err(format!("{group} without {missing}: {output}")) }
            });
        }
        create(group, json!({"team": "a", "owner": "a"})).ok();
    }
}

#[test]
fn a_dead_server_decides_nothing_for_what_cannot_decide() {
    let Some(binaries) = binaries() else { return };
    let folder = folder("dead-server");
    let pki = Pki::new(&folder.join("pki"));
    let none = json!({});
    let validator = |name: &str, resource: &str, action: &str| {
        let more =
            json!({"validationActions": [action], "matchConstraints": {"resourceRules": rules("", "v1", resource)}});
        policy(name, "builtin:magic-validator", &none, &more)
    };
    let shadow = json!({"shadow": true});
    let policies = [
        policy("magic-authenticator", "builtin:magic-authenticator", &none, &shadow),
        policy("magic-authorizer", "builtin:magic-authorizer", &none, &shadow),
        validator("audits", "configmaps", "Audit"),
        validator("warns", "configmaps", "Warn"),
        policy(
            "decides",
            "builtin:required-labels",
            &json!({"labels": ["team"]}),
            &json!({"matchConstraints": {"resourceRules": rules("", "v1", "secrets")}}),
        ),
    ]
    .concat();
    let verdict = Verdict::serve(&pki, &folder, &policies, &[]);
    let out = generate(&pki, &verdict, &folder);
    let file = |name: &str| path(&out.join(name));
    let plane = ControlPlane::start(
        binaries,
        &pki,
        &[
            format!("--authorization-config={}", file("authorization-config.yaml")),
            format!("--admission-control-config-file={}", file("admission-config.yaml")),
            format!("--authentication-token-webhook-config-file={}", file("authentication-kubeconfig.yaml")),
            "--authentication-token-webhook-version=v1".to_owned(),
        ],
    );
    plane.kubectl(&["apply", "-f", &file("validating-webhook.yaml")]).ok();
    // With --url no namespace is the server's own: whoever creates one of that name is not free of policies.
    plane.kubectl(&["create", "namespace", "verdict"]).ok();
    let create = |kind: &[&str]| {
        let common = ["-n", "verdict", "--dry-run=server", "--from-literal=not-allowed-value=x"];
        plane.kubectl(&[&["create"], kind, &common].concat())
    };
    let config_map = || create(&["configmap", "cm"]);
    let secret = || create(&["secret", "generic", "s"]);
    eventually("the webhooks are live", || {
        let (warned, denied) = (config_map(), secret());
        let live = warned.stderr.contains("Warning: warns: ") && denied.stderr.contains("the label team is required");
        if live { Ok(()) } else { Err(format!("{warned}\n{denied}")) }
    });
    config_map().ok();
    // One whom RBAC knows, by a token that kube-apiserver knows.
    plane.kubectl(&["create", "serviceaccount", "robot"]).ok();
    plane.kubectl(&["create", "role", "reader", "--verb=get,list", "--resource=configmaps,pods"]).ok();
    plane.kubectl(&["create", "rolebinding", "robot", "--role=reader", "--serviceaccount=default:robot"]).ok();
    let token = plane.kubectl(&["create", "token", "robot"]).ok();
    let list = || plane.kubectl_as(&pki, token.trim(), &["get", "configmaps", "-n", "default"], "");
    eventually("the robot may list", || if list().success() { Ok(()) } else { Err(list()) });

    drop(verdict);
    config_map().ok();
    let refused = secret().refused();
    assert!(refused.contains("failed calling webhook \"decides.validating.verdict.dev\""), "{refused}");
    // Another token and other questions than those that are cached.
    let token = plane.kubectl(&["create", "token", "robot", "--duration=2h"]).ok();
    plane.kubectl_as(&pki, token.trim(), &["get", "pods", "-n", "default"], "").ok();
}
