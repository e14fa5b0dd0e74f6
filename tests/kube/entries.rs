//! Which policies share an entry of a webhook configuration, and what a dead server does to each: as `verdict manifests`
//! writes it and kube-apiserver reads it.

use std::path::Path;

use serde_json::{Value, json};
use verdict::{
    config,
    registration::{Options, Place, Registered, webhooks},
    spec::{Class, Kind},
};

use super::{
    cluster::policy,
    generated::{generate, path},
    install,
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
    let plane = known(binaries, pki, &verdict, folder);
    apply(&plane, folder);
    (verdict, plane)
}

/// kube-apiserver that can reach the server, and is not told yet to ask it.
fn known(binaries: &'static Binaries, pki: &Pki, verdict: &Verdict, folder: &Path) -> ControlPlane {
    let out = generate(pki, verdict, folder);
    let flags = [
        "--authorization-mode=AlwaysAllow".to_owned(),
        format!("--admission-control-config-file={}", path(&out.join("admission-config.yaml"))),
    ];
    ControlPlane::start(binaries, pki, &flags)
}

fn apply(plane: &ControlPlane, folder: &Path) {
    plane.kubectl(&["apply", "-f", &path(&folder.join("out").join("validating-webhook.yaml"))]).ok();
}

/// A validator that wants a label of its name.
fn wants(label: &str, more: &Value) -> String {
    policy(label, "builtin:required-labels", &json!({"labels": [label]}), more)
}

fn config_map(name: &str, namespace: &str, labels: &Value) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace, "labels": labels}})
        .to_string()
}

#[test]
fn policies_of_one_class_share_an_entry() {
    let Some(binaries) = binaries() else { return };
    let folder = folder("classes");
    let pki = Pki::new(&folder.join("pki"));
    let rules = json!({"resourceRules": rules("", "v1", "configmaps")});
    let denies = json!({"matchConstraints": rules});
    let warns = json!({"matchConstraints": rules, "validationActions": ["Warn"]});
    let policies = wants("team", &denies) + &wants("owner", &denies) + &wants("cost", &warns);
    let (verdict, plane) = registered(binaries, &pki, &folder, &policies);
    let create = |labels: Value| {
        plane.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &config_map("a", "default", &labels))
    };
    let told = [
        ".entry.validating.verdict.dev\" denied the request: owner: the label owner is required",
        "team: the label team is required",
        "Warning: cost: the label cost is required",
    ];
    eventually("all are asked", || {
        let output = create(json!({}));
        if told.iter().all(|it| output.stderr.contains(it)) { Ok(()) } else { Err(output.to_string()) }
    });
    let all = plane.kubectl(&["get", "validatingwebhookconfiguration", "verdict", "-o", "json"]).ok();
    let all: Value = serde_json::from_str(&all).expect("JSON");
    let url = |at: usize| all["webhooks"][at]["clientConfig"]["url"].as_str().unwrap_or_default().to_owned();
    // In the order of the names.
    assert_eq!(url(0), format!("https://{}/validate/cost", verdict.https));
    assert!(url(1).starts_with(&format!("https://{}/validate/entry.", verdict.https)), "{all}");
    assert_eq!(all["webhooks"].as_array().map(Vec::len), Some(2));
    // Each is asked once for each request.
    let reviews = || ["team", "owner", "cost"].map(|it| verdict.reviews(it, "denied") + verdict.reviews(it, "allowed"));
    let before = reviews();
    create(json!({"team": "a", "owner": "a", "cost": "a"})).ok();
    assert_eq!(reviews(), before.map(|it| it + 1));
}

/// Whatever a policy denies, somebody who may write policies can mend it.
#[test]
fn nothing_is_asked_about_objects_of_its_own() {
    let Some(binaries) = binaries() else { return };
    let folder = folder("own-objects");
    let pki = Pki::new(&folder.join("pki"));
    let everything = json!({"matchConstraints": {"resourceRules": rules("*", "*", "*/*")}});
    let verdict = Verdict::serve(&pki, &folder, &wants("team", &everything), &[]);
    let plane = known(binaries, &pki, &verdict, &folder);
    install(&plane, &[]);
    eventually("the kinds are served", || {
        let list = plane.kubectl(&["get", "validators.verdict.dev"]);
        if list.success() { Ok(()) } else { Err(list) }
    });
    apply(&plane, &folder);
    eventually("the policy is asked", || {
        let output =
            plane.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &config_map("a", "default", &json!({})));
        if output.stderr.contains("the label team is required") { Ok(()) } else { Err(output) }
    });
    let denied = plane.kubectl(&["create", "--dry-run=server", "deployment", "d", "--image=x"]).refused();
    assert!(denied.contains("the label team is required"), "{denied}");
    let own = json!({"apiVersion": "verdict.dev/v1alpha1", "kind": "Validator", "metadata": {"name": "own"},
        "spec": {"component": {"builtin": "required-labels"}}});
    plane.kubectl_with(&["create", "-f", "-"], &own.to_string()).ok();
    // Nor when nobody answers.
    drop(verdict);
    plane.kubectl(&["annotate", "validators.verdict.dev", "own", "a=b"]).ok();
    let refused = plane
        .kubectl_with(&["create", "--dry-run=server", "-f", "-"], &config_map("a", "default", &json!({})))
        .refused();
    assert!(refused.contains("failed calling webhook \"team.validating.verdict.dev\""), "{refused}");
}

#[test]
fn kube_apiserver_looks_at_conditions_that_are_pushed() {
    let Some(binaries) = binaries() else { return };
    let folder = folder("pushed");
    let pki = Pki::new(&folder.join("pki"));
    let more = json!({
        "matchConstraints": {"resourceRules": rules("*", "v1", "configmaps")},
        "matchConditions": [{"name": "only-checked", "expression": "object.metadata.name.startsWith('checked')"}],
    });
    let policies = (wants("team", &more) + &wants("owner", &more)).replace("\"Every\"", "\"Validator\"");
    let verdict = Verdict::serve(&pki, &folder, &policies, &[]);
    let plane = known(binaries, &pki, &verdict, &folder);
    let specs = config::parse(&policies, "policies.yaml", Path::new("/")).expect("policies");
    assert_eq!(Class::of(&specs[0]), Class::of(&specs[1]));
    let policies: Vec<Registered> = specs.into_iter().map(|spec| Registered { spec, kind: Kind::Validator }).collect();
    let options = Options {
        name: "pushed".to_owned(),
        labels: [("verdict.dev/instance".to_owned(), "a".to_owned())].into(),
        place: Place::Url(format!("https://{}", verdict.https)),
        ca: Some(pki.ca_pem.clone()),
        excluded: Vec::new(),
        exempt_label: Some("verdict.dev/exempt".to_owned()),
        push_conditions: true,
        not_pushed: [].into(),
        client: None,
        token_file: None,
        folder: folder.clone(),
    };
    let webhooks = webhooks(&policies, &options).expect("webhooks").validating.expect("validators");
    plane.kubectl_with(&["apply", "-f", "-"], &serde_json::to_string(&webhooks).expect("JSON")).ok();
    plane.kubectl(&["create", "namespace", "exempt"]).ok();
    plane.kubectl(&["label", "namespace", "exempt", "verdict.dev/exempt=yes"]).ok();
    let create = |name: &str, namespace: &str| {
        plane.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &config_map(name, namespace, &json!({})))
    };
    eventually("both are asked", || {
        let output = create("checked", "default");
        let told = ["owner: the label owner is required", "team: the label team is required"];
        if told.iter().all(|it| output.stderr.contains(it)) { Ok(()) } else { Err(output.to_string()) }
    });
    create("checked", "exempt").ok();
    drop(verdict);
    let refused = create("checked", "default").refused();
    assert!(refused.contains("failed calling webhook \"all.validating.verdict.dev\""), "{refused}");
    // Nobody is asked, so nobody is missed.
    create("free", "default").ok();
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
