//! The same rule behind every protocol that modules speak, beside a component with that rule: what each costs.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use super::{
    bench::Subject,
    scenarios::validator,
    server::Folder,
    support::{fixtures, rego},
};

/// Verdict with one policy of each protocol; and what could not be had, by name.
pub(crate) fn subjects(folder: &Folder) -> anyhow::Result<(Vec<Subject>, Vec<String>)> {
    let start = |name: &str, what: &str, component: &str| {
        let file = folder.path.join(format!("{name}.yaml"));
        fs::write(&file, validator(name, component, "{labels: [team]}", "configmaps", ""))?;
        Subject::allowing(name, what, &file, folder)
    };
    let mut subjects = vec![start("component", "one component, Rust (required-labels)", "{builtin: required-labels}")?];
    let mut skipped = Vec::new();
    for (name, what, module) in MODULES {
        match made(module, folder)? {
            Some(path) => subjects.push(start(name, what, &format!("{{path: {}}}", path.display()))?),
            None => skipped.push(format!("{what}: no Go toolchain, which compiles Rego")),
        }
    }
    Ok((subjects, skipped))
}

/// Where the module is, with the metadata that it needs. None: it cannot be built here.
fn made(module: Module, folder: &Folder) -> anyhow::Result<Option<PathBuf>> {
    let (built, metadata) = match module {
        Module::Plain(name) => return Ok(Some(fixtures::module(name))),
        Module::Annotated(name, metadata) => (Some(fixtures::module(name)), metadata),
        Module::Rego(build, metadata) => (build(), metadata),
    };
    let Some(built) = built else { return Ok(None) };
    let bytes = fs::read(&built).with_context(|| built.display().to_string())?;
    let path = folder.path.join(built.file_name().context("a file")?);
    fs::write(&path, fixtures::annotate(&bytes, metadata))?;
    Ok(Some(path))
}

/// A fixture in `policies/fixtures/modules`.
#[derive(Clone, Copy)]
enum Module {
    Plain(&'static str),
    /// With what Kubewarden's tool writes into it.
    Annotated(&'static str, &'static str),
    /// The same, of Rego.
    Rego(fn() -> Option<PathBuf>, &'static str),
}

const MODULES: [(&str, &str, Module); 6] = [
    ("k8s-wasm", "one module of k8s-wasm (WASI), Rust", Module::Plain("k8s_wasm")),
    ("k8s-wasm-raw", "one module of k8s-wasm (raw), Rust", Module::Plain("k8s_wasm_raw")),
    ("kubewarden-wapc", "one module of Kubewarden (waPC), Rust, its SDK", Module::Plain("kubewarden_wapc")),
    (
        "kubewarden-wasi",
        "one module of Kubewarden (WASI command), Rust",
        Module::Annotated("kubewarden-wasi", r#"{"mutating": false, "executionMode": "wasi"}"#),
    ),
    (
        "opa",
        "one module of Kubewarden (OPA)",
        Module::Rego(rego::opa, r#"{"mutating": false, "executionMode": "opa"}"#),
    ),
    (
        "gatekeeper",
        "one module of Kubewarden (Gatekeeper)",
        Module::Rego(rego::gatekeeper, r#"{"mutating": false, "executionMode": "gatekeeper"}"#),
    ),
];
