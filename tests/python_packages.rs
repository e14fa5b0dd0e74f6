//! What policies in Python take from elsewhere: packages from PyPI, pinned and kept in the component with their files; and
//! nothing else of the machine that builds them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::support::{fixtures, host::admission, node::copy};

/// A copy of a fixture, where a build may leave what it finds.
fn fixture(name: &str, folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/fixtures").join(name);
    let to = folder.join(name);
    copy(&source, &to);
    to
}

/// `verdict` with the arguments: whether it succeeded, what it printed, and what it said.
fn verdict(args: &[&str], folder: &Path) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_verdict")).args(args).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn packages_are_pinned_and_their_files_modules_and_time_zones_are_there() {
    if fixtures::has_python().is_none() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let folder = fixture("packages-python", root.path());
    let (built, _, said) = verdict(&["build", "-o", "first.wasm"], &folder);
    assert!(built, "{said}");
    // jsonschema needs rpds-py, which is written in Rust.
    let lock = fs::read_to_string(folder.join("requirements.lock")).unwrap();
    let told = "the newest versions need native code, which does not run in a component: rpds-py ";
    for expected in [told, "jsonschema 4.17.3 was taken instead of "] {
        assert!(said.contains(expected) && lock.contains(expected), "no {expected:?} in {said}{lock}");
    }
    for expected in ["\njsonschema==4.17.3 \\\n    --hash=sha256:", "\ntzdata==", "\nattrs=="] {
        assert!(lock.contains(expected), "{lock}");
    }

    // Only a comment: the lock file stands, and so do the bytes.
    fs::write(folder.join("requirements.txt"), "jsonschema\ntzdata # for time zones\n").unwrap();
    let (built, _, said) = verdict(&["build", "-o", "second.wasm"], &folder);
    assert!(built && said.is_empty(), "{said}");
    assert!(fs::read(folder.join("first.wasm")).unwrap() == fs::read(folder.join("second.wasm")).unwrap());

    let review = admission("u", json!({"kind": "ConfigMap", "apiVersion": "v1"}));
    fs::write(folder.join("review.json"), review.to_string()).unwrap();
    fs::write(folder.join("policy.yaml"), POLICY).unwrap();
    let (_, out, said) = verdict(&["review", "policy.yaml", "review.json"], &folder);
    let answer: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{said}"));
    let expected = "p: 5 | {\"a\": 1} | {\"a\": 1} | ['__init__.py', 'data.json', 'late.py'] | 2026-07-01T14:00:00+02:00 | \
                    PermissionError: /1/words/data.json is kept in the component, which cannot be changed | \
                    ValidationError: 'x' is not of type 'integer'";
    assert_eq!(answer["response"]["status"]["message"], expected);

    // Other bytes than the ones that were pinned are not built.
    fs::write(folder.join("requirements.lock"), lock.replace("--hash=sha256:", "--hash=sha256:0000")).unwrap();
    let (built, _, said) = verdict(&["build", "-o", "third.wasm"], &folder);
    assert!(!built && said.contains("cannot be installed as wheels of pure Python with these hashes"), "{said}");

    // Other requirements are chosen anew; what is nowhere in pure Python is an error that names it.
    fs::write(folder.join("requirements.txt"), "rpds-py\n").unwrap();
    let (built, _, said) = verdict(&["build", "-o", "fourth.wasm"], &folder);
    assert!(!built && said.contains("requirements.txt: changed since requirements.lock was written"), "{said}");
    assert!(said.contains("these packages cannot be had as wheels of pure Python"), "{said}");
    assert!(said.contains("The newest versions need native code: rpds-py "), "{said}");
    assert!(!folder.join("unused").exists());
}

const POLICY: &str = "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {name: p}\nspec:\n  component: {path: first.wasm}\n  limits: {timeoutMilliseconds: 20000}\n";

/// Of two folders, caches and, where there is one in memory, file systems: those list the files of a folder in another order and
/// give them other numbers.
#[test]
fn components_of_the_same_sources_are_the_same_bytes_wherever_they_are_made() {
    if fixtures::has_python().is_none() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let order = root.path().join("order");
    fs::create_dir(&order).unwrap();
    fs::write(order.join("policy.py"), ORDER).unwrap();
    fs::write(
        order.join("verdict.yaml"),
        "apiVersion: author.verdict.dev/v1alpha1\nkind: PolicyManifest\nname: order\n",
    )
    .unwrap();
    let misbehaving = fixture("misbehaving-python", root.path());
    let packages = fixture("packages-python", root.path());

    let memory = Path::new("/dev/shm");
    let elsewhere = tempfile::tempdir_in(if memory.is_dir() { memory } else { root.path() }).unwrap();
    let (cache, temporary) = (elsewhere.path().join("cache"), elsewhere.path().join("temporary"));
    for folder in [&cache, &temporary] {
        fs::create_dir(folder).unwrap();
    }
    // The tool is installed there, and nothing was built.
    for entry in fs::read_dir(default_cache()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        let is_made = ["python-built", "python-start"].iter().any(|it| name == *it);
        if name.to_string_lossy().starts_with("python-") && !is_made {
            std::os::unix::fs::symlink(entry.path(), cache.join(name)).unwrap();
        }
    }
    for folder in [&order, &misbehaving, &packages] {
        let (built, _, said) = verdict(&["build", "-o", "here.wasm"], folder);
        assert!(built, "{said}");
        let there = copied(folder, &root.path().join("there"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
        command.args(["build", "-o", "there.wasm"]).current_dir(&there);
        let output = command.env("VERDICT_CACHE_DIR", &cache).env("TMPDIR", &temporary).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (here, there) = (fs::read(folder.join("here.wasm")).unwrap(), fs::read(there.join("there.wasm")).unwrap());
        let differ = here.iter().zip(&there).filter(|(a, b)| a != b).count();
        assert!(here == there, "{}: {} and {} bytes, {differ} differ", folder.display(), here.len(), there.len());
    }
    assert_eq!(fs::read_dir(cache.join("python-built")).unwrap().count(), 3, "they were not made again");

    let review = admission("u", json!({"kind": "ConfigMap", "apiVersion": "v1"}));
    fs::write(order.join("review.json"), review.to_string()).unwrap();
    fs::write(order.join("policy.yaml"), POLICY.replace("first.wasm", "here.wasm")).unwrap();
    let (_, out, said) = verdict(&["review", "policy.yaml", "review.json"], &order);
    let answer: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{said}"));
    let message = answer["response"]["status"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(message.matches("word").count(), 20, "{message}");
}

fn copied(folder: &Path, to: &Path) -> PathBuf {
    let to = to.join(folder.file_name().unwrap());
    copy(folder, &to);
    to
}

/// Says in which order a set is.
const ORDER: &str = "from verdict_policy import Deny

WORDS = {f'word-{number}' for number in range(20)}


def validate(request):
    return Deny(f'{\" \".join(WORDS)} {hash(\"a\")}')
";

/// As the builds of other tests have it.
fn default_cache() -> PathBuf {
    let from = |name| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    let home =
        || from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|it| it.join(".cache"))).map(|it| it.join("verdict"));
    from("VERDICT_CACHE_DIR").or_else(home).unwrap()
}
