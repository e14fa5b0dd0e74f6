//! Kubernetes' programs and what else a node needs, built from the pinned Go modules in `tests/pods` and `tests/control-plane`.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::super::{
    binaries::{Binaries, binaries},
    go_module::{GoModule, or_skip},
};

/// Where they are.
pub(super) struct Programs {
    folder: PathBuf,
    pub(super) control_plane: &'static Binaries,
}

impl Programs {
    /// Built on first use. None: the test is skipped, and that was said.
    pub(super) fn all() -> Option<&'static Self> {
        static PROGRAMS: OnceLock<Result<Option<Programs>, String>> = OnceLock::new();
        let control_plane = binaries()?;
        let build = || Ok(PODS.build()?.map(|folder| Self { folder, control_plane }));
        or_skip(PROGRAMS.get_or_init(build))
    }

    pub(super) fn etcd(&self) -> PathBuf {
        self.control_plane.etcd()
    }

    pub(super) fn kube_apiserver(&self) -> PathBuf {
        self.control_plane.kube_apiserver()
    }

    pub(super) fn kubelet(&self) -> PathBuf {
        self.of_kubernetes("kubelet")
    }

    /// The first process of every Pod; with an address, a relay to it.
    pub(super) fn pause(&self) -> PathBuf {
        self.folder.join("pause")
    }

    pub(super) fn of_kubernetes(&self, name: &str) -> PathBuf {
        self.folder.join(Path::new(name))
    }
}

const PODS: GoModule = GoModule {
    name: "pods",
    packages: &[
        ("pause", "."),
        ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
        ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    ],
    ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36",
    patience: "all of them take about 5 minutes on 2 cores",
};
