//! The Helm chart in `manifests/chart`: rendered by Helm itself, taken by a real kube-apiserver.

mod accepted;
mod definitions;
mod references;
mod rights;
mod used;
mod values;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use serde_json::{Value, json};

use crate::support::{
    binaries::binaries,
    control_plane::ControlPlane,
    helm::{CHART, Helm, helm},
    pki::Pki,
    processes::folder,
    verdict,
};

/// The release that the tests render; its namespace, too.
const RELEASE: &str = "verdict";

impl Helm {
    /// The chart with these values, each as `PATH=JSON`.
    fn render(&self, values: &[&str]) -> Result<String, String> {
        let mut args = vec!["template", RELEASE, CHART, "--namespace", RELEASE];
        for value in values {
            args.extend(["--set-json", value]);
        }
        self.run(&args)
    }

    /// The objects of one kind, with these values.
    fn objects(&self, kind: &str, values: &[&str]) -> Vec<Value> {
        let all = documents(&self.render(values).unwrap_or_else(|error| panic!("{error}")));
        all.into_iter().filter(|it| it["kind"] == kind).collect()
    }
}

fn documents(yaml: &str) -> Vec<Value> {
    let read = |it: &str| serde_saphyr::from_str::<Value>(it).unwrap_or_else(|error| panic!("{error}\n{it}"));
    yaml.split("\n---\n").map(read).filter(|it| !it.is_null()).collect()
}

fn chart_file(name: &str) -> String {
    let path = Path::new(CHART).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A cluster with the chart's definitions and the namespace of the release.
struct Cluster {
    plane: ControlPlane,
    pki: Pki,
}

/// The one that tests share which leave the definitions as they are, or bring them back.
fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: LazyLock<Option<Cluster>> = LazyLock::new(start);
    binaries()?;
    CLUSTER.as_ref()
}

fn start() -> Option<Cluster> {
    let binaries = binaries()?;
    let pki = Pki::new(&folder("chart-pki"));
    let plane = ControlPlane::start(binaries, &pki, &["--authorization-mode=RBAC".to_owned()]);
    plane.kubectl(&["apply", "--server-side", "-f", &format!("{CHART}/crds")]).ok();
    let standards = ["enforce", "warn"].map(|it| (format!("pod-security.kubernetes.io/{it}"), json!("restricted")));
    let labels: serde_json::Map<_, _> = standards.into_iter().collect();
    let home = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RELEASE, "labels": labels}});
    plane.kubectl_with(&["apply", "-f", "-"], &home.to_string()).ok();
    Some(Cluster { plane, pki })
}

/// A kubeconfig in `folder` for a service account of the release's namespace, with a token as a Pod gets it.
fn account(Cluster { plane, pki }: &Cluster, account: &str, folder: &Path) -> PathBuf {
    let token = plane.kubectl(&["create", "token", account, "--namespace", RELEASE]).ok();
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "c", "cluster": {"server": plane.url, "certificate-authority": pki.ca}}],
        "users": [{"name": "u", "user": {"token": token.trim()}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    });
    let file = folder.join(format!("{account}.kubeconfig"));
    fs::write(&file, config.to_string()).expect("a writable folder");
    file
}

/// A command of the program as such an account: what it printed on success, or what it complained.
fn run(cluster: &Cluster, name: &str, args: &[&str]) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = account(cluster, name, folder.path());
    let output = verdict::command().args(args).env("KUBECONFIG", &file).output().expect("verdict runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
