//! As a new author would: `new`, `build`, `test`, the language's own tests, `review`, and the server, for every language and
//! kind, in folders that know nothing of this repository but the program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::support::{fixtures, host::Host, node};

const KINDS: [&str; 6] = ["authenticator", "authorizer", "validator", "mutator", "provider", "controller"];

/// Runs `verdict` in `folder`, and gives what it printed; fails with all of it unless it succeeds.
fn verdict(folder: &Path, args: &[&str]) -> String {
    let (success, out, words) = try_verdict(folder, args);
    assert!(success, "verdict {args:?} in {}: {out}{words}", folder.display());
    out
}

fn try_verdict(folder: &Path, args: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
    command.current_dir(folder).args(args).env("VERDICT_CACHE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/cache"));
    run(&mut command)
}

fn run(command: &mut Command) -> (bool, String, String) {
    // Cargo within cargo: nothing of the outer one, and one target folder for all policies.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let kept = ["CARGO_HOME", "CARGO_HTTP", "CARGO_NET", "CARGO_REGISTRIES", "CARGO_REGISTRY"];
        if text.starts_with("CARGO") && !kept.iter().any(|it| text.starts_with(it)) || text.starts_with("RUSTFLAGS") {
            command.env_remove(&name);
        }
    }
    command.env("CARGO_TARGET_DIR", fixtures::target().join("author"));
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// A folder that did not exist before, below the target folder, where the repository's toolchain is found.
fn folder(language: &str) -> PathBuf {
    let folder = fixtures::target().join("authors").join(language);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Everything that an author does, for every kind; `native` are the language's own tests.
async fn every_kind(language: &str, native: &[&str]) {
    let root = folder(language);
    for kind in KINDS {
        let name = format!("my-{kind}");
        let said = verdict(&root, &["new", &name, "--lang", language, "--kind", kind]);
        assert!(said.contains("verdict build"), "{said}");
        let folder = root.join(&name);
        let (success, out, words) = run(Command::new(native[0]).args(&native[1..]).current_dir(&folder));
        assert!(success, "{native:?} in {}: {out}{words}", folder.display());
        let built = verdict(&folder, &["build"]);
        assert!(built.trim_end().ends_with(&format!("{name}.wasm")), "{built}");
        let tested = verdict(&folder, &["test", "--no-build"]);
        assert!(tested.contains(" passed, 0 failed"), "{tested}");
        reviews(&folder).await;
        let inspected: Value =
            serde_json::from_str(&verdict(&folder, &["inspect", "--json", &format!("{name}.wasm")])).unwrap();
        assert_eq!(inspected["manifest"]["name"], Value::from(name), "{inspected}");
        let docs = verdict(&folder, &["docs"]);
        assert!(docs.contains("## Settings"), "{docs}");
    }
}

/// Each sample gives the verdict that it is named after, by `verdict review` and by the server's router.
async fn reviews(folder: &Path) {
    let specs = verdict::config::read(&[folder.join("policy.yaml")]).unwrap();
    let host = Host::load(specs).await.unwrap();
    let mut seen = 0;
    for file in fs::read_dir(folder.join("reviews")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (_, out, words) = try_verdict(folder, &["review", "policy.yaml", path.to_str().unwrap()]);
        let review: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        if review["kind"].is_string() {
            let offline: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{name}: {out}{words}"));
            let route = match review["kind"].as_str() {
                Some("TokenReview") => "/authenticate",
                Some("SubjectAccessReview") => "/authorize",
                _ if name.starts_with("changed") || name.starts_with("unchanged") => "/mutate",
                _ => "/validate",
            };
            let served = host.review(route, &review).await;
            assert_eq!(offline, served, "{name}");
            assert!(name.starts_with(verdict_of(&served)), "{name}: {served}");
        } else {
            assert_eq!(out.is_empty(), name.starts_with("error"), "{name}: {out}{words}");
        }
        seen += 1;
    }
    assert!(seen > 1, "{}", folder.display());
}

/// The word with which the names of samples begin.
fn verdict_of(answer: &Value) -> &'static str {
    let (status, response) = (&answer["status"], &answer["response"]);
    if answer["kind"] == "TokenReview" {
        return if status["authenticated"] == true { "authenticated" } else { "unknown" };
    }
    if answer["kind"] == "SubjectAccessReview" {
        return if status["allowed"] == true { "allow" } else { "no-opinion" };
    }
    match (response["allowed"] == true, response["patch"].is_string()) {
        (false, _) => "denied",
        (true, true) => "changed",
        // A mutator that changes nothing, or a validator.
        (true, false) => "",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_from_an_idea_to_a_tested_policy() {
    every_kind("rust", &["cargo", "test", "--quiet"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn go_from_an_idea_to_a_tested_policy() {
    if fixtures::has_go() {
        every_kind("go", &["go", "test", "./..."]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_from_an_idea_to_a_tested_policy() {
    if let Some(python) = fixtures::has_python() {
        every_kind("python", &[python, "-m", "unittest"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_from_an_idea_to_a_tested_policy() {
    if node::is_there() {
        every_kind("js", &["sh", "-c", "npm ci --ignore-scripts --no-audit --no-fund && npm test"]).await;
    }
}

/// What an author of Rust forgets easily: the macro, and the schema's file.
#[test]
fn what_was_forgotten_in_rust_is_named_with_what_mends_it() {
    let root = folder("forgotten");
    let (made, _, words) = try_verdict(&root, &["new", "late", "--lang", "rust", "--kind", "validator"]);
    assert!(made, "{words}");
    let policy = root.join("late");
    let sources = policy.join("src/lib.rs");
    let text = fs::read_to_string(&sources).unwrap();
    let export = "verdict_sdk::export!(Late: Validator);\n";
    assert!(text.contains(export), "{text}");
    fs::write(&sources, text.replace(export, "")).unwrap();
    let (built, _, words) = try_verdict(&policy, &["build"]);
    assert!(!built && words.contains("add `verdict_sdk::export!(MyPolicy: Validator);` to the crate once"), "{words}");
    fs::remove_file(policy.join("settings.schema.json")).unwrap();
    let (built, _, words) = try_verdict(&policy, &["build"]);
    assert!(
        !built && words.contains("`BLESS=1 cargo test` writes the schema from the type of the settings"),
        "{words}"
    );
}
