//! JavaScript and TypeScript: esbuild makes one script of the policy and what it imports, QuickJS runs it.
//!
//! Both come from npm, pinned by the lock file in the author's folder. Which interfaces the component has is decided by what
//! the policy's module exports.

mod component;
mod engine;
mod exports;
mod package;
mod positions;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;
use serde_json::{Value, json};

use self::{package::Package, positions::Positions};
use super::{
    BuildError, imported, read, started,
    world::{self, World},
};
use crate::{
    component::{contract, manifest::Manifest},
    config::manifest::FILE,
    spec::{Import, Interface},
};

pub(super) fn build(folder: &Path, manifest: &Manifest) -> Result<Vec<u8>, BuildError> {
    let folder = std::path::absolute(folder).map_err(|error| BuildError::File { path: folder.to_owned(), error })?;
    let entry = entry(&folder)?;
    let package = Package::read(&folder)?;
    let modules = install(&folder)?;
    if package.type_checks() {
        check_types(&folder, &modules, entry)?;
    }
    let engine = engine::adapted(&modules)?;
    let work = modules.join(".cache/verdict");
    fs::create_dir_all(&work).map_err(|error| BuildError::File { path: work.clone(), error })?;
    let policy = policy(&folder, &package, &work, entry)?;
    let interfaces = exports::interfaces(entry, &policy.exports)?;
    imported(Import::ALL.into_iter().filter(|it| policy.calls(it.name())), manifest.imports())?;
    let environment = !manifest.grants.env.is_empty();
    if policy.calls("environment") && !environment {
        return Err(BuildError::NotAPolicy(format!(
            "{entry}: it reads environment variables with env(), and {FILE} wants none: add `grants: {{env: {{NAME: what it is \
             for}}}}` to it"
        )));
    }
    let cleanup = policy.exports.iter().any(|it| it == "cleanup");
    write(&work.join("first.js"), &first())?;
    write(&work.join("entry.js"), &glue(entry, &interfaces, cleanup, manifest.imports(), environment))?;
    let script = work.join("policy.js");
    let options = json!({
        "entryPoints": [work.join("entry.js")],
        "outfile": &script,
        "external": ["verdict:*", "wasi:*"],
        "sourcemap": "external",
        "sourcesContent": false,
    });
    esbuild(&folder, &package, &options)?;
    let (text, positions) = (read(&script)?, Positions::read(&read(&work.join("policy.js.map"))?)?);
    // At the end, so that it moves no line: the SDK reads it to say where an error was thrown.
    let script = format!("{}\n{}", String::from_utf8_lossy(&text), positions.statement());
    let mut world = World::new(manifest.imports(), &interfaces, cleanup).with_runtime();
    if environment {
        world = world.with_environment();
    }
    component::component(&engine, &script, &positions, &world)
}

/// The name in package.json.
pub(super) fn name(folder: &Path) -> Result<String, BuildError> {
    let package = Package::read(folder)?;
    let name = package.name.rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        let path = folder.join("package.json");
        return Err(BuildError::NotAPolicy(format!("{}: expected a \"name\"", path.display())));
    }
    Ok(name.to_owned())
}

fn entry(folder: &Path) -> Result<&'static str, BuildError> {
    ENTRIES
        .into_iter()
        .find(|it| folder.join(it).is_file())
        .ok_or_else(|| BuildError::NotAPolicy(format!("{}: expected a policy.js or a policy.ts", folder.display())))
}

/// The folder of installed packages, brought to what the lock file says where something is missing.
fn install(folder: &Path) -> Result<PathBuf, BuildError> {
    let modules = folder.join("node_modules");
    let lock = folder.join("package-lock.json");
    if !lock.is_file() {
        return Err(BuildError::NotAPolicy(format!(
            "{}: not found: run npm install, and keep the file with the sources",
            lock.display()
        )));
    }
    let time = |path: &Path| fs::metadata(path).and_then(|it| it.modified()).ok();
    let installed = time(&modules.join(".package-lock.json"));
    let present = ["esbuild", engine::PACKAGE, "verdict-policy-sdk"].iter().all(|it| modules.join(it).is_dir());
    if !present || installed.is_none() || installed < time(&lock) {
        crate::author::tell(&format!(
            "verdict: {}: installing what package-lock.json names (npm ci)",
            folder.display()
        ));
        // No script of a package runs: none is needed.
        run(
            "npm",
            Command::new("npm").current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]),
        )?;
    }
    Ok(modules)
}

/// A look at the policy's own module.
fn policy(folder: &Path, package: &Package, work: &Path, entry: &str) -> Result<Entry, BuildError> {
    #[derive(Deserialize)]
    struct Meta {
        outputs: BTreeMap<String, Output>,
    }
    #[derive(Deserialize)]
    struct Output {
        exports: Vec<String>,
        inputs: BTreeMap<String, Input>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Input {
        bytes_in_output: u64,
    }
    let options = json!({"entryPoints": [folder.join(entry)], "metafile": true, "outfile": work.join("exports.js")});
    let meta: Meta = serde_json::from_slice(&esbuild(folder, package, &options)?)
        .map_err(|error| BuildError::NotAPolicy(format!("esbuild tells what is not understood here: {error}")))?;
    let mut policy = Entry { exports: Vec::new(), files: Vec::new() };
    for output in meta.outputs.into_values() {
        policy.exports.extend(output.exports);
        policy.files.extend(output.inputs.into_iter().filter(|(_, it)| it.bytes_in_output > 0).map(|(file, _)| file));
    }
    Ok(policy)
}

/// Gives what esbuild tells of its work, where `options` want that. What it finds wrong is the error.
fn esbuild(folder: &Path, package: &Package, options: &Value) -> Result<Vec<u8>, BuildError> {
    let options = package.esbuild(options).to_string();
    said(
        "node",
        Command::new("node").current_dir(folder).args(["--input-type=module", "--eval", BUNDLE, "--", &options]),
    )
}

/// With the compiler that is among the author's own packages: esbuild takes types away and looks at none.
fn check_types(folder: &Path, modules: &Path, entry: &str) -> Result<(), BuildError> {
    let tsc = modules.join("typescript/bin/tsc");
    let mut check = Command::new("node");
    check.current_dir(folder).arg(&tsc).arg("--noEmit").arg("--pretty").arg("false");
    match ["tsconfig.json", "jsconfig.json"].into_iter().find(|it| folder.join(it).is_file()) {
        Some(config) => check.args(["--project", config]),
        None => check.args(STRICTLY).arg(entry),
    };
    if !tsc.is_file() {
        return Err(BuildError::NotAPolicy(format!("{}: not found: run npm install typescript", tsc.display())));
    }
    let output = started("node", INSTALL, check.stdin(Stdio::null()).output())?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    Err(BuildError::NotAPolicy(format!("tsc finds wrong types:\n{}", words.trim())))
}

/// Runs it and gives what it printed. Where it fails, what it said is the error; else that goes on to standard error.
fn said(tool: &'static str, command: &mut Command) -> Result<Vec<u8>, BuildError> {
    let output = started(tool, INSTALL, command.stdin(Stdio::null()).output())?;
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match (output.status.success(), words.is_empty()) {
        (true, true) => {}
        (true, false) => crate::author::tell(&words),
        (false, true) => return Err(BuildError::ToolFailed { tool, status: output.status }),
        (false, false) => return Err(BuildError::NotAPolicy(words)),
    }
    Ok(output.stdout)
}

const BUNDLE: &str = include_str!("bundle.js");
const STRICTLY: [&str; 9] = [
    "--strict",
    "--target",
    "es2023",
    "--module",
    "nodenext",
    "--allowImportingTsExtensions",
    "--skipLibCheck",
    "--types",
    "verdict-policy-sdk/globals",
];

fn run(tool: &'static str, command: &mut Command) -> Result<(), BuildError> {
    let output = started(tool, INSTALL, command.stdout(Stdio::null()).stderr(Stdio::inherit()).output())?;
    if output.status.success() { Ok(()) } else { Err(BuildError::ToolFailed { tool, status: output.status }) }
}

/// What the policy's module is, as esbuild tells.
struct Entry {
    exports: Vec<String>,
    /// Files of it and of what it imports, as far as they are used.
    files: Vec<String>,
}

impl Entry {
    /// What of the server it calls: each import is a file of the SDK, which esbuild leaves out where nobody uses it.
    fn calls(&self, name: &str) -> bool {
        let ends = [format!("sdk-js/src/imports/{name}.js"), format!("sdk/js/src/imports/{name}.js")];
        let installed = format!("verdict-policy-sdk/src/imports/{name}.js");
        self.files.iter().any(|it| it.ends_with(&installed) || ends.iter().any(|end| it.ends_with(end)))
    }
}

/// The module that is built: what the contract asks for, in terms of what the policy exports.
fn glue(entry: &str, interfaces: &[Interface], cleanup: bool, imports: &[Import], environment: bool) -> String {
    let mut exports: String =
        interfaces.iter().map(|it| format!("export const {0} = guest.{0}(policy);\n", it.name())).collect();
    if cleanup {
        exports.push_str("export const cleanup = guest.cleanup(policy);\n");
    }
    let mut modules = format!("import * as runtime from \"{}\";\n", contract::GUEST_RUNTIME);
    let mut functions = "random: runtime.random".to_owned();
    for import in imports {
        let (name, function) = match import {
            Import::Log => ("log", "write"),
            Import::AuditLog => ("audit", "write"),
            Import::Review => ("review", "raw"),
        };
        modules += &format!("import * as {name} from \"{}\";\n", contract::imported(*import));
        functions += &format!(", {name}: {name}.{function}");
    }
    if environment {
        modules += &format!("import * as environment from \"{}\";\n", world::ENVIRONMENT);
        functions += ", environment: environment.getEnvironment";
    }
    format!(
        r#"// Written by verdict build.
import "./first.js";
import "verdict-policy-sdk/runtime";
import * as guest from "verdict-policy-sdk/guest";
import * as policy from "../../../{entry}";
{modules}
const connect = () => guest.connect({{ {functions} }});

export const lifecycle = guest.lifecycle(policy, connect);
{exports}"#
    )
}

/// Before anything else: what is printed while the policy is built needs a way out.
fn first() -> String {
    format!("import {{ output }} from \"{}\";\nglobalThis.verdictOutput = output;\n", contract::GUEST_RUNTIME)
}

fn write(path: &Path, text: &str) -> Result<(), BuildError> {
    fs::write(path, text).map_err(|error| BuildError::File { path: path.to_owned(), error })
}

const ENTRIES: [&str; 4] = ["policy.js", "policy.ts", "policy.mjs", "policy.mts"];
const INSTALL: &str = "install Node.js 20.6 or later from https://nodejs.org";
