//! Whoever writes a policy must be able to get what it refers to: the chart's ValidatingAdmissionPolicy, asked by real users.

use serde_json::{Value, json};

use super::{CHART, Cluster, RELEASE, documents, helm, start};
use crate::support::{control_plane::ControlPlane, eventually};

/// What a user writes, and how it ends: None when it is taken, else a part of what he is told.
type Case = (&'static str, Value, Option<&'static str>);

#[test]
fn who_writes_a_policy_must_be_able_to_get_what_it_refers_to() {
    let (Some(helm), Some(Cluster { plane, .. })) = (helm(), start()) else { return };
    let plane = &plane;
    plane.kubectl_with(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &definitions()).ok();
    for namespace in ["team-a", "a"] {
        plane.kubectl(&["create", "namespace", namespace]).ok();
    }
    plane.kubectl_with(&["apply", "-f", "-"], &rights()).ok();
    let check = |values: &[&str]| {
        ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
            .map(|kind| helm.objects(kind, values).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n---\n"))
            .join("\n---\n")
    };
    plane.kubectl_with(&["apply", "--validate=strict", "-f", "-"], &check(&[])).ok();

    let names = |prefix: &str, count: usize| (0..count).map(|at| format!("{prefix}-{at}")).collect::<Vec<_>>();
    let secrets = |names: &[String]| names.iter().map(|it| secret(it)).collect::<Vec<_>>();
    let (eight, nine) = (secrets(&names("a", 8)), secrets(&names("a", 9)));
    let with_config_maps = [eight.clone(), names("a", 8).iter().map(|it| config_map(it)).collect()].concat();
    let refused = "spec refers to the Secret other, which alice may not get in the namespace verdict";
    let cases: Vec<Case> = vec![
        ("bob", variables("Validator", &[]), None),
        (
            "bob",
            variables("Validator", &[secret("a-0")]),
            Some("Secret a-0, which bob may not get in the namespace verdict"),
        ),
        ("alice", variables("Validator", &[secret("a-0")]), None),
        ("alice", variables("Validator", &[secret("a-0"), secret("other")]), Some(refused)),
        ("alice", variables("Mutator", &[secret("other")]), Some(refused)),
        ("alice", settings("Validator", &[config_map("a-0"), secret("a-0")]), None),
        ("alice", settings("Validator", &[config_map("a-0"), secret("other")]), Some(refused)),
        ("alice", settings("Validator", &[config_map("other")]), Some("the ConfigMap other, which alice may not get")),
        // Of a group, the members.
        ("alice", group(&variables("Validator", &[secret("a-0")])), None),
        ("alice", group(&variables("Validator", &[secret("other")])), Some(refused)),
        ("alice", group(&settings("Validator", &[secret("other")])), Some(refused)),
        // Names that are given one by one can only be so many; within that, kube-apiserver's budget is enough.
        ("alice", variables("Validator", &eight), None),
        ("alice", variables("Validator", &with_config_maps), None),
        ("alice", variables("Validator", &times(&eight, 8)), None),
        ("alice", variables("Validator", &times(&eight, 9)), Some("more than 8 Secrets")),
        ("alice", variables("Validator", &nine), Some("more than 8 Secrets")),
        ("carol", variables("Validator", &nine), None),
        ("carol", variables("Validator", &times(&nine, 20)), None),
        // The Secrets of the release are no others' business, and those of a namespace are its own.
        (
            "alice",
            namespaced(&variables("NamespacedValidator", &[secret("a-0")])),
            Some("may not get in the namespace team-a"),
        ),
        ("dora", namespaced(&variables("NamespacedValidator", &[secret("a-0")])), None),
        (
            "dora",
            namespaced(&settings("NamespacedMutator", &[secret("a-1")])),
            Some("may not get in the namespace team-a"),
        ),
        ("dora", variables("Validator", &[secret("a-0")]), Some("may not get in the namespace verdict")),
        // No Secret has such a name; it must not hide another.
        ("alice", variables("Validator", &[secret("a-0,other")]), Some("other")),
        // Whoever it acts as, they must be able to be.
        ("alice", provider("a", "keeper"), None),
        ("alice", provider("a", "other"), Some("the service account a/other, which alice may not impersonate")),
        ("alice", provider("b", "keeper"), Some("the service account b/keeper, which alice may not impersonate")),
        ("bob", provider("a", "keeper"), Some("the service account a/keeper, which bob may not impersonate")),
        // Another installation's.
        ("bob", labelled(&variables("Validator", &[secret("a-0")]), "blue"), None),
    ];
    in_force(plane, &variables("Validator", &[secret("a-0")]));
    for (user, object, told) in &cases {
        let output = create(plane, user, object);
        match told {
            None => assert!(output.success(), "{user}: {object}\n{output}"),
            Some(told) => assert!(output.stderr.contains(told), "{user}: {object}\n{output}"),
        }
    }

    // Whoever changes what a policy does would use the rights of who wrote it; a note on it changes nothing.
    let mine = variables("Validator", &[secret("a-0")]);
    plane.kubectl_with(&["create", "--as=alice", "-f", "-"], &mine.to_string()).ok();
    let bob = |args: &[&str]| plane.kubectl(&[&["--as=bob"], args].concat());
    bob(&["annotate", "validator", "p", "seen=yes"]).ok();
    let other = r#"{"spec": {"component": {"builtin": "image-policy"}}}"#;
    let refused = bob(&["patch", "validator", "p", "--type=merge", "-p", other]).refused();
    assert!(refused.contains("bob may not get"), "{refused}");
    plane.kubectl(&["--as=alice", "patch", "validator", "p", "--type=merge", "-p", other]).ok();

    // What served last is the server's to say: else it would serve as somebody wrote it there, whom nobody asked for rights.
    let status = |user: &str, accepted: &str| {
        let status = format!(r#"{{"status": {{"message": "by {user}", "accepted": {accepted}}}}}"#);
        let user = format!("--as={user}");
        plane.kubectl(&[&user, "patch", "validator", "p", "--subresource=status", "--type=merge", "-p", &status])
    };
    let server = format!("system:serviceaccount:{RELEASE}:verdict");
    let accepted = r#"{"generation": 1, "spec": {"component": {"builtin": "required-labels"}}}"#;
    let refused = eventually("the other policy is in force", || {
        let output = status("bob", accepted);
        if output.success() { Err(output) } else { Ok(output.refused()) }
    });
    assert!(refused.contains("status.accepted is written by the server alone"), "{refused}");
    plane
        .kubectl(&["create", "clusterrolebinding", "server", "--clusterrole=authors", &format!("--user={server}")])
        .ok();
    status(&server, accepted).ok();
    status("bob", accepted).ok();
    status("bob", "null").refused();

    // An installation has its own, for its own policies: one cannot be handed over to it.
    plane.kubectl_with(&["apply", "--validate=strict", "-f", "-"], &check(&["instance=\"blue\""])).ok();
    in_force(plane, &labelled(&variables("Validator", &[secret("a-0")]), "blue"));
    let refused = bob(&["label", "validator", "p", "verdict.dev/instance=blue"]).refused();
    assert!(refused.contains("verdict-blue-references"), "{refused}");
}

/// Waits until Bob may not write this.
fn in_force(plane: &ControlPlane, object: &Value) {
    let mut object = object.clone();
    object["metadata"]["name"] = json!("marker");
    eventually("the policy is in force", || {
        let output = create(plane, "bob", &object);
        if output.stderr.contains("bob may not get") { Ok(()) } else { Err(output) }
    });
}

fn create(plane: &ControlPlane, user: &str, object: &Value) -> crate::support::control_plane::Output {
    let user = format!("--as={user}");
    plane.kubectl_with(&["create", "--dry-run=server", &user, "-f", "-"], &object.to_string())
}

/// Those of the chart. Where they do not know these fields and kinds yet, ones that take anything.
fn definitions() -> String {
    let mut all: Vec<Value> = Vec::new();
    for kind in ["validators", "mutators", "policygroups", "providers"] {
        let text = std::fs::read_to_string(format!("{CHART}/crds/{kind}.verdict.dev.yaml")).unwrap();
        let mut definition = documents(&text).remove(0);
        let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
        let knows = definition.pointer(&format!("{spec}/properties/settingsFrom")).is_some();
        if !knows {
            *definition.pointer_mut(spec).unwrap() =
                json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        }
        if ["validators", "mutators"].contains(&kind) {
            let path = format!("{CHART}/crds/namespaced{kind}.verdict.dev.yaml");
            all.push(match std::fs::read_to_string(path) {
                Ok(text) => documents(&text).remove(0),
                Err(_) => namespaced_of(&definition, kind),
            });
        }
        all.push(definition);
    }
    all.iter().map(|it| format!("---\n{it}\n")).collect()
}

fn namespaced_of(definition: &Value, plural: &str) -> Value {
    let mut other = definition.clone();
    let kind = format!("Namespaced{}", definition["spec"]["names"]["kind"].as_str().unwrap());
    other["metadata"]["name"] = json!(format!("namespaced{plural}.verdict.dev"));
    other["spec"]["scope"] = json!("Namespaced");
    other["spec"]["names"] = json!({
        "kind": kind, "listKind": format!("{kind}List"), "plural": format!("namespaced{plural}"), "singular": kind.to_lowercase(),
    });
    other
}

/// Everybody may write policies. Alice may get some Secrets and ConfigMaps, Carol every Secret, both of the release; Dora one of team-a.
fn rights() -> String {
    let some: Vec<String> = (0..9).map(|at| format!("a-{at}")).collect();
    let role = |kind: &str, name: &str, namespace: Option<&str>, rules: Value| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "rules": rules});
    let binding = |kind: &str, name: &str, namespace: Option<&str>, users: &[&str]| {
        let subjects: Vec<Value> = users
            .iter()
            .map(|it| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": it}))
            .collect();
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": format!("{kind}Binding"), "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}, "subjects": subjects,
        })
    };
    let get = |resources: &[&str], names: &[String]| json!([{"apiGroups": [""], "resources": resources, "resourceNames": names, "verbs": ["get"]}]);
    let policies =
        json!([{"apiGroups": ["verdict.dev"], "resources": ["*"], "verbs": ["get", "create", "update", "patch"]}]);
    [
        role("ClusterRole", "authors", None, policies),
        binding("ClusterRole", "authors", None, &["alice", "bob", "carol", "dora"]),
        role("Role", "some", Some(RELEASE), get(&["secrets", "configmaps"], &some)),
        binding("Role", "some", Some(RELEASE), &["alice"]),
        role("Role", "every", Some(RELEASE), get(&["secrets"], &[])),
        binding("Role", "every", Some(RELEASE), &["carol"]),
        role("Role", "keeper", Some("a"), json!([{"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["keeper"], "verbs": ["impersonate"]}])),
        binding("Role", "keeper", Some("a"), &["alice"]),
        role("Role", "one", Some("team-a"), get(&["secrets"], &some[..1])),
        binding("Role", "one", Some("team-a"), &["dora"]),
    ]
    .map(|it| format!("---\n{it}\n"))
    .concat()
}

/// All of them, so many times.
fn times(values: &[Value], count: usize) -> Vec<Value> {
    std::iter::repeat_n(values, count).flatten().cloned().collect()
}

fn secret(name: &str) -> Value {
    json!({"secretKeyRef": {"name": name, "key": "k"}})
}

fn config_map(name: &str) -> Value {
    json!({"configMapKeyRef": {"name": name, "key": "k"}})
}

fn policy(kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": "verdict.dev/v1alpha1", "kind": kind, "metadata": {"name": "p"}, "spec": spec})
}

/// That acts as a service account.
fn provider(namespace: &str, name: &str) -> Value {
    policy(
        "Provider",
        &json!({
            "component": {"builtin": "caesar-cipher"},
            "events": [{"apiVersion": "v1", "kind": "ConfigMap"}],
            "grants": {"kubernetes": {"serviceAccount": {"namespace": namespace, "name": name}}},
        }),
    )
}

/// With these as environment variables.
fn variables(kind: &str, from: &[Value]) -> Value {
    let env: Vec<Value> =
        from.iter().enumerate().map(|(at, it)| json!({"name": format!("V{at}"), "valueFrom": it})).collect();
    policy(kind, &json!({"component": {"builtin": "required-labels"}, "grants": {"env": env}}))
}

/// With these as settings.
fn settings(kind: &str, from: &[Value]) -> Value {
    policy(kind, &json!({"component": {"builtin": "required-labels"}, "settingsFrom": from}))
}

/// With what this one has, as its second member.
fn group(other: &Value) -> Value {
    let mut member = other["spec"].clone();
    member["name"] = json!("b");
    let first = json!({"name": "a", "component": {"builtin": "required-labels"}});
    policy("PolicyGroup", &json!({"expression": "a() && b()", "members": [first, member]}))
}

fn namespaced(policy: &Value) -> Value {
    let mut policy = policy.clone();
    policy["metadata"]["namespace"] = json!("team-a");
    policy
}

fn labelled(policy: &Value, instance: &str) -> Value {
    let mut policy = policy.clone();
    policy["metadata"]["labels"] = json!({"verdict.dev/instance": instance});
    policy
}
