//! Helm, and the chart that it is given.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::go_module::{GoModule, or_skip};

/// The chart of this project.
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/chart");

const HELM: GoModule = GoModule {
    name: "helm",
    packages: &[("helm", "helm.sh/helm/v4/cmd/helm")],
    ldflags: "-s -w",
    patience: "about two minutes on 2 cores",
};

/// The program.
pub struct Helm(PathBuf);

/// Built on first use. None, with a line on stderr that names the skipped test: no Go toolchain on a person's machine. In CI that is a failure.
pub fn helm() -> Option<Helm> {
    static BUILT: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| Ok(HELM.build()?.map(|folder| folder.join("helm"))));
    or_skip(built).map(|it| Helm(it.clone()))
}

impl Helm {
    /// What it prints on success, or on failure. It knows no cluster.
    pub fn run(&self, args: &[&str]) -> Result<String, String> {
        self.output(args, None)
    }

    /// The same, for the cluster that this file names.
    pub fn run_in(&self, kubeconfig: &Path, args: &[&str]) -> Result<String, String> {
        self.output(args, Some(kubeconfig))
    }

    fn output(&self, args: &[&str], kubeconfig: Option<&Path>) -> Result<String, String> {
        let home = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(&self.0);
        command.args(args).env_clear().env("HOME", home.path());
        command.envs(kubeconfig.map(|it| ("KUBECONFIG", it)));
        let output = command.output().expect("helm");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stdout) + &text(&output.stderr))
        }
    }
}
