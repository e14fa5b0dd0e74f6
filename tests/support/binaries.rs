//! etcd, kube-apiserver and kubectl, built from the pinned Go modules in `tests/control-plane`.

use std::{path::PathBuf, sync::OnceLock};

use super::go_module::{GoModule, or_skip};

/// Where the three binaries are.
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    pub fn etcd(&self) -> PathBuf {
        self.folder.join("etcd")
    }

    pub fn kube_apiserver(&self) -> PathBuf {
        self.folder.join("kube-apiserver")
    }

    pub fn kubectl(&self) -> PathBuf {
        self.folder.join("kubectl")
    }
}

/// The binaries, built on first use. None: the test is skipped, and that was said.
pub fn binaries() -> Option<&'static Binaries> {
    static BINARIES: OnceLock<Result<Option<Binaries>, String>> = OnceLock::new();
    or_skip(BINARIES.get_or_init(|| Ok(CONTROL_PLANE.build()?.map(|folder| Binaries { folder }))))
}

const CONTROL_PLANE: GoModule = GoModule {
    name: "control-plane",
    packages: &[
        ("etcd", "go.etcd.io/etcd/server/v3"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ],
    // Without the version, kubectl and kube-apiserver call themselves v0.0.0-master.
    ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36",
    patience: "kube-apiserver takes about 5 minutes on 2 cores",
};
