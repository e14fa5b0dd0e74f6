//! Tables of expressions per library, what is refused at load, and hostile input.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::{Budget, Condition, Subject, Variables};

mod costs;
mod hostile;
mod language;
mod libraries;
mod reads;
mod refused;
mod types;

fn request() -> Json {
    json!({
        "uid": "705ab4f5", "operation": "CREATE", "name": "web", "namespace": "shop", "dryRun": false,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "userInfo": {"username": "kim", "groups": ["dev", "system:authenticated"], "extra": {"example.com/k": ["v"]}},
    })
}

fn object() -> Json {
    json!({
        "metadata": {"name": "web", "labels": {"app": "web", "tier": "front"}, "generation": 3},
        "spec": {
            "replicas": 2, "ratio": 0.5, "negative": -7, "big": 18_446_744_073_709_551_615_u64,
            "containers": [
                {"name": "a", "image": "registry.example/a:1", "ports": [{"containerPort": 80}]},
                {"name": "b", "image": "registry.example/b:2"},
            ],
        },
    })
}

/// Enough for everything that is expected to end.
fn budget() -> Budget {
    Budget::new(Instant::now() + Duration::from_secs(30))
}

/// Words are the same at load and when it is run.
fn eval(condition: &Condition, variables: &Variables) -> Result<bool, String> {
    condition.eval(variables, &mut budget()).map_err(|why| why.to_string())
}

fn admission(expression: &str) -> Result<bool, String> {
    let variables = Variables::new(request()).with_object(Some(object()));
    let condition = Condition::compile("test", expression, Subject::Admission)?;
    let result = eval(&condition, &variables);
    assert_eq!(reads::eval_read(&condition, &object()), result, "{expression}, on what it reads");
    result
}

/// All of these are true.
#[track_caller]
fn hold(expressions: &[&str]) {
    let wrong: Vec<_> =
        expressions.iter().map(|text| (text, admission(text))).filter(|(_, result)| *result != Ok(true)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// These compile but fail when run, with these words in the message.
#[track_caller]
fn fail(rows: &[(&str, &str)]) {
    let variables = Variables::new(request()).with_object(Some(object()));
    for (expression, words) in rows {
        let condition = Condition::compile("test", expression, Subject::Admission).expect(expression);
        let error = eval(&condition, &variables).expect_err(expression);
        assert!(error.contains(words), "{expression}: {error}");
        assert_eq!(reads::eval_read(&condition, &object()), Err(error), "{expression}, on what it reads");
    }
}

/// These are refused at load, with these words in the message.
#[track_caller]
fn refuse(subject: Subject, rows: &[(&str, &str)]) {
    for (expression, words) in rows {
        let Err(error) = Condition::compile("test", expression, subject) else { panic!("{expression} compiled") };
        assert!(error.contains(words), "{expression}: {error}");
    }
}
