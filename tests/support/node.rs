//! Policies in JavaScript, built from copies of their folders, so that nothing of npm's lies in the sources.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock},
};

use super::fixtures::{has, target};

/// The component of a policy in JavaScript, a folder of `policies/`, built once per process from a copy below the target folder,
/// where npm's packages stay between runs. None without Node.js.
pub fn component(name: &str) -> Option<PathBuf> {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    if !is_there() {
        return None;
    }
    let mut built = BUILT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let component = built.entry(name.to_owned()).or_insert_with(|| {
        let source = copied(name, name);
        let out = source.join("built.wasm");
        let output = Command::new(env!("CARGO_BIN_EXE_verdict")).arg("build").arg(source).arg("-o").arg(&out).output();
        let output = output.expect("verdict");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        out
    });
    Some(component.clone())
}

/// The sources of a policy in JavaScript as they are now, in a folder as deep as theirs, with the SDK beside it.
pub fn copied(name: &str, to: &str) -> PathBuf {
    static SDK: OnceLock<()> = OnceLock::new();
    let root = target().join("js");
    SDK.get_or_init(|| copy(&policies("sdk-js"), &root.join("sdk-js")));
    // A manifest may name the schema of the one in Rust.
    copy(&policies("required-labels"), &root.join("required-labels"));
    let folder = root.join(to);
    copy(&policies(name), &folder);
    folder
}

/// A folder of `policies/`.
pub fn policies(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name)
}

/// A folder and everything in it but what tools put there.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder below target");
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        if entry.path().is_dir() {
            if !["node_modules", "target"].iter().any(|it| name == *it) {
                copy(&entry.path(), &to.join(name));
            }
        } else if fs::read(entry.path()).ok() != fs::read(to.join(&name)).ok() {
            fs::copy(entry.path(), to.join(name)).expect("a copy");
        }
    }
}

/// Whether Node.js is there, as [`has`] tells.
pub fn is_there() -> bool {
    has("node", &["--version"], "Node.js (node)")
}
