//! The Helm chart in `manifests/chart`: rendered by Helm itself, taken by a real kube-apiserver.

mod accepted;
mod definitions;
mod references;
mod rights;
mod values;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{LazyLock, OnceLock},
};

use serde_json::{Value, json};

use crate::support::{
    binaries::binaries,
    control_plane::ControlPlane,
    go_module::{GoModule, or_skip},
    pki::Pki,
    processes::folder,
};

const HELM: GoModule = GoModule {
    name: "helm",
    packages: &[("helm", "helm.sh/helm/v4/cmd/helm")],
    ldflags: "-s -w",
    patience: "about two minutes on 2 cores",
};

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/chart");

/// The release that the tests render; its namespace, too.
const RELEASE: &str = "verdict";

/// Helm, built on first use.
struct Helm(PathBuf);

/// None, with a line on stderr that names the skipped test: no Go toolchain on a person's machine. In CI that is a failure.
fn helm() -> Option<Helm> {
    static BUILT: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| Ok(HELM.build()?.map(|folder| folder.join("helm"))));
    or_skip(built).map(|it| Helm(it.clone()))
}

impl Helm {
    /// What it prints on success, or on failure.
    fn run(&self, args: &[&str]) -> Result<String, String> {
        let home = tempfile::tempdir().expect("a folder");
        let output = Command::new(&self.0).args(args).env_clear().env("HOME", home.path()).output().expect("helm");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stdout) + &text(&output.stderr))
        }
    }

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
