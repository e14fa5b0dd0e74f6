//! kube-apiserver's own library for patches (`tests/patch-oracle`) beside ours.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Value, json};
use verdict::review::{
    admission::Change,
    patch::{self, Invalid, PatchError, Stuck, Work},
};

use super::{made_up, runner};
use crate::support::go_module::{GoModule, or_skip};

/// What it makes of one patch.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    object: Option<Value>,
    #[serde(default)]
    error: String,
    /// It panicked: nothing to compare with.
    #[serde(default)]
    panic: String,
}

/// So many of each kind.
pub fn patches(count: usize) {
    static ORACLE: OnceLock<Result<Option<std::path::PathBuf>, String>> = OnceLock::new();
    let Some(folder) = or_skip(ORACLE.get_or_init(|| MODULE.build())) else { return };
    let mut runner = runner("oracle");
    let ours = made_up::many(&made_up::two_objects(), &mut runner, count);
    let ours: Vec<(String, String, String)> = ours
        .into_iter()
        .filter_map(|(old, new)| Some((patch::between(&old, &new, &mut work()).expect("objects")?, old, new)))
        .map(|(change, old, new)| (old, change, new))
        .collect();
    let theirs = made_up::many(&made_up::object_and_patch(), &mut runner, count);
    let questions =
        ours.iter().map(|(old, change, _)| (old, change)).chain(theirs.iter().map(|(old, change)| (old, change)));
    let answers = ask(&folder.join("patch-oracle"), questions);
    assert_eq!(answers.len(), ours.len() + theirs.len());
    let mut differences = Vec::new();
    for ((old, change, new), answer) in ours.iter().zip(&answers) {
        let expected: Value = serde_json::from_str(new).expect("JSON");
        if !answer.object.as_ref().is_some_and(|it| is_same(&it.to_string(), &expected.to_string())) {
            differences
                .push(format!("{old} {change}: expected {new}, kube-apiserver: {:?} {}", answer.object, answer.error));
        }
    }
    let mut applied = 0;
    for ((old, change), answer) in theirs.iter().zip(&answers[ours.len()..]) {
        let here = patch::apply(old, &Change::JsonPatch(change.clone()), &mut work());
        let here = here.map(|changed| changed.unwrap_or_else(|| old.clone()));
        let same = match (&here, &answer.object) {
            (Ok(here), Some(there)) => is_same(here, &there.to_string()),
            (Err(_), None) => true,
            (Err(error), Some(_)) => is_lenient(change, error),
            _ if !answer.panic.is_empty() => true,
            _ => false,
        };
        applied += usize::from(here.is_ok());
        if !same {
            differences
                .push(format!("{old} {change}: here {here:?}, kube-apiserver: {:?} {}", answer.object, answer.error));
        }
    }
    println!("{} patches of ours, {} of others, of which {applied} apply", ours.len(), theirs.len());
    assert!(applied > count / 5, "{applied} of {count} apply: the test says little");
    assert!(
        differences.is_empty(),
        "{} differences\n{}",
        differences.len(),
        differences[..differences.len().min(40)].join("\n")
    );
}

/// RFC 6902 wants what is replaced, copied or tested to be there, and so do we; that library adds it, or takes it for null.
fn is_lenient(change: &str, error: &PatchError) -> bool {
    let PatchError::Invalid(Invalid::DoesNotApply { index, stuck, .. }) = error else { return false };
    let operations: Value = serde_json::from_str(change).expect("JSON");
    match operations[index]["op"].as_str() {
        Some("replace" | "test") => *stuck == Stuck::NotThere,
        Some("copy") => *stuck == Stuck::NothingAtFrom,
        _ => false,
    }
}

/// Numbers of the same value are the same.
fn is_same(one: &str, other: &str) -> bool {
    patch::between(one, other, &mut work()) == Ok(None)
}

fn work() -> Work {
    Work::until(Instant::now() + Duration::from_secs(60))
}

fn ask<'a>(program: &std::path::Path, questions: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<Answer> {
    let mut input = Vec::new();
    for (object, change) in questions {
        let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).expect("JSON");
        writeln!(input, "{}", json!({"object": raw(object), "patch": raw(change)})).expect("a line");
    }
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the oracle");
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("its output");
    writer.join().expect("no panic in a write").expect("it reads all");
    assert!(output.status.success(), "the oracle: {}", output.status);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

const MODULE: GoModule =
    GoModule { name: "patch-oracle", packages: &[("patch-oracle", ".")], ldflags: "-s -w", patience: "some seconds" };
