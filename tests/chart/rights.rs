//! What the server may do in a cluster, and nothing beyond.

use serde_json::{Value, json};

use super::{Cluster, RELEASE, cluster, helm};

#[test]
fn its_rights_are_listed() {
    let Some(helm) = helm() else { return };
    let listed = |values: &[&str]| {
        let roles = ["Role", "ClusterRole"].map(|kind| helm.objects(kind, values)).concat();
        roles.iter().map(lines).collect::<String>()
    };
    insta::assert_snapshot!(listed(&[]), @"
    Role verdict: coordination.k8s.io/leases: create
    Role verdict: coordination.k8s.io/leases [verdict]: get,update
    Role verdict: verdict.dev/replicas: list,watch,create,patch,delete
    Role verdict: /pods: get
    Role verdict: /secrets,configmaps: list,watch
    Role verdict: /secrets: create
    Role verdict: /secrets [verdict-certificates]: get,update
    Role verdict-unregister: coordination.k8s.io/leases [verdict]: patch
    ClusterRole verdict: verdict.dev/validators,policygroups,mutators,authorizers,authenticators,providers,namespacedvalidators,namespacedmutators: list,watch
    ClusterRole verdict: verdict.dev/validators/status,policygroups/status,mutators/status,authorizers/status,authenticators/status,providers/status,namespacedvalidators/status,namespacedmutators/status: patch
    ClusterRole verdict: /namespaces: get,list,watch
    ClusterRole verdict: admissionregistration.k8s.io/validatingwebhookconfigurations,mutatingwebhookconfigurations [verdict]: get,list,watch,create,patch
    ClusterRole verdict: events.k8s.io/events: create,patch
    ClusterRole verdict-crds: apiextensions.k8s.io/customresourcedefinitions [validators.verdict.dev,policygroups.verdict.dev,mutators.verdict.dev,authorizers.verdict.dev,authenticators.verdict.dev,providers.verdict.dev,namespacedvalidators.verdict.dev,namespacedmutators.verdict.dev,replicas.verdict.dev]: get,create,patch
    ClusterRole verdict-unregister: admissionregistration.k8s.io/validatingwebhookconfigurations,mutatingwebhookconfigurations [verdict]: delete
    ");
    // What a value adds or takes away.
    let other = |value: &str| {
        let (before, after) = (listed(&[]), listed(&[value]));
        let only = |a: &str, b: &str, sign: &str| {
            let lines = a.lines().filter(|it| !b.lines().any(|other| other == *it));
            lines.map(|it| format!("{sign}{it}\n")).collect::<String>()
        };
        only(&before, &after, "-") + &only(&after, &before, "+")
    };
    insta::assert_snapshot!(other("namespacedValues.enabled=true"), @"+ClusterRole verdict: /secrets,configmaps: list,watch");
    insta::assert_snapshot!(other("providers.serviceAccounts=[{\"namespace\": \"a\", \"name\": \"keeper\"}]"), @"
    +Role verdict: /configmaps: get,create,patch
    +Role verdict-provider-keeper: /serviceaccounts [keeper]: impersonate
    ");
    insta::assert_snapshot!(other("certificates={\"mode\": \"secret\", \"secretName\": \"tls\"}"), @"
    -Role verdict: /secrets: create
    -Role verdict: /secrets [verdict-certificates]: get,update
    ");
}

#[test]
fn they_are_enough_and_go_no_further() {
    let (Some(helm), Some(Cluster { plane, .. })) = (helm(), cluster()) else { return };
    for kind in ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Lease"] {
        for object in helm.objects(kind, &[]) {
            plane.kubectl_with(&["apply", "--namespace", RELEASE, "-f", "-"], &object.to_string()).ok();
        }
    }
    plane.kubectl(&["create", "namespace", "elsewhere"]).ok();
    let server = |args: &[&str], stdin: &Value| {
        let user = format!("--as=system:serviceaccount:{RELEASE}:verdict");
        plane.kubectl_with(&[&[user.as_str()], args].concat(), &stdin.to_string())
    };
    let apply = ["apply", "--server-side", "-f", "-"];
    let none = Value::Null;
    for kind in ["Validating", "Mutating"] {
        let webhooks = |name: &str| {
            json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": format!("{kind}WebhookConfiguration"),
                "metadata": {"name": name}, "webhooks": []})
        };
        // It is not there yet: a right to create something of this name, which only server-side apply asks for so.
        server(&apply, &webhooks("verdict")).ok();
        server(&apply, &webhooks("of-somebody-else")).refused();
        server(&["delete", &format!("{kind}WebhookConfiguration"), "verdict"], &none).refused();
    }
    let lease = |name: &str| {
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": RELEASE},
            "spec": {"holderIdentity": "a"}})
    };
    let replace = ["replace", "-f", "-"];
    server(&replace, &lease("verdict")).ok();
    plane.kubectl_with(&["create", "-f", "-"], &lease("of-somebody-else").to_string()).ok();
    server(&replace, &lease("of-somebody-else")).refused();
    let secret = |name: &str, namespace: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}});
    server(&["create", "-f", "-"], &secret("verdict-certificates", RELEASE)).ok();
    server(&replace, &secret("verdict-certificates", RELEASE)).ok();
    plane.kubectl_with(&["create", "-f", "-"], &secret("of-somebody-else", RELEASE).to_string()).ok();
    server(&replace, &secret("of-somebody-else", RELEASE)).refused();
    for (args, may) in [
        (&["get", "secrets", "--namespace", RELEASE][..], true),
        (&["get", "secrets", "--namespace", "elsewhere"], false),
        (&["get", "secrets", "--all-namespaces"], false),
        (&["get", "configmaps", "--all-namespaces"], false),
        (&["get", "pods", "--all-namespaces"], false),
        (&["get", "namespaces"], true),
        (&["get", "validators,mutators,authorizers,authenticators,providers,policygroups"], true),
        (&["delete", "validator", "x"], false),
        (&["delete", "namespace", "elsewhere"], false),
        (&["create", "clusterrolebinding", "x", "--clusterrole=cluster-admin", "--user=x"], false),
    ] {
        let output = server(args, &none);
        assert!(if may { output.success() } else { output.stderr.contains("is forbidden: User") }, "{output}");
    }
}

/// Each rule of a role on one line.
fn lines(role: &Value) -> String {
    let joined = |value: &Value| {
        let all: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        all.join(",")
    };
    let head = format!("{} {}", role["kind"].as_str().unwrap(), role["metadata"]["name"].as_str().unwrap());
    let rule = |it: &Value| {
        let names = match joined(&it["resourceNames"]) {
            names if names.is_empty() => String::new(),
            names => format!(" [{names}]"),
        };
        format!("{head}: {}/{}{names}: {}\n", joined(&it["apiGroups"]), joined(&it["resources"]), joined(&it["verbs"]))
    };
    role["rules"].as_array().into_iter().flatten().map(rule).collect()
}
