//! The cluster that most tests share: one API server and two Verdicts, one with policies as people run them, one with a policy for each kind of
//! misbehaviour. A misbehaving authorizer is asked about the user of its name, a misbehaving admission policy about the namespace of its name.

use std::{ops::Deref, sync::LazyLock, thread};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::registration::{Namespaces, admission, authorization, authorizer, kubeconfig, rules, webhook, webhooks};
use crate::support::{
    binaries::{Binaries, binaries},
    control_plane::{ControlPlane, Output},
    eventually,
    fixtures::misbehaving,
    pki::Pki,
    processes::{folder, say},
    verdict::Verdict,
};

/// API server, policies, and how they know each other.
pub struct Cluster {
    pub plane: ControlPlane,
    /// magic-*, token-file, namespace-groups, required-labels.
    pub good: Verdict,
    /// One policy for each row of [`admission_policies`] and [`authorization_policies`].
    pub bad: Verdict,
    pub pki: Pki,
}

/// The shared cluster; prints the ends of the logs if the test fails.
pub struct Shared(&'static Cluster);

/// Started by the first test that asks. None: the test is skipped, and said so.
pub fn cluster() -> Option<Shared> {
    static CLUSTER: LazyLock<Option<Cluster>> = LazyLock::new(|| binaries().map(start));
    binaries()?;
    CLUSTER.as_ref().map(Shared)
}

impl Cluster {
    /// A fresh namespace.
    pub fn namespace(&self, name: &str) {
        self.plane.kubectl(&["create", "namespace", name]).ok();
    }

    /// Creates a ConfigMap `cm`, with the key `key` in it. From a file, as people do: `kubectl create configmap` has words of its own.
    pub fn create(&self, namespace: &str, key: &str) -> Output {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "cm", "namespace": namespace}, "data": {key: "x"},
        });
        self.plane.kubectl_with(&["create", "-f", "-"], &object.to_string())
    }
}

impl Deref for Shared {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if thread::panicking() {
            say(&self.plane.tail());
            say(&self.good.process.tail());
            say(&self.bad.process.tail());
        }
    }
}

/// A policy as a document; `spec` beside the component and its settings.
pub fn policy(name: &str, component: &str, settings: &Value, spec: &Value) -> String {
    let component = match component.strip_prefix("builtin:") {
        Some(name) => json!({"builtin": name}),
        None => json!({"path": component}),
    };
    let mut document = json!({
        "apiVersion": "verdict.dev/v1alpha1",
        "kind": "Every",
        "metadata": {"name": name},
        "spec": {"component": component, "settings": settings},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        document["spec"][field] = value.clone();
    }
    // JSON is YAML.
    format!("---\n{document}\n")
}

fn start(binaries: &'static Binaries) -> Cluster {
    let folder = folder("shared");
    let pki = Pki::new(&folder.join("pki"));
    let (good_folder, bad_folder) = (folder.join("good"), folder.join("bad"));
    for folder in [&good_folder, &bad_folder] {
        std::fs::create_dir_all(folder).expect("a writable folder");
    }
    let good = Verdict::serve(&pki, &good_folder, &good_policies(), &[]);
    let bad = Verdict::serve(&pki, &bad_folder, &bad_policies(), &[]);

    let authorizer_of = |(name, at_api_server, _): &(&str, &str, Value)| {
        let path = format!("/authorize/{name}");
        authorizer(name, &kubeconfig(&bad_folder, &pki, &bad, &path), at_api_server, &[name])
    };
    let mut authorizers: Vec<Value> = authorization_policies().iter().map(authorizer_of).collect();
    authorizers.push(authorizer("verdict", &kubeconfig(&good_folder, &pki, &good, "/authorize"), "Deny", &[]));
    let flags = [
        format!("--authorization-config={}", authorization(&folder, authorizers).display()),
        format!("--admission-control-config-file={}", admission(&folder, &pki, &good).display()),
        format!(
            "--authentication-token-webhook-config-file={}",
            kubeconfig(&good_folder, &pki, &good, "/authenticate").display()
        ),
        "--authentication-token-webhook-version=v1".to_owned(),
    ];
    let plane = ControlPlane::start(binaries, &pki, &flags);
    let cluster = Cluster { plane, good, bad, pki };
    register(&cluster);
    cluster
}

/// Registers every admission policy and waits until the API server asks them.
fn register(cluster: &Cluster) {
    let Cluster { plane, good, bad, pki } = cluster;
    let configmaps = rules("", "v1", "configmaps");
    let magic = |path| webhook("magic.verdict.test", pki, good, path, Namespaces::AllBut("kube-system"), &configmaps);
    let bad = |kind: &str| {
        let webhook_of = |(name, kinds, _): &(&str, &str, Value)| {
            let path = format!("/{kind}/{name}");
            let name_of = format!("{name}.verdict.test");
            kinds.contains(kind).then(|| webhook(&name_of, pki, bad, &path, Namespaces::Only(name), &configmaps))
        };
        admission_policies().iter().filter_map(webhook_of).collect::<Vec<_>>()
    };
    let labels = webhook(
        "labels.verdict.test",
        pki,
        good,
        "/validate/required-labels",
        Namespaces::AllBut("kube-system"),
        // Only v1: an object in v2 must be converted to be seen at all.
        &rules("autoscaling", "v1", "horizontalpodautoscalers"),
    );
    let mut beta =
        webhook("beta.verdict.test", pki, good, "/validate/magic-validator", Namespaces::Only("beta"), &configmaps);
    beta["admissionReviewVersions"] = json!(["v1beta1"]);
    let mut double = bad("mutate");
    for webhook in &mut double {
        if webhook["name"] == "double-numbers.verdict.test" {
            webhook["rules"] = rules("verdict.test", "v1", "numbers");
        }
    }
    let validating = [vec![magic("/validate"), labels, beta], bad("validate")].concat();
    let mutating = [vec![magic("/mutate")], double].concat();
    for (kind, webhooks_of) in [("Mutating", mutating), ("Validating", validating)] {
        plane.kubectl_with(&["apply", "-f", "-"], &webhooks(kind, "verdict", &webhooks_of)).ok();
    }
    // Each is live a moment later, independently.
    eventually("the webhooks are live", || {
        let create = ["create", "configmap", "marker", "--dry-run=server", "-o", "jsonpath={.data.magic-value}"];
        let mutated = plane.kubectl(&create);
        let denied = plane.kubectl(&[&create[..], &["--from-literal=not-allowed-value=x"]].concat());
        let live = mutated.stdout == "foobar" && !denied.success();
        if live { Ok(()) } else { Err(format!("{mutated}\n{denied}")) }
    });
}

fn good_policies() -> String {
    let configmaps = json!({"matchConstraints": {"resourceRules": rules("", "v1", "configmaps")}});
    let none = json!({});
    let sha256 = |token: &str| Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    [
        policy("magic-authenticator", "builtin:magic-authenticator", &none, &none),
        policy(
            "token-file",
            "builtin:token-file",
            &json!({"tokens": [
                {"sha256": sha256("reports-token"), "user": {"username": "reporter"}, "audiences": ["reports"]},
                {"sha256": sha256("extra-token"), "user": {
                    "username": "jane", "uid": "42", "groups": ["dev", "ops"], "extra": {"example.com/team": ["a", "b"]},
                }},
            ]}),
            &none,
        ),
        policy("magic-authorizer", "builtin:magic-authorizer", &none, &none),
        policy(
            "namespace-groups",
            "builtin:namespace-groups",
            &json!({"rules": [{"group": "team-a", "namespaces": ["team-a-*"], "verbs": ["get", "list", "create"]}]}),
            &none,
        ),
        policy("magic-validator", "builtin:magic-validator", &none, &configmaps),
        policy("magic-mutator", "builtin:magic-mutator", &none, &configmaps),
        policy(
            "required-labels",
            "builtin:required-labels",
            &json!({"labels": ["team"]}),
            &json!({"matchConstraints": {"resourceRules": rules("autoscaling", "v1", "horizontalpodautoscalers")}}),
        ),
    ]
    .concat()
}

fn bad_policies() -> String {
    let component = |kind: &std::path::Path| kind.to_str().expect("UTF-8").to_owned();
    let (of_admission, of_authorization) =
        (component(&misbehaving("admission")), component(&misbehaving("authorization")));
    let admission = admission_policies();
    let authorization = authorization_policies();
    let documents = admission.iter().map(|row| (row, &of_admission));
    let documents = documents.chain(authorization.iter().map(|row| (row, &of_authorization)));
    documents
        .map(|((name, _, spec), component)| {
            let mut spec = spec.clone();
            let settings = json!({"do": spec["do"].take()});
            spec.as_object_mut().expect("an object").remove("do");
            policy(name, component, &settings, &spec)
        })
        .collect()
}

/// Name and namespace, where it is registered, and what it does.
fn admission_policies() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("trap-fail", "validate mutate", json!({"do": "trap"})),
        ("trap-ignore", "validate mutate", json!({"do": "trap", "failurePolicy": "Ignore"})),
        ("loop-fail", "validate", json!({"do": "loop", "limits": {"timeoutMilliseconds": 100}})),
        (
            "loop-ignore",
            "validate",
            json!({"do": "loop", "limits": {"timeoutMilliseconds": 100}, "limitPolicy": "Ignore"}),
        ),
        ("memory-fail", "validate", json!({"do": "hog-memory", "limits": {"timeoutMilliseconds": 5000}})),
        ("error-fail", "validate", json!({"do": "error"})),
        ("invalid", "validate", json!({"do": "invalid"})),
        ("deny", "validate mutate", json!({"do": "deny"})),
        ("deny-warn", "validate", json!({"do": "deny", "validationActions": ["Warn"]})),
        ("deny-audit", "validate", json!({"do": "deny", "validationActions": ["Audit"]})),
        ("deny-message", "validate", json!({"do": "deny", "message": "ask the platform team"})),
        ("code-out-of-range", "validate", json!({"do": "code-out-of-range"})),
        ("long-message", "validate", json!({"do": "long-message"})),
        ("dirty-warnings", "validate mutate", json!({"do": "dirty-warnings"})),
        ("bad-annotations", "validate mutate", json!({"do": "bad-annotations"})),
        ("patch-not-json", "mutate", json!({"do": "patch-not-json"})),
        ("patch-does-not-apply", "mutate", json!({"do": "patch-does-not-apply"})),
        ("patch-ignore", "mutate", json!({"do": "patch-does-not-apply", "failurePolicy": "Ignore"})),
        ("full-no-object", "mutate", json!({"do": "full-no-object"})),
        ("double-numbers", "mutate", json!({"do": "double-numbers"})),
    ]
}

/// Name and user, what the API server does on an error, and what the policy does.
fn authorization_policies() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("denies", "Deny", json!({"do": "deny"})),
        ("no-opinion", "Deny", json!({"do": "nothing"})),
        ("traps", "Deny", json!({"do": "trap"})),
        ("loops", "Deny", json!({"do": "loop", "limits": {"timeoutMilliseconds": 100}})),
        ("traps-open", "NoOpinion", json!({"do": "trap"})),
        ("traps-no-opinion", "Deny", json!({"do": "trap", "failurePolicy": "NoOpinion"})),
        (
            "loops-no-opinion",
            "Deny",
            json!({"do": "loop", "failurePolicy": "NoOpinion", "limits": {"timeoutMilliseconds": 100}}),
        ),
        ("traps-deny", "Deny", json!({"do": "trap", "failurePolicy": "Deny"})),
        ("long-reason", "Deny", json!({"do": "long-message"})),
    ]
}
