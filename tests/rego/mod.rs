//! Builtin functions as OPA answers them: its own code (`tests/rego-oracle`) answers the corpus and the calls that OPA's
//! test cases make, and so do we.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use serde::Deserialize;
use serde_json::json;
use verdict::rego::{Builtin, Work};

use crate::support::{
    corpus::{files, settle},
    go_module::{GoModule, or_skip},
};

/// What `time.now_ns` gives in the oracle.
const NOW: Duration = Duration::from_nanos(1_700_000_000_123_456_789);

#[test]
fn builtins_give_what_opa_gives() {
    let Some(oracle) = or_skip(&oracle()).cloned() else { return };
    let mut questions = Vec::new();
    for (origin, text) in files("rego/calls") {
        questions.extend(lines(&text).map(|call| Question { call: call.to_owned(), origin: origin.clone() }));
    }
    questions.extend(cases(&oracle));
    let answers = ask(&oracle, &questions);
    assert_eq!(questions.len(), answers.len(), "every question has an answer");

    let known: BTreeSet<String> =
        files("rego/known").iter().flat_map(|(_, text)| lines(text)).map(str::to_owned).collect();
    let mut seen = BTreeSet::new();
    let mut counts: BTreeMap<&str, [usize; 2]> = Builtin::all().map(|it| (it.name(), [0; 2])).collect();
    let mut differences = Vec::new();
    for (question, answer) in questions.iter().zip(&answers) {
        if let Some(count) = counts.get_mut(answer.name.as_str()) {
            count[usize::from(answer.value.is_none())] += 1;
        }
        let Some(difference) = difference(question, answer) else { continue };
        if known.contains(&question.call) {
            seen.insert(question.call.clone());
        } else {
            differences.push(difference);
        }
    }
    println!("{} calls; with a value, without: {counts:?}", questions.len());
    settle(&differences, &known, &seen);
    let untried: Vec<_> = counts.iter().filter(|(_, [defined, _])| *defined == 0).collect();
    assert!(untried.is_empty(), "nothing in the corpus gives a value: {untried:?}");
}

/// None: we answer the same.
fn difference(question: &Question, answer: &Answer) -> Option<String> {
    if answer.panic.is_some() {
        return None;
    }
    let differ = |theirs: &str, ours: &str| {
        let [theirs, ours] = [theirs, ours].map(shorten);
        Some(format!("{}: {}\n    OPA:     {theirs}\n    Verdict: {ours}", question.origin, question.call))
    };
    let Some(builtin) = Builtin::find(&answer.name) else { return differ("has it", "does not") };
    if builtin.arity() != answer.arguments.len() {
        return differ(&answer.arguments.len().to_string(), &builtin.arity().to_string());
    }
    let arguments: Vec<&[u8]> = answer.arguments.iter().map(String::as_bytes).collect();
    let ours = builtin.call(&arguments, &mut Work::new(SystemTime::UNIX_EPOCH + NOW));
    let ours = ours.map(|it| it.map(|it| String::from_utf8(it).expect("UTF-8")));
    match (&answer.value, &ours) {
        (Some(theirs), Ok(Some(ours))) if theirs == ours => None,
        (None, Ok(None)) => None,
        _ => {
            let theirs = answer.value.as_ref().or(answer.error.as_ref()).map_or("", String::as_str);
            differ(theirs, &ours.map_or_else(|error| error.to_string(), |it| it.unwrap_or("undefined".to_owned())))
        }
    }
}

/// A call, and where it is from.
#[derive(Deserialize)]
struct Question {
    call: String,
    origin: String,
}

/// What `tests/rego-oracle` writes for a question.
#[derive(Deserialize)]
struct Answer {
    name: String,
    arguments: Vec<String>,
    value: Option<String>,
    error: Option<String>,
    /// OPA's own code panicked: nothing to compare with.
    panic: Option<String>,
}

/// The calls of what is served that OPA's test cases make.
fn cases(oracle: &Path) -> Vec<Question> {
    let folder = MODULE.source_of("github.com/open-policy-agent/opa").expect("OPA's source");
    let told = Command::new(oracle)
        .arg(folder.join("v1/test/cases/testdata"))
        .args(Builtin::all().map(Builtin::name))
        .output()
        .expect("the oracle");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let text = String::from_utf8(told.stdout).expect("UTF-8");
    let cases: Vec<Question> = text.lines().map(|line| serde_json::from_str(line).expect("a question")).collect();
    assert!(cases.len() > 200, "{} calls", cases.len());
    cases
}

/// A line for each question.
fn ask(oracle: &Path, questions: &[Question]) -> Vec<Answer> {
    let mut child = Command::new(oracle).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the oracle");
    let mut asked = Vec::new();
    for question in questions {
        writeln!(asked, "{}", json!({"call": question.call})).expect("a line");
    }
    let mut stdin = child.stdin.take().expect("a pipe");
    let writer = thread::spawn(move || stdin.write_all(&asked));
    let output = child.wait_with_output().expect("its output");
    // It stops reading at a line that is no call, and says why.
    let written = writer.join().expect("no panic in a write");
    assert!(output.status.success(), "the oracle: {}", output.status);
    written.expect("it reads all questions");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
}

/// None: the test is skipped, and that was said.
fn oracle() -> Result<Option<PathBuf>, String> {
    Ok(MODULE.build()?.map(|folder| folder.join(PROGRAM)))
}

/// Without comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

fn shorten(text: &str) -> String {
    if text.chars().count() > 300 { text.chars().take(300).chain("…".chars()).collect() } else { text.to_owned() }
}

const PROGRAM: &str = "rego-oracle";

const MODULE: GoModule = GoModule {
    name: "rego-oracle",
    packages: &[(PROGRAM, ".")],
    ldflags: "-s -w",
    patience: "about 2 minutes on 2 cores",
};
