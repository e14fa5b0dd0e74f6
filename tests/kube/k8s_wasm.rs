//! Somebody who used k8s-wasm: its three files, nothing else, and what `verdict manifests` makes of them.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    generated::{generate_of, path},
    labels,
};
use crate::support::{
    binaries::binaries, control_plane::ControlPlane, fixtures, pki::Pki, processes::folder, verdict::Verdict,
};

#[test]
fn its_three_files_answer_all_reviews() {
    let Some(binaries) = binaries() else { return };
    let folder = folder("k8s-wasm");
    let pki = Pki::new(&folder.join("pki"));
    let sources = files(&folder);
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let verdict = Verdict::start(&pki, &folder, &sources);
    let log = fs::read_to_string(folder.join("verdict.log")).unwrap();
    assert!(log.contains("authorization.yaml:2: modules: an error of one of these modules is no opinion"), "{log}");

    let out = generate_of(&sources, &pki, &verdict, &folder);
    let file = |name: &str| path(&out.join(name));
    let flags = [
        format!("--authorization-config={}", file("authorization-config.yaml")),
        format!("--admission-control-config-file={}", file("admission-config.yaml")),
        format!("--authentication-token-webhook-config-file={}", file("authentication-kubeconfig.yaml")),
        "--authentication-token-webhook-version=v1".to_owned(),
    ];
    let plane = ControlPlane::start(binaries, &pki, &flags);
    for webhook in ["validating-webhook.yaml", "mutating-webhook.yaml"] {
        plane.kubectl(&["apply", "-f", &file(webhook)]).ok();
    }

    let whoami = plane.kubectl_as(&pki, "magic-token", &["auth", "whoami", "-o", "json"], "").ok();
    let whoami: Value = serde_json::from_str(&whoami).unwrap();
    let user = &whoami["status"]["userInfo"];
    assert_eq!((&user["username"], &user["extra"]), (&json!("magic-user"), &json!({"k": ["v"]})), "{whoami}");
    plane.kubectl_as(&pki, "other-token", &["auth", "whoami"], "").refused();

    // The first authorizer crashes each time, and the second is asked all the same.
    plane.kubectl_as(&pki, "magic-token", &["get", "configmaps"], "").ok();
    assert!(verdict.reviews("crashes", "trap") > 0);
    plane.kubectl_as(&pki, "magic-token", &["get", "secrets"], "").refused();
    let denied = plane.kubectl_as(&pki, "magic-token", &["get", "configmaps", "-n", "forbidden"], "").refused();
    assert!(denied.contains("nobody may"), "{denied}");

    let create = |labels| labels::create(&plane, "default", labels);
    labels::wait_until_judged(&plane, "default");
    assert_eq!(create(json!({"team": "a"})).ok(), "");
    // No rule names it.
    plane.kubectl(&["create", "secret", "generic", "s", "--dry-run=server"]).ok();
}

/// The files beside their modules, as flags.
fn files(folder: &Path) -> Vec<String> {
    for name in ["k8s_wasm", "k8s_wasm_raw", "kubewarden_wapc"] {
        fs::copy(fixtures::module(name), folder.join(format!("{name}.wasm"))).unwrap();
    }
    let crashes =
        wat::parse_str("(module (memory (export \"memory\") 1) (func (export \"authz\") unreachable))").unwrap();
    fs::write(folder.join("crashes.wasm"), crashes).unwrap();
    let rules = json!([{"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}]);
    let admission = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{"name": "WASM", "configuration": {"modules": [
            {"module": "kubewarden_wapc.wasm", "type": "kubewarden", "mutating": true, "rules": rules},
            {"module": "k8s_wasm_raw.wasm", "settings": {"labels": ["team"]}, "rules": rules},
        ]}}],
    });
    let files = [
        ("authentication", "modules:\n- module: k8s_wasm.wasm\n".to_owned()),
        ("authorization", "modules:\n- module: crashes.wasm\n- module: k8s_wasm.wasm\n".to_owned()),
        ("admission", admission.to_string()),
    ];
    let flag = |(name, text): (&str, String)| {
        let file = folder.join(format!("{name}.yaml"));
        fs::write(&file, text).unwrap();
        [format!("--k8s-wasm-{name}"), path(&file)]
    };
    files.into_iter().flat_map(flag).collect()
}
