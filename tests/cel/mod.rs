//! Expressions as Kubernetes evaluates them: its own code (`tests/cel-oracle`) answers the corpus, and so do we.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
};

use serde_json::json;

use crate::support::{
    corpus::settle,
    go_module::{GoModule, or_skip},
};

mod compare;
mod corpus;

#[test]
fn expressions_give_what_kubernetes_gives() {
    let Some(oracle) = oracle() else { return };
    let reviews = corpus::reviews();
    let questions = corpus::questions(&reviews, &oracle.conformance);
    let answers = oracle.ask(&reviews, &questions);
    let variables = compare::Reviews::new(&reviews);
    let known: BTreeSet<String> = corpus::known().into_iter().collect();
    let mut seen = BTreeSet::new();
    let mut differences = Vec::new();
    let mut costs = compare::Costs::default();
    for (question, answer) in questions.iter().zip(&answers) {
        let found = compare::differences(question, answer, &variables, &mut costs);
        let expression = question.expression.replace('\n', " ");
        if !found.is_empty() && known.contains(&expression) {
            seen.insert(expression);
        } else {
            differences.extend(found);
        }
    }
    println!("{} questions, {costs:?}", questions.len());
    // A cost is a sum over all steps: that few are less says that they are counted as there.
    assert!(costs.equal > 20 * costs.less, "{costs:?}");
    settle(&differences, &known, &seen);
}

/// Expressions that a property test made up: what differs fails.
pub fn made_up(expressions: &[String]) {
    let Some(oracle) = oracle() else { return };
    let reviews = corpus::reviews();
    let questions: Vec<_> = expressions.iter().map(|it| corpus::question("made up", it, &reviews)).collect();
    let answers = oracle.ask(&reviews, &questions);
    let variables = compare::Reviews::new(&reviews);
    let mut costs = compare::Costs::default();
    let differences: Vec<String> = questions
        .iter()
        .zip(&answers)
        .flat_map(|(question, answer)| compare::differences(question, answer, &variables, &mut costs))
        .collect();
    println!("{} questions, {costs:?}", questions.len());
    settle(&differences, &BTreeSet::new(), &BTreeSet::new());
}

/// Kubernetes' own code, and the expressions of cel-spec's conformance files.
struct Oracle {
    program: PathBuf,
    conformance: Vec<String>,
}

impl Oracle {
    /// An answer for each question about these reviews.
    fn ask(&self, reviews: &[corpus::Review], questions: &[corpus::Question]) -> Vec<compare::Answer> {
        let mut asked = Vec::new();
        for review in reviews {
            writeln!(asked, "{}", json!({"review": review.name, "body": review.json})).expect("a line");
        }
        for question in questions {
            writeln!(asked, "{}", serde_json::to_string(question).expect("JSON")).expect("a line");
        }
        let mut child = Command::new(&self.program)
            // "Local" is a time zone.
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the oracle");
        let mut stdin = child.stdin.take().expect("a pipe");
        let writer = thread::spawn(move || stdin.write_all(&asked));
        let output = child.wait_with_output().expect("its output");
        writer.join().expect("no panic in a write").expect("it reads all questions");
        assert!(output.status.success(), "the oracle: {}", output.status);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let answer = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let answers: Vec<_> = text.lines().map(answer).collect();
        assert_eq!(questions.len(), answers.len(), "every question has an answer");
        answers
    }
}

/// None: the test is skipped, and that was said.
fn oracle() -> Option<&'static Oracle> {
    static ORACLE: OnceLock<Result<Option<Oracle>, String>> = OnceLock::new();
    or_skip(ORACLE.get_or_init(|| {
        let Some(folder) = MODULE.build()? else { return Ok(None) };
        let program = folder.join(PROGRAM);
        // Kept beside the program: whoever has both needs no Go.
        let kept = folder.join("conformance.jsonl");
        if !kept.is_file() {
            let source = MODULE.source_of("cel.dev/expr")?.join("tests/simple/testdata");
            let told = Command::new(&program).arg(source).output().map_err(|error| error.to_string())?;
            if !told.status.success() {
                return Err(String::from_utf8_lossy(&told.stderr).into_owned());
            }
            let unfinished = folder.join(".conformance.unfinished");
            fs::write(&unfinished, told.stdout)
                .and_then(|()| fs::rename(&unfinished, &kept))
                .map_err(|error| format!("{}: {error}", kept.display()))?;
        }
        let text = fs::read_to_string(&kept).map_err(|error| format!("{}: {error}", kept.display()))?;
        let lines = text.lines().map(serde_json::from_str);
        let conformance = lines.collect::<Result<_, _>>().map_err(|error| format!("{}: {error}", kept.display()))?;
        Ok(Some(Oracle { program, conformance }))
    }))
}

const PROGRAM: &str = "cel-oracle";

const MODULE: GoModule = GoModule {
    name: "cel-oracle",
    packages: &[(PROGRAM, ".")],
    ldflags: "-s -w",
    patience: "about 2 minutes on 2 cores",
};
