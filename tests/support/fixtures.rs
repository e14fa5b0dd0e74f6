//! Policies that are only for tests, compiled once per process by the guests' own workspace.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The component that misbehaves as its settings say: every kind in one, or only `admission`, `authentication` or `authorization`.
pub fn misbehaving(kind: &str) -> PathBuf {
    let name = if kind.is_empty() { "misbehaving".to_owned() } else { format!("misbehaving_{kind}") };
    folder().join(name).with_extension("wasm")
}

fn folder() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = target();
        let output =
            cargo(&["build", "--release", "--locked", "--target", "wasm32-wasip2", "--package", "misbehaving*"])
                .arg("--target-dir")
                .arg(&target)
                .output()
                .expect("cargo");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        target.join("wasm32-wasip2/release")
    })
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
