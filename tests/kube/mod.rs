//! Tests against a real kube-apiserver 1.36.3, with the real `verdict` binary behind mutual TLS.
//!
//! Most share one cluster ([`cluster`]); each keeps to namespaces and users of its own.

mod access;
mod cases;
mod causes;
mod certificates;
mod cluster;
mod controller;
mod declared;
mod disturbed;
mod drain;
mod entries;
mod events;
mod failures;
mod generated;
mod harness;
mod intruder;
mod k8s_wasm;
mod kubewarden;
mod labels;
mod legacy;
mod mutating;
mod registration;
mod scale;
mod tokens;
mod tries;
mod validating;

use crate::support::{
    control_plane::ControlPlane,
    processes::say,
    verdict::{Verdict, command},
};

/// Verdict's kinds, which it returns, and namespaces.
fn install(plane: &ControlPlane, namespaces: &[&str]) -> String {
    let crds = command().args(["manifests", "crds"]).output().expect("verdict runs");
    let crds = String::from_utf8(crds.stdout).expect("UTF-8");
    plane.kubectl_with(&["apply", "--server-side", "-f", "-"], &crds).ok();
    plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).ok();
    for namespace in namespaces {
        plane.kubectl(&["create", "namespace", namespace]).ok();
    }
    crds
}

/// What a test that fails leaves to be read.
fn show<'a>(plane: &ControlPlane, replicas: impl IntoIterator<Item = &'a Verdict>) {
    if std::thread::panicking() {
        say(&plane.tail());
        for replica in replicas {
            say(&replica.process.log());
        }
    }
}
