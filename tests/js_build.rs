//! What `verdict build` says to authors who write JavaScript, and what it takes from them.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use verdict::spec::PolicySpec;

use crate::support::{
    host::{Host, config_map},
    node,
};

#[test]
fn what_is_wrong_with_the_sources_is_said() {
    if !node::is_there() {
        return;
    }
    let folder = node::copied("required-labels-js", "required-labels-js-wrong");
    for (source, words) in [
        ("export function validate( {\n", &["policy.js:2:0", "Expected identifier but found"][..]),
        (
            "import fs from 'node:fs';\nexport const validate = fs.x;\n",
            &[
                "Could not resolve \"node:fs\"",
                "policy.js:1:15",
                "A component has no modules of Node",
                "\"alias\": {\"node:fs\":",
            ],
        ),
        ("import \"./missing.js\";\n", &["Could not resolve \"./missing.js\"", "policy.js:1:7"]),
        ("export const answer = 42;\n", &["policy.js: exports nothing that answers reviews", "validate, mutate,"]),
        ("export function Validate() {}\n", &["policy.js: Validate is exported, did you mean validate?"]),
        (
            "export function validate() {}\nthrow new Error('at the top');\n",
            &["the policy cannot be loaded: Error: at the top\n", "(policy.js:2)"],
        ),
        (
            "export function validate() {}\nconst id = crypto.randomUUID();\n",
            &["code at the top level of a module runs when the policy is built", "(policy.js:2)"],
        ),
        (
            "export function validate() {}\nnew Intl.NumberFormat('de');\n",
            &["Intl is not defined", "(policy.js:2)", "see \"No Intl\""],
        ),
        (
            "export function validate() {}\nnew Date(0).toLocaleString('de', { timeZone: 'Europe/Berlin' });\n",
            &["no time zones here but UTC, not Europe/Berlin", "see \"No Intl\""],
        ),
        (
            "import { log } from 'verdict-policy-sdk';\nlog.info('x');\nexport function validate() {}\n",
            &["code at the top level of a module runs when the policy is built"],
        ),
    ] {
        fs::write(folder.join("policy.js"), source).unwrap();
        let said = build_fails(&folder);
        assert!(words.iter().all(|it| said.contains(it)), "{source}: {said}");
        for inner in ["node:internal", "at called", "componentize-qjs:user.js", "Node.js v"] {
            assert!(!said.contains(inner), "{source}: {inner} in {said}");
        }
    }
    fs::remove_file(folder.join("policy.js")).unwrap();
    assert!(build_fails(&folder).contains("expected a policy.js or a policy.ts"));
    let output = Command::new(env!("CARGO_BIN_EXE_verdict"))
        .arg("build")
        .arg(node::copied("required-labels-js", "required-labels-js-no-node"))
        .env("PATH", "/nowhere")
        .output();
    let said = String::from_utf8_lossy(&output.unwrap().stderr).into_owned();
    assert!(said.contains("npm was not found: install Node.js 20.6 or later from https://nodejs.org"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_modules_do_at_the_top_is_said_and_goes_on() {
    if !node::is_there() {
        return;
    }
    let folder = node::copied("required-labels-js", "required-labels-js-top");
    let source = "import { deny } from 'verdict-policy-sdk';\nconst drawn = Math.random();\nconsole.log('grüße', { a: 1 });\n\
                  export const init = () => {};\nexport const validate = () => deny(String(drawn));\n";
    fs::write(folder.join("policy.js"), source).unwrap();
    let mut built = Vec::new();
    for _ in 0..2 {
        let output = Command::new(env!("CARGO_BIN_EXE_verdict"))
            .arg("build")
            .arg(&folder)
            .arg("-o")
            .arg(folder.join("top.wasm"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains("policy.js:2: Math.random() at the top level of a module is drawn when the policy is built"),
            "{said}"
        );
        assert!(said.contains("grüße {\"a\":1}"), "{said}");
        built.push(fs::read(folder.join("top.wasm")).unwrap());
    }
    assert!(built[0] == built[1]);
    let host = Host::load(vec![PolicySpec::file("p", &folder.join("top.wasm"))]).await.unwrap();
    let answer = host.review("/validate", &config_map("u")).await;
    let drawn = answer["response"]["status"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!((0.0..1.0).contains(&drawn.trim_start_matches("p: ").parse().unwrap()), "{drawn}");
}

/// A package with a face for browsers, and what package.json says to the build.
#[test]
fn packages_are_taken_as_browsers_have_them_and_authors_give_options() {
    if !node::is_there() {
        return;
    }
    let folder = node::copied("required-labels-js", "required-labels-js-packages");
    let package = folder.join("node_modules/two-faced");
    let source = "import answer from 'two-faced';\nimport more from 'node:util';\n\
                  export const validate = () => { throw new Error(answer + more + EXTRA); };\n";
    fs::write(folder.join("policy.js"), source).unwrap();
    fs::write(folder.join("util.js"), "export default 'replaced';\n").unwrap();
    let mut manifest: Value = serde_json::from_slice(&fs::read(folder.join("package.json")).unwrap()).unwrap();
    let build = |manifest: &Value| {
        fs::write(folder.join("package.json"), manifest.to_string()).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_verdict"))
            .arg("build")
            .arg(&folder)
            .arg("-o")
            .arg(folder.join("faces.wasm"))
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    if package.exists() {
        fs::remove_dir_all(&package).unwrap();
    }
    let (built, said) = build(&manifest);
    assert!(!built && said.contains("Could not resolve \"two-faced\""), "{said}");
    fs::create_dir_all(&package).unwrap();
    let two_faced = json!({"name": "two-faced", "exports": {"browser": "./browser.js", "default": "./node.js"}});
    fs::write(package.join("package.json"), two_faced.to_string()).unwrap();
    fs::write(package.join("browser.js"), "export default 'browser';\n").unwrap();
    fs::write(package.join("node.js"), "import fs from 'fs';\nexport default fs;\n").unwrap();
    let (built, said) = build(&manifest);
    assert!(!built && said.contains("Could not resolve \"node:util\"") && !said.contains("\"fs\""), "{said}");
    manifest["verdict"] = json!({"esbuild": {"alias": {"node:util": "./util.js"}, "define": {"EXTRA": "'defined'"}}});
    let (built, said) = build(&manifest);
    assert!(built, "{said}");
    let script = fs::read_to_string(folder.join("node_modules/.cache/verdict/policy.js")).unwrap();
    assert!(["\"browser\"", "\"replaced\"", "\"defined\""].iter().all(|it| script.contains(it)), "{script}");
    manifest["verdict"] = json!({"esbuild": {"aliases": {}}});
    let (built, said) = build(&manifest);
    assert!(
        !built
            && said.contains("package.json: verdict.esbuild: Invalid option in build() call: \"aliases\"")
            && !said.contains(" at "),
        "{said}"
    );
    manifest["verdict"] = json!({"esbuild": {"bundle": false}});
    let (built, said) = build(&manifest);
    assert!(!built && said.contains("verdict.esbuild.bundle: verdict build decides that itself"), "{said}");
}

fn build_fails(folder: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_verdict")).arg("build").arg(folder).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}
