//! The control plane itself, before any webhook: what the other tests take for granted.

use std::fs;

use crate::support::{binaries::binaries, control_plane::ControlPlane, eventually, pki::Pki, processes::folder};

#[test]
fn a_control_plane_starts_serves_audits_and_restarts() {
    let Some(binaries) = binaries() else { return };
    let pki = Pki::new(&folder("pki"));
    let rbac = ["--authorization-mode=RBAC".to_owned()];
    let plane = ControlPlane::start(binaries, &pki, &rbac);

    let version = plane.kubectl(&["version"]).ok();
    assert!(version.contains("Server Version: v1.36.3"), "{version}");
    let whoami = plane.kubectl(&["auth", "whoami"]).ok();
    assert!(whoami.contains("admin"), "{whoami}");
    assert!(whoami.contains("system:masters"), "{whoami}");
    plane.kubectl(&["create", "configmap", "kept", "--from-literal=a=b"]).ok();
    eventually("the request is in the audit log", || {
        let events = plane.audit();
        let found = events.iter().any(|event| event["objectRef"]["name"] == "kept");
        found.then_some(()).ok_or(format!("{} events", events.len()))
    });

    // Service account tokens work with an EC key, signed and verified.
    plane.kubectl(&["create", "serviceaccount", "robot"]).ok();
    let token = plane.kubectl(&["create", "token", "robot"]).ok();
    let robot = plane.kubectl_as(&pki, token.trim(), &["auth", "whoami"], "").ok();
    assert!(robot.contains("system:serviceaccount:default:robot"), "{robot}");
    let nobody = plane.kubectl_as(&pki, "nobody", &["auth", "whoami"], "").refused();
    assert!(nobody.contains("Unauthorized"), "{nobody}");

    let plane = plane.restart(&pki, &["--authorization-mode=AlwaysAllow".to_owned()]);
    let kept = plane.kubectl(&["get", "configmap", "kept", "-o", "jsonpath={.data.a}"]);
    assert_eq!(kept.ok(), "b");
}

#[test]
fn a_client_certificate_is_the_same_each_time() {
    let pki = Pki::new(&folder("pki"));
    let bytes = |name| {
        let identity = pki.client(name, &[]);
        [identity.cert, identity.key].map(|file| fs::read(file).expect("a file"))
    };
    let first = bytes("kube-apiserver-webhook-client");
    assert_ne!(bytes("somebody else"), first);
    assert_eq!(bytes("kube-apiserver-webhook-client"), first);
}
