//! JavaScript and TypeScript: esbuild makes one script of the policy and what it imports, QuickJS runs it.
//!
//! Both come from npm, pinned by the lock file in the author's folder. Which interfaces the component has is decided by what
//! the policy's module exports.

mod component;
mod engine;
mod exports;
mod positions;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::{BuildError, read, started};

pub(super) fn build(folder: &Path) -> Result<Vec<u8>, BuildError> {
    let folder = std::path::absolute(folder).map_err(|error| BuildError::File { path: folder.to_owned(), error })?;
    let entry = entry(&folder)?;
    let modules = install(&folder)?;
    let engine = engine::adapted(&modules)?;
    let work = modules.join(".cache/verdict");
    fs::create_dir_all(&work).map_err(|error| BuildError::File { path: work.clone(), error })?;
    let interfaces = exports::interfaces(entry, &exported(&folder, &work, entry)?)?;
    write(&work.join("entry.js"), &glue(entry, &interfaces))?;
    let script = work.join("policy.js");
    let options = ["--external:verdict:*", "--external:wasi:*", "--sourcemap=external", "--sources-content=false"];
    let outfile = format!("--outfile={}", script.display());
    esbuild(&folder, &work.join("entry.js"), &[&options[..], &[&outfile]].concat())?;
    let (text, map) = (read(&script)?, read(&work.join("policy.js.map"))?);
    // At the end, so that it moves no line: the SDK reads it to say where an error was thrown.
    let script = format!("{}\n{}", String::from_utf8_lossy(&text), positions::statement(&map)?);
    component::component(&engine, &script, &interfaces)
}

/// The name in package.json.
pub(super) fn name(folder: &Path) -> Result<String, BuildError> {
    #[derive(Deserialize)]
    struct Package {
        name: Option<String>,
    }
    let path = folder.join("package.json");
    let package: Package = serde_json::from_slice(&read(&path)?)
        .map_err(|error| BuildError::NotAPolicy(format!("{}: {error}", path.display())))?;
    let name = package.name.unwrap_or_default();
    let name = name.rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
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
        crate::text::tell(&format!("verdict: {}: installing what package-lock.json names (npm ci)", folder.display()));
        // No script of a package runs: none is needed.
        run(
            "npm",
            Command::new("npm").current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]),
        )?;
    }
    Ok(modules)
}

/// What the policy's own module exports.
fn exported(folder: &Path, work: &Path, entry: &str) -> Result<Vec<String>, BuildError> {
    #[derive(Deserialize)]
    struct Meta {
        outputs: std::collections::BTreeMap<String, Output>,
    }
    #[derive(Deserialize)]
    struct Output {
        exports: Vec<String>,
    }
    let meta = work.join("meta.json");
    let (metafile, outfile) =
        (format!("--metafile={}", meta.display()), format!("--outfile={}", work.join("exports.js").display()));
    esbuild(folder, &folder.join(entry), &[&metafile, &outfile])?;
    let meta: Meta = serde_json::from_slice(&read(&meta)?)
        .map_err(|error| BuildError::NotAPolicy(format!("{}: {error}", meta.display())))?;
    Ok(meta.outputs.into_values().flat_map(|it| it.exports).collect())
}

/// What it finds wrong it says itself, with file and line.
fn esbuild(folder: &Path, entry: &Path, more: &[&str]) -> Result<(), BuildError> {
    let mut command = Command::new("node");
    command
        .current_dir(folder)
        .args(["--input-type=module", "--eval", RUN_ESBUILD, "--"])
        .arg(entry)
        .args(["--bundle", "--format=esm", "--platform=neutral", "--main-fields=module,main", "--target=es2023"])
        .args(["--log-level=warning", "--legal-comments=none", "--charset=utf8"])
        .args(more);
    run("node", &mut command)
}

/// The package's program is a script or a binary, as it was installed.
const RUN_ESBUILD: &str = r#"
import { createRequire } from "node:module";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
const program = createRequire(process.cwd() + "/").resolve("esbuild/bin/esbuild");
const script = readFileSync(program).subarray(0, 2).toString() === "\#!";
const args = process.argv.slice(1);
const { status, error } = script
  ? spawnSync(process.execPath, [program, ...args], { stdio: "inherit" })
  : spawnSync(program, args, { stdio: "inherit" });
if (error) throw error;
process.exitCode = status ?? 1;
"#;

fn run(tool: &'static str, command: &mut Command) -> Result<(), BuildError> {
    let output = started(tool, INSTALL, command.stdout(Stdio::null()).stderr(Stdio::inherit()).output())?;
    if output.status.success() { Ok(()) } else { Err(BuildError::ToolFailed { tool, status: output.status }) }
}

/// The module that is built: what the contract asks for, in terms of what the policy exports.
fn glue(entry: &str, interfaces: &[&str]) -> String {
    let exports: String =
        interfaces.iter().map(|name| format!("export const {name} = guest.{name}(policy);\n")).collect();
    format!(
        r#"// Written by verdict build.
import "verdict-policy-sdk/runtime";
import * as guest from "verdict-policy-sdk/guest";
import * as policy from "../../../{entry}";
import * as log from "verdict:policy/log@0.1.0";
import * as auditLog from "verdict:policy/audit-log@0.1.0";
import * as review from "verdict:policy/review@0.1.0";
import * as runtime from "verdict:policy/guest-runtime@0.1.0";
import * as environment from "wasi:cli/environment@0.2.0";

const connect = () =>
  guest.connect({{
    log: log.write,
    audit: auditLog.write,
    review: review.raw,
    random: runtime.random,
    environment: environment.getEnvironment,
  }});

export const lifecycle = guest.lifecycle(policy, connect);
{exports}"#
    )
}

fn write(path: &Path, text: &str) -> Result<(), BuildError> {
    fs::write(path, text).map_err(|error| BuildError::File { path: path.to_owned(), error })
}

const ENTRIES: [&str; 4] = ["policy.js", "policy.ts", "policy.mjs", "policy.mts"];
const INSTALL: &str = "install Node.js 20 or later from https://nodejs.org";
