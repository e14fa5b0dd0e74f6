//! What `verdict manifests` generates, as it comes: applied with kubectl, given to kube-apiserver by its flags.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::{cluster::policy, registration::rules};
use crate::support::{
    binaries::binaries, control_plane::ControlPlane, eventually, pki::Pki, processes::folder, verdict::Verdict,
};

#[test]
fn generated_manifests_register_all_three_reviews() {
    let Some(binaries) = binaries() else { return };
    let folder = folder("generated");
    let pki = Pki::new(&folder.join("pki"));
    let none = json!({});
    let matching = |rules: serde_json::Value| json!({"matchConstraints": {"resourceRules": rules}});
    let policies = [
        policy("magic-authenticator", "builtin:magic-authenticator", &none, &none),
        policy("magic-authorizer", "builtin:magic-authorizer", &none, &none),
        policy("magic-mutator", "builtin:magic-mutator", &none, &matching(rules("", "v1", "configmaps"))),
        policy("magic-validator", "builtin:magic-validator", &none, &matching(rules("", "v1", "configmaps"))),
        // Only v1: an object created in v2 must be converted to be seen.
        policy(
            "labels-v1",
            "builtin:required-labels",
            &json!({"labels": ["team"]}),
            &matching(rules("autoscaling", "v1", "horizontalpodautoscalers")),
        ),
        // The same resource in another version: sharing an entry would hide each from the other.
        policy(
            "labels-v2",
            "builtin:required-labels",
            &json!({"labels": ["owner"]}),
            &matching(rules("autoscaling", "v2", "horizontalpodautoscalers")),
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
    for webhook in ["validating-webhook.yaml", "mutating-webhook.yaml"] {
        plane.kubectl(&["apply", "-f", &file(webhook)]).ok();
    }
    let whoami = plane.kubectl_as(&pki, "magic-token", &["auth", "whoami"], "").ok();
    assert!(whoami.contains("magic-user"), "{whoami}");
    plane.kubectl_as(&pki, "magic-token", &["get", "configmaps"], "").ok();
    let refused = plane.kubectl_as(&pki, "magic-token", &["get", "secrets"], "").refused();
    assert!(refused.contains("Forbidden"), "{refused}");

    eventually("the webhooks are live", || {
        let create = ["create", "configmap", "marker", "--dry-run=server", "-o", "jsonpath={.data.magic-value}"];
        let mutated = plane.kubectl(&create);
        let denied = plane.kubectl(&[&create[..], &["--from-literal=not-allowed-value=x"]].concat());
        if mutated.stdout == "foobar" && !denied.success() { Ok(()) } else { Err(format!("{mutated}\n{denied}")) }
    });
    // kube-system is left out.
    let config_map = |namespace: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm", "namespace": namespace}, "data": {"not-allowed-value": "x"}})
            .to_string()
    };
    plane.kubectl_with(&["create", "-f", "-"], &config_map("kube-system")).ok();
    let denied = plane.kubectl_with(&["create", "-f", "-"], &config_map("default")).refused();
    assert!(denied.contains("value not-allowed-value not allowed in configmap"), "{denied}");
    // An object is seen by both policies, whichever version it is created in.
    let autoscaler = |version: &str, labels: serde_json::Value| {
        json!({"apiVersion": format!("autoscaling/{version}"), "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "hpa", "namespace": "default", "labels": labels},
            "spec": {"maxReplicas": 2, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}}})
        .to_string()
    };
    for version in ["v1", "v2"] {
        for (labels, missing) in [(json!({"owner": "a"}), "team"), (json!({"team": "a"}), "owner")] {
            let denied = plane.kubectl_with(&["create", "-f", "-"], &autoscaler(version, labels)).refused();
            assert!(denied.contains(&format!("the label {missing} is required")), "{version}: {denied}");
        }
        let both = autoscaler(version, json!({"team": "a", "owner": "a"}));
        plane.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &both).ok();
    }
    // The example of a deployment is what an API server takes.
    plane.kubectl(&["create", "namespace", "verdict"]).ok();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/verdict.yaml");
    let applied = plane.kubectl(&["apply", "--dry-run=server", "-f", example]).ok();
    assert!(applied.contains("deployment.apps/verdict created"), "{applied}");
    // Nothing was generated for hand-edited files to hide: the folder holds what the flags named, and no more.
    assert_eq!(fs::read_dir(&out).expect("the folder").count(), 7);
}

/// Runs `verdict manifests` for a server's policies, as somebody does who starts kube-apiserver himself; where the files are.
pub fn generate(pki: &Pki, verdict: &Verdict, folder: &Path) -> PathBuf {
    generate_of(&["--policies", &path(&folder.join("policies.yaml"))], pki, verdict, folder)
}

/// As [`generate`]; `sources` are flags.
pub fn generate_of(sources: &[&str], pki: &Pki, verdict: &Verdict, folder: &Path) -> PathBuf {
    let out = folder.join("out");
    let mut made = Command::new(env!("CARGO_BIN_EXE_verdict"));
    made.arg("manifests").args(sources).args([
        "--url",
        &format!("https://{}", verdict.https),
        "--ca-file",
        &path(&pki.ca),
        "--client-cert",
        &path(&verdict.client.cert),
        "--client-key",
        &path(&verdict.client.key),
        "--config-dir",
        &path(&out),
        "--out",
        &path(&out),
    ]);
    let made = made.output().expect("verdict");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    out
}

pub fn path(file: &Path) -> String {
    file.to_str().expect("UTF-8").to_owned()
}
