//! Policies that are only for tests, compiled once per process by the guests' own workspace.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
    thread,
};

use wasm_encoder::{CustomSection, Encode as _, Section as _};

use super::processes::say;

/// The component that misbehaves as its settings say: every kind in one, or only `admission`, `authentication` or `authorization`.
pub fn misbehaving(kind: &str) -> PathBuf {
    let name = if kind.is_empty() { "misbehaving".to_owned() } else { format!("misbehaving_{kind}") };
    folder().join(name).with_extension("wasm")
}

/// The component that is made of plain functions.
pub fn plain_function() -> PathBuf {
    folder().join("plain_function.wasm")
}

/// The provider that does as an annotation says.
pub fn told() -> PathBuf {
    folder().join("told.wasm")
}

/// The provider that answers an event with what of it came.
pub fn echo() -> PathBuf {
    folder().join("echo.wasm")
}

fn folder() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = target();
        let output =
            cargo(&["build", "--release", "--locked", "--target", "wasm32-wasip2", "--package", "misbehaving*"])
                .args(["--package", "plain-function", "--package", "told", "--package", "echo"])
                .arg("--target-dir")
                .arg(&target)
                .output()
                .expect("cargo");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        target.join("wasm32-wasip2/release")
    })
}

/// A guest of an older protocol, by its file's name without `.wasm`.
pub fn module(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let target = target().join("modules");
        let output = cargo(&["build", "--release", "--locked", "--target", "wasm32-wasip1", "--target-dir"])
            .arg(&target)
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/fixtures/modules"))
            .output()
            .expect("cargo");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        target.join("wasm32-wasip1/release")
    });
    folder.join(name).with_extension("wasm")
}

/// The module with what Kubewarden's tool writes into it.
pub fn annotate(module: &[u8], metadata: &str) -> Vec<u8> {
    let mut bytes = module.to_vec();
    let section = CustomSection { name: Cow::Borrowed("io.kubewarden.metadata"), data: metadata.as_bytes().into() };
    bytes.push(section.id());
    section.encode(&mut bytes);
    bytes
}

/// The component of a policy in Go, a folder of `policies/`, built by `verdict build` once per process. None, with a line on
/// stderr that names the skipped test: no Go toolchain on a person's machine. In CI (environment variable `CI`) that is a failure.
pub fn go(name: &str) -> Option<PathBuf> {
    has_go().then(|| built(name))
}

/// The component of a policy in Python, as [`go`]. None without Python.
pub fn python(name: &str) -> Option<PathBuf> {
    has_python().map(|_| built(name))
}

fn built(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let component = built.entry(name.to_owned()).or_insert_with(|| {
        let folder = target().join("built");
        fs::create_dir_all(&folder).expect("a folder below target");
        let out = folder.join(format!("{}.wasm", name.rsplit('/').next().unwrap_or(name)));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name);
        let output = Command::new(env!("CARGO_BIN_EXE_verdict")).arg("build").arg(source).arg("-o").arg(&out).output();
        let output = output.expect("verdict");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        out
    });
    component.clone()
}

/// `go vet` and the unit tests of a Go module.
pub fn go_checks(module: &Path) {
    for args in [&["vet", "./..."][..], &["test", "./..."]] {
        let output = Command::new("go").args(args).current_dir(module).env("GOWORK", "off").output().expect("go");
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: go {args:?}: {text}", module.display());
    }
}

/// Whether the Go toolchain is there, as [`has`] tells.
pub fn has_go() -> bool {
    has("go", &["version"], "Go toolchain (go)")
}

/// Python, if it is there and can make virtual environments; if not, as [`has`].
pub fn has_python() -> Option<&'static str> {
    has("python3", &["-c", "import ensurepip, venv"], "python3 with venv").then_some("python3")
}

/// Whether a tool is there; if not, the running test is named as skipped, or fails in CI.
pub fn has(program: &str, args: &[&str], name: &str) -> bool {
    let found = Command::new(program).args(args).output().is_ok_and(|output| output.status.success());
    if !found {
        assert!(std::env::var_os("CI").is_none(), "no {name} found, and in CI nothing is skipped");
        say(&format!("skipped: {}: no {name} found", thread::current().name().unwrap_or(program)));
    }
    found
}

/// Cargo in the guests' workspace, without what was set for the host.
pub fn cargo(args: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")).args(args);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let kept = ["CARGO_HOME", "CARGO_HTTP", "CARGO_NET", "CARGO_REGISTRIES", "CARGO_REGISTRY"];
        if text.starts_with("CARGO_") && !kept.iter().any(|it| text.starts_with(it)) || text.starts_with("RUSTFLAGS") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Where fixtures and the guests' tests are built: kept between runs.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests")
}
