//! The built-in policy `pod-security` against Kubernetes' own fixtures: every pod that upstream's tests expect to pass
//! or to fail, at the level and version that it was made for, through the real component.
//!
//! The fixtures come with the Go module k8s.io/pod-security-admission, so the test needs a Go toolchain; without one it
//! says so and checks nothing, except in CI, where it fails.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use verdict::{
    engine::{
        prepare::Source,
        run::{Call, Capacity, Engine, Listen, Start, Template},
    },
    loader::{Component, Components},
    review::{admission, seen::Seen},
    spec::{Grants, Instances, Limits, PolicySpec},
};

use crate::support::host::compiler;

const MODULE: &str = "k8s.io/pod-security-admission@v0.36.3";
/// All of the fixtures of that version of the module; another number means that some were not found.
const FIXTURES: usize = 4241;
/// For a call on a busy machine: what is tested is the verdict, not the time.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn the_fixtures_of_kubernetes_get_the_verdict_that_they_are_made_for() {
    let fixtures = match fixtures() {
        Ok(fixtures) => fixtures,
        Err(why) if env::var_os("CI").is_none() => {
            eprintln!("skipped: the fixtures of the Pod Security Standards: {why}");
            return;
        }
        Err(why) => panic!("the fixtures of the Pod Security Standards: {why}"),
    };
    let engine = Engine::new(Capacity { instances: 8, memory: 1 << 30 }).unwrap();
    let component = Components::local().load(PolicySpec::builtin("pod-security").component().unwrap()).unwrap();
    let mut count = 0;
    let mut wrong = Vec::new();
    for level in ["baseline", "restricted"] {
        for version in children(&fixtures.join(level)) {
            let policy = policy(&engine, &component, level, &name(&version)).await;
            for expected in ["pass", "fail"] {
                for path in children(&version.join(expected)) {
                    count += 1;
                    let controls = ask(&policy, &path).await;
                    if !is_expected(&controls, expected, &path) {
                        let file = path.strip_prefix(&fixtures).unwrap();
                        wrong.push(format!("{}: {controls:?}", file.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count} got another verdict:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(count, FIXTURES);
}

async fn policy(engine: &Engine, component: &Component, level: &str, version: &str) -> Template {
    let limits = Limits { time: PATIENCE, ..Limits::default() };
    let settings = json!({"level": level, "version": version}).to_string();
    let source = Source::new(engine, component.clone(), Some(&settings), &Grants::default(), &limits).unwrap();
    let program = Arc::new(compiler().load(engine, &source).await.unwrap());
    assert_eq!(program.about().start, Start::Snapshot);
    Template::new(engine, program, "pod-security", limits, Instances::PerReview).unwrap()
}

/// The controls that the pod in the file is denied for, in lower case; none if it is allowed.
async fn ask(policy: &Template, path: &Path) -> BTreeSet<String> {
    let pod: Value = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let raw = json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
            "requestResource": {"group": "", "version": "v1", "resource": "pods"},
            "name": pod["metadata"]["name"],
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {"username": "jane", "groups": ["system:authenticated"]},
            "object": pod,
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
    .to_string();
    let envelope = admission::decode(raw.as_bytes()).unwrap();
    let object = envelope.review.object.map(|object| object.get());
    let call = Call {
        raw: &raw,
        deadline: Instant::now() + PATIENCE,
        spent: Duration::ZERO,
        listen: Listen::No,
        trail: None,
        now: None,
        operation: None,
        audit: false,
    };
    let validation = policy.validate(call, &envelope.review, &Seen::new(object, None)).await.result.unwrap();
    let Some(denial) = validation.denial else {
        return BTreeSet::new();
    };
    assert!(!denial.causes.is_empty(), "{}: denied without a cause", path.display());
    let control = |message: &str| message.split(':').next().unwrap_or_default().to_ascii_lowercase();
    denial.causes.iter().map(|cause| control(&cause.message)).collect()
}

/// A fixture is named after the one control that it is about.
fn is_expected(controls: &BTreeSet<String>, expected: &str, path: &Path) -> bool {
    if expected == "pass" {
        return controls.is_empty();
    }
    let name = name(path);
    let about = name.trim_end_matches(".yaml").trim_end_matches(|c: char| c.is_ascii_digit());
    let stricter = match about {
        "capabilities_baseline" => "capabilities_restricted",
        "hostpathvolumes" => "restrictedvolumes",
        "procmount" => "procmount_restricted",
        "seccompprofile_baseline" => "seccompprofile_restricted",
        other => other,
    };
    controls.contains(about) || controls.contains(stricter)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// What is in a folder, in order.
fn children(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The folder of the fixtures, or why there is none.
fn fixtures() -> Result<PathBuf, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let output = Command::new("go")
        .args(["mod", "download", "-json", MODULE])
        .current_dir(folder.path())
        .output()
        .map_err(|error| format!("go does not run: {error}"))?;
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("go mod download: {}", String::from_utf8_lossy(&output.stderr)))?;
    match answer["Dir"].as_str() {
        Some(module) => Ok(Path::new(module).join("test/testdata")),
        None => Err(format!("go mod download: {}", answer["Error"])),
    }
}
