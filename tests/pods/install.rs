//! How Verdict gets into a cluster of Pods.

use std::fs;

use crate::support::{
    eventually,
    helm::{CHART, Helm},
    pods::Cluster,
    verdict::verdict,
};

/// By what means.
pub enum How<'a> {
    /// Policies as files in a ConfigMap, `manifests/verdict.yaml` as it is, and what `verdict manifests` writes of the same policies.
    Files { policies: &'a str },
    /// The chart, with these values as `PATH=JSON`; policies are objects.
    Chart { helm: &'a Helm, values: &'a [&'a str] },
}

/// Installs it into its own namespace, two replicas, and waits until they are ready.
pub fn install(cluster: &mut Cluster, how: &How<'_>) {
    cluster.image("docker.io/library/verdict:0.1.0", env!("CARGO_BIN_EXE_verdict").as_ref());
    match how {
        How::Files { policies } => files(cluster, policies),
        How::Chart { helm, values } => {
            let line = ["install", "verdict", CHART, "--namespace=verdict", "--create-namespace", "--wait"];
            let told = helm.run_in(&cluster.kubeconfig, &[&line, &*set(values)].concat());
            told.unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

/// Brings other values to what [`How::Chart`] installed, or installs it once more, and waits until all replicas are ready.
pub fn upgrade(cluster: &Cluster, helm: &Helm, values: &[&str]) {
    let line = ["upgrade", "verdict", CHART, "--namespace=verdict", "--install", "--reset-then-reuse-values", "--wait"];
    helm.run_in(&cluster.kubeconfig, &[&line, &*set(values)].concat()).unwrap_or_else(|error| panic!("{error}"));
}

/// Takes away what [`How::Chart`] installed. Its namespace, its definitions and the policies stay.
pub fn uninstall(cluster: &Cluster, helm: &Helm) {
    let line = ["uninstall", "verdict", "--namespace=verdict", "--wait"];
    helm.run_in(&cluster.kubeconfig, &line).unwrap_or_else(|error| panic!("{error}"));
}

fn set<'a>(values: &[&'a str]) -> Vec<&'a str> {
    values.iter().flat_map(|it| ["--set-json", it]).collect()
}

fn files(cluster: &mut Cluster, policies: &str) {
    let folder = cluster.folder().join("install");
    fs::create_dir_all(&folder).expect("a writable folder");
    let file = folder.join("policies.yaml");
    fs::write(&file, policies).expect("a writable folder");
    let server = cluster.pki.server("verdict", &["verdict.verdict.svc"]);
    let client = cluster.pki.client("kube-apiserver", &[]);
    let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let (ca, out) = (text(&cluster.pki.ca), text(&folder));
    let line = ["manifests", "--service=verdict/verdict", "--policies", &text(&file), "--ca-file", &ca];
    let shown = ["--client-cert", &text(&client.cert), "--client-key", &text(&client.key)];
    let (code, _, errors) = verdict(&[line.as_slice(), &shown, &["--config-dir", &out, "--out", &out]].concat());
    assert_eq!(code, 0, "{errors}");
    cluster.restart_apiserver(&[format!("--admission-control-config-file={out}/admission-config.yaml")]);

    cluster.kubectl(&["create", "namespace", "verdict"]).ok();
    let files = [
        format!("--from-file=server.crt={}", text(&server.cert)),
        format!("--from-file=server.key={}", text(&server.key)),
        format!("--from-file=ca.crt={ca}"),
    ];
    let secret = ["create", "secret", "generic", "verdict-tls", "--namespace=verdict", &files[0], &files[1], &files[2]];
    cluster.kubectl(&secret).ok();
    write_policies(cluster, policies);
    let manifests = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/verdict.yaml");
    cluster.kubectl(&["apply", "-f", manifests]).ok();
    rolled_out(cluster);
    for name in ["validating-webhook.yaml", "mutating-webhook.yaml"] {
        let file = folder.join(name);
        if file.exists() {
            cluster.kubectl(&["apply", "-f", &text(&file)]).ok();
        }
    }
}

/// The policies of [`How::Files`], the first ones or others in their place.
pub fn write_policies(cluster: &Cluster, policies: &str) {
    let config_map = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "verdict-policies", "namespace": "verdict"},
        "data": {"policies.yaml": policies},
    });
    cluster.kubectl_with(&["apply", "--server-side", "-f", "-"], &config_map.to_string()).ok();
}

/// Waits until every replica is of the newest kind and ready.
pub fn rolled_out(cluster: &Cluster) {
    eventually("the replicas are rolled out", || {
        let status = ["rollout", "status", "deployment/verdict", "--namespace=verdict", "--timeout=50s"];
        match cluster.kubectl(&status) {
            it if it.success() => Ok(()),
            it => Err(it),
        }
    });
}
