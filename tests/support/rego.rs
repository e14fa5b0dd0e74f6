//! Policies in Rego, compiled by OPA's own compiler, the Go module `tests/rego-compiler`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
};

use super::go_module::{GoModule, or_skip};

/// The module of `policies/fixtures/modules/rego/NAME.rego`, compiled once per process. None, with a line on stderr that names the
/// skipped test: no Go toolchain on a person's machine. In CI (environment variable `CI`) that is a failure.
pub fn module(name: &str, entrypoints: &str) -> Option<PathBuf> {
    static COMPILED: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let compiler = compiler()?;
    let mut compiled = COMPILED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let key = format!("{name}-{}", entrypoints.replace(['/', ','], "-"));
    let module = compiled.entry(key.clone()).or_insert_with(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/fixtures/modules/rego");
        let folder = super::fixtures::target().join("rego");
        fs::create_dir_all(&folder).expect("a folder below target");
        // Another process may read it meanwhile.
        let (out, unfinished) =
            (folder.join(format!("{key}.wasm")), folder.join(format!("{key}.{}", std::process::id())));
        let output = Command::new(compiler)
            .arg(entrypoints)
            .arg(source.join(name).with_extension("rego"))
            .arg(&unfinished)
            .output()
            .expect("the compiler");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::rename(&unfinished, &out).expect("a folder below target");
        out
    });
    Some(module.clone())
}

/// The labels policy of mode `opa`.
pub fn opa() -> Option<PathBuf> {
    module("opa", "policy/main")
}

/// The labels policy of mode `gatekeeper`.
pub fn gatekeeper() -> Option<PathBuf> {
    module("gatekeeper", "k8srequiredlabels/violation")
}

fn compiler() -> Option<&'static Path> {
    static BUILT: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| Ok(MODULE.build()?.map(|folder| folder.join(MODULE.name))));
    or_skip(built).map(PathBuf::as_path)
}

const MODULE: GoModule = GoModule {
    name: "rego-compiler",
    packages: &[("rego-compiler", ".")],
    ldflags: "-s -w",
    patience: "about half a minute on 2 cores",
};
