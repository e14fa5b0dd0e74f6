//! k8s-wasm's own three files, through the real router: what they say of their modules, and in which order these are asked.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use verdict::config::k8s_wasm::{self, Files, Modules};

use super::annotated;
use crate::support::{
    fixtures,
    host::{Host, access, admission, token},
};

const RULES: &str =
    "rules: [{operations: [CREATE, UPDATE], apiGroups: [''], apiVersions: [v1], resources: [configmaps]}]";

/// A folder with the fixtures, as somebody has it who used k8s-wasm.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["k8s_wasm", "k8s_wasm_raw", "kubewarden_wapc"] {
        fs::copy(fixtures::module(name), folder.path().join(format!("{name}.wasm"))).unwrap();
    }
    says(&folder, "away", "{\"response\": null, \"error\": \"the directory is away\"}");
    says(
        &folder,
        "everybody",
        "{\"response\": {\"status\": {\"authenticated\": true, \"user\": {\"username\": \"anybody\"}, \"allowed\": true}}}",
    );
    folder
}

/// A module that answers this to everything.
fn says(folder: &TempDir, name: &str, text: &str) {
    let functions = ["authn", "authz", "validate"].map(|it| format!("(export \"{it}\")")).concat();
    let module = format!(
        "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
           (memory (export \"memory\") 1) (data (i32.const 64) \"{}\")
           (func {functions}
             (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const {}))
             (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))",
        text.replace('"', "\\22"),
        text.len()
    );
    fs::write(folder.path().join(format!("{name}.wasm")), wat::parse_str(module).unwrap()).unwrap();
}

/// What these files say; an empty one is none.
fn read(folder: &TempDir, authentication: &str, authorization: &str, admission: &str) -> Modules {
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        (!text.is_empty()).then_some(path)
    };
    let files = Files {
        authentication: file("authentication.yaml", authentication),
        authorization: file("authorization.yaml", authorization),
        admission: file("admission.yaml", admission),
    };
    k8s_wasm::read(&files, &[]).unwrap_or_else(|errors| panic!("{errors:?}"))
}

async fn host(folder: &TempDir, authentication: &str, authorization: &str, admission: &str) -> Host {
    let Modules { policies, .. } = read(folder, authentication, authorization, admission);
    Host::load(policies).await.unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn config_map(labels: Value) -> Value {
    admission("u", json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm", "labels": labels}}))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_module_that_authenticates_decides() {
    let folder = folder();
    // By their names the order would be another one.
    let known = "- {name: b, module: away.wasm}\n- {name: z, module: k8s_wasm.wasm}\n";
    let host = host(&folder, &format!("modules:\n{known}- {{name: a, module: everybody.wasm}}\n"), "", "").await;
    for (given, username, after) in [("magic-token", "magic-user", 0), ("other", "anybody", 1)] {
        let status = host.review("/authenticate", &token(given)).await["status"].clone();
        assert_eq!(
            (&status["authenticated"], &status["user"]["username"]),
            (&json!(true), &json!(username)),
            "{status}"
        );
        assert_eq!(host.count("Authenticator", "a", "authenticated"), after);
    }
    // An error is remembered, and the next is asked all the same.
    assert_eq!(host.count("Authenticator", "b", "guest_error"), 2);
    let host = self::host(&folder, &format!("modules:\n{known}"), "", "").await;
    let status = host.review("/authenticate", &token("other")).await["status"].clone();
    assert!(status["authenticated"] == false && status["error"].is_string(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_an_authorizer_is_no_opinion() {
    let folder = folder();
    let away = "modules:\n- {name: b, module: away.wasm}\n";
    let alone = host(&folder, "", away, "").await;
    let status = alone.review("/authorize", &access()).await["status"].clone();
    assert!(status["allowed"] == false && status["denied"] != true, "{status}");
    assert_eq!(alone.count("Authorizer", "b", "guest_error"), 1);
    let more = format!("{away}- {{name: z, module: k8s_wasm.wasm}}\n- {{name: a, module: everybody.wasm}}\n");
    let host = host(&folder, "", &more, "").await;
    for (namespace, allowed, denied) in [("default", true, false), ("forbidden", false, true)] {
        let mut review = access();
        review["spec"]["resourceAttributes"]["namespace"] = json!(namespace);
        let status = host.review("/authorize", &review).await["status"].clone();
        assert_eq!((status["allowed"] == true, status["denied"] == true), (allowed, denied), "{status}");
    }
    assert_eq!(host.count("Authorizer", "a", "allowed"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn mutators_see_what_those_before_them_changed() {
    let folder = folder();
    let changes = format!("{{name: z, module: kubewarden_wapc.wasm, type: kubewarden, mutating: true, {RULES}}}");
    let wants =
        format!("{{name: a, module: k8s_wasm_raw.wasm, settings: {{labels: [changed]}}, mutating: true, {RULES}}}");
    let of = |first: &str, second: &str| format!("modules: [{first}, {second}]\n");
    let review = config_map(json!({"change": "me"}));
    let answer = host(&folder, "", "", &of(&changes, &wants)).await.review("/mutate", &review).await;
    assert_eq!(answer["response"]["allowed"], true, "{answer}");
    let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    assert_eq!(patch, json!([{"op": "add", "path": "/metadata/labels/changed", "value": "yes"}]));
    // The other way round it comes too late, and a denial ends the chain.
    let host = host(&folder, "", "", &of(&wants, &changes)).await;
    let answer = host.review("/mutate", &review).await;
    assert_eq!(answer["response"]["status"]["message"], "a: the label changed is required");
    assert_eq!(host.post("/validate", review.to_string()).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_decide_what_a_module_is_asked() {
    let folder = folder();
    let text = format!(
        "modules:\n- {{module: k8s_wasm.wasm, settings: {{labels: [team]}}, {RULES}}}\n- {{name: never, module: away.wasm}}\n- {{name: fails, module: away.wasm, {}}}\n",
        RULES.replace("configmaps", "pods")
    );
    let Modules { policies, warnings } = read(&folder, "", "", &text);
    assert!(warnings.len() == 1 && warnings[0].to_string().ends_with("never asked, as in k8s-wasm"), "{warnings:?}");
    let host = Host::load(policies).await.unwrap();
    let answer = host.review("/validate", &config_map(json!({}))).await;
    assert_eq!(answer["response"]["status"]["message"], "k8s-wasm: the label team is required");
    assert_eq!(host.review("/validate", &config_map(json!({"team": "a"}))).await["response"]["allowed"], true);
    let mut delete = config_map(json!({}));
    delete["request"]["operation"] = json!("DELETE");
    assert_eq!(host.review("/validate", &delete).await["response"]["allowed"], true);
    // An error denies.
    let mut pod = config_map(json!({}));
    pod["request"]["resource"]["resource"] = json!("pods");
    let response = host.review("/validate", &pod).await["response"].clone();
    assert_eq!((&response["allowed"], &response["status"]["code"]), (&json!(false), &json!(500)), "{response}");
    assert_eq!(host.post("/validate/never", pod.to_string()).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_phase_is_the_files_choice_and_the_protocol_is_not() {
    let folder = folder();
    annotated(&folder, "kubewarden_wapc", r#"{"mutating": true, "protocolVersion": "v1", "rules": []}"#);
    let entry = |more: &str| format!("modules:\n- {{{more}, {RULES}}}\n");
    // Whatever its metadata says.
    let validates = entry("name: p, module: kubewarden_wapc.wasm, type: kubewarden, settings: {labels: [team]}");
    let answer = host(&folder, "", "", &validates).await.review("/validate", &config_map(json!({}))).await;
    assert_eq!(answer["response"]["status"]["message"], "p: the label team is required");
    let component = env!("CARGO_MANIFEST_DIR").to_owned() + "/policies/none.wasm";
    for (text, expected) in [
        (
            entry("name: p, module: kubewarden_wapc.wasm"),
            "modules[0].module: expected a policy of k8s-wasm's; this is Kubewarden (waPC)",
        ),
        (
            entry("name: p, module: k8s_wasm.wasm, type: kubewarden"),
            "modules[0].module: expected a policy of Kubewarden's; this is k8s-wasm (WASI)",
        ),
        (
            entry("name: p, module: kubewarden_wapc.wasm, type: kubewarden, settings: {labels: 1}"),
            "modules[0].settings: labels: expected a list of texts",
        ),
        (entry(&format!("name: p, module: {component}")), "No such file or directory (os error 2)"),
    ] {
        let errors = Host::load(read(&folder, "", "", &text).policies).await.err().unwrap();
        let place = format!("{}:2: Validator p: modules[0].", folder.path().join("admission.yaml").display());
        assert!(errors.len() == 1 && errors[0].starts_with(&place) && errors[0].ends_with(expected), "{errors:?}");
    }
}
