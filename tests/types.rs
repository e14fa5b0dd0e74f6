//! The types of the SDKs and of what `verdict new` writes, as strict as mypy and tsc are. Both come from their registries, pinned
//! in `tests/tools`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use crate::support::{fixtures, node, processes::say};

const KINDS: [&str; 6] = ["authenticator", "authorizer", "validator", "mutator", "provider", "controller"];

#[test]
fn mypy_finds_nothing_in_the_python_sdk_and_templates() {
    let Some(python) = fixtures::has_python() else { return };
    let tools = tools("mypy");
    let mypy = tools.join("venv/bin/mypy");
    let mut venv = Command::new(python);
    venv.args(["-m", "venv", "venv"]).current_dir(&tools);
    let mut pip = Command::new(tools.join("venv/bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"])
        .current_dir(&tools);
    if !installed("mypy", &mypy, [&mut venv, &mut pip]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let policy = new("python", kind, folder.path());
        // As its pyproject.toml says.
        let (clean, said) = run(Command::new(&mypy).current_dir(&policy));
        assert!(clean, "{kind}: {said}");
        fs::write(policy.join("policy.py"), "import verdict_policy\nx: int = verdict_policy.Allow()\n").unwrap();
        let (clean, said) = run(Command::new(&mypy).current_dir(&policy));
        assert!(!clean && said.contains("policy.py:2: error: Incompatible types"), "{kind}: {said}");
    }
    let sdk = folder.path().join("my-validator/.verdict/sdk/python/verdict_policy");
    let (clean, said) = run(Command::new(&mypy).arg("--strict").arg(&sdk).current_dir(folder.path()));
    assert!(clean, "{said}");
}

#[test]
fn tsc_finds_nothing_in_the_javascript_sdk_and_templates() {
    if !node::is_there() {
        return;
    }
    let Some(typescript) = typescript() else { return };
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let policy = new("js", kind, folder.path());
        // As `npm ci` links it: tsc needs none of the other packages.
        fs::create_dir(policy.join("node_modules")).unwrap();
        std::os::unix::fs::symlink("../.verdict/sdk/js", policy.join("node_modules/verdict-policy-sdk")).unwrap();
        let tsc = || {
            run(Command::new("node").arg(typescript.join("bin/tsc")).args(["-p", "jsconfig.json"]).current_dir(&policy))
        };
        let (clean, said) = tsc();
        assert!(clean, "{kind}: {said}");
        // The same in TypeScript, which takes no types from comments.
        fs::write(policy.join("more.ts"), TYPED).unwrap();
        let (clean, said) = tsc();
        assert!(clean, "{kind}: {said}");
        fs::write(policy.join("more.ts"), TYPED.replace("allow()", "undefined")).unwrap();
        let (clean, said) = tsc();
        assert!(!clean && said.contains("more.ts(4,3): error TS"), "{kind}: {said}");
    }
}

/// A policy that its author renames to TypeScript: `npm test` runs it, and `verdict build` checks its types.
#[test]
fn a_policy_in_typescript_is_tested_and_checked() {
    if !node::is_there() {
        return;
    }
    let Some(typescript) = typescript() else { return };
    let folder = node::copied("required-labels-js", "required-labels-ts");
    let _ = fs::remove_file(folder.join("policy.js"));
    let mut package: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("package.json")).unwrap()).unwrap();
    let build = |package: &serde_json::Value| {
        fs::write(folder.join("package.json"), package.to_string()).unwrap();
        run(Command::new(env!("CARGO_BIN_EXE_verdict"))
            .arg("build")
            .arg(&folder)
            .arg("-o")
            .arg(folder.join("typed.wasm")))
    };
    fs::write(folder.join("policy.ts"), TYPED).unwrap();
    fs::write(folder.join("typed.test.ts"), TEST).unwrap();
    let (built, said) = build(&package);
    assert!(built, "{said}");
    let mut test = Command::new("node");
    test.args(["--import", "verdict-policy-sdk/typescript", "--test", "typed.test.ts"]).current_dir(&folder);
    let (passed, said) = run(&mut test);
    assert!(passed && said.contains("pass 1"), "{said}");

    let wrong = TYPED.replace("allow()", "undefined");
    fs::write(folder.join("policy.ts"), wrong).unwrap();
    // esbuild looks at no types.
    let (built, said) = build(&package);
    assert!(built, "{said}");
    package["devDependencies"]["typescript"] = "7".into();
    let link = folder.join("node_modules/typescript");
    let _ = fs::remove_file(&link);
    let (built, said) = build(&package);
    assert!(
        !built && said.contains("node_modules/typescript/bin/tsc: not found: run npm install typescript"),
        "{said}"
    );
    std::os::unix::fs::symlink(&typescript, &link).unwrap();
    let (built, said) = build(&package);
    assert!(!built && said.contains("tsc finds wrong types:\npolicy.ts(4,3): error TS"), "{said}");
    package["verdict"]["typeCheck"] = false.into();
    let (built, said) = build(&package);
    assert!(built, "{said}");
}

/// As TypeScript resolves it, `./policy.js` is `policy.ts`.
const TEST: &str = r#"import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "verdict-policy-sdk/testing";
import * as policy from "./policy.js";

const object: { kind: string } = { kind: "ConfigMap" };
test("typed", () => assert.equal(load(policy, {}).validate({ request: { object } }).denial, undefined));
"#;

const TYPED: &str = r#"import { type AdmissionRequest, type Validation, allow } from "verdict-policy-sdk";
let names: string[] = [];
export function validate(request: AdmissionRequest): Validation {
  return allow();
}
"#;

/// The package typescript, installed.
fn typescript() -> Option<PathBuf> {
    let tools = tools("typescript");
    let package = tools.join("node_modules/typescript");
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&tools);
    installed("tsc", &package.join("bin/tsc"), [&mut npm]).then_some(package)
}

/// A copy of one of `tests/tools` below the target folder, where what is installed stays between runs.
fn tools(name: &str) -> PathBuf {
    let folder = fixtures::target().join("tools").join(name);
    node::copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools").join(name), &folder);
    folder
}

/// Installs a tool unless it is there. Where no registry can be reached the running test is named as skipped, or fails in CI.
fn installed<const COUNT: usize>(name: &str, program: &Path, install: [&mut Command; COUNT]) -> bool {
    if program.exists() {
        return true;
    }
    for command in install {
        let (succeeded, said) = run(command);
        if !succeeded {
            assert!(
                std::env::var_os("CI").is_none(),
                "{name} cannot be installed, and in CI nothing is skipped: {said}"
            );
            say(&format!("skipped: {}: {name} cannot be installed", thread::current().name().unwrap_or(name)));
            return false;
        }
    }
    true
}

fn new(language: &str, kind: &str, folder: &Path) -> PathBuf {
    let name = format!("my-{kind}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
    let (succeeded, said) = run(command.current_dir(folder).args(["new", &name, "--lang", language, "--kind", kind]));
    assert!(succeeded, "{said}");
    folder.join(name)
}

/// Whether it succeeded, and all that it said.
fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.into_owned())
}
