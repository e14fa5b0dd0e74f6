//! The dashboard and the alerts: read by Prometheus' own code, and asking for nothing that this server does not count.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::{Value, json};
use verdict::observe::TABLE;

use crate::support::go_module::{GoModule, or_skip};

const MODULE: GoModule =
    GoModule { name: "promql", packages: &[("promql", ".")], ldflags: "-s -w", patience: "about a minute on 2 cores" };

/// Labels that Prometheus puts on what it scrapes, and that it makes itself.
const OF_PROMETHEUS: [&str; 3] = ["instance", "job", "le"];

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/chart/observability").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn dashboard() -> Value {
    serde_json::from_str(&read("grafana.json")).unwrap()
}

fn promql() -> &'static Result<Option<PathBuf>, String> {
    static BUILT: OnceLock<Result<Option<PathBuf>, String>> = OnceLock::new();
    BUILT.get_or_init(|| MODULE.build())
}

/// What Prometheus makes of each of these.
fn answers(folder: &Path, questions: &[Value]) -> Vec<Value> {
    let mut program = Command::new(folder.join("promql")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines: String = questions.iter().map(|it| format!("{it}\n")).collect();
    program.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = program.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(answers.len(), questions.len());
    answers
}

/// What is wrong with a series that is asked for.
fn unknown(metric: &str, labels: &BTreeSet<&str>) -> Option<String> {
    if metric == "up" || metric.starts_with("process_") {
        return labels.iter().find(|it| !OF_PROMETHEUS.contains(it)).map(|it| format!("{metric} has no label {it}"));
    }
    let named = |name: &str| TABLE.iter().find(|(row, ..)| *row == name);
    let of_histogram = || ["_bucket", "_sum", "_count"].iter().find_map(|it| named(metric.strip_suffix(it)?));
    let Some((_, known, _)) = named(metric).or_else(of_histogram) else {
        return Some(format!("there is no metric {metric}"));
    };
    let known: BTreeSet<&str> = known.split(", ").chain(OF_PROMETHEUS).collect();
    labels.difference(&known).next().map(|it| format!("{metric} has no label {it}"))
}

/// All that an answer of the program shows to be wrong.
fn wrong(answer: &Value) -> Vec<String> {
    let errors = answer["errors"].as_array().unwrap().iter().map(|it| it.to_string());
    let asked = answer["asked"].as_array().unwrap().iter();
    let unknown = asked.filter_map(|it| {
        let labels = it["labels"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
        unknown(it["metric"].as_str().unwrap(), &labels)
    });
    errors.chain(unknown).collect()
}

#[test]
fn alerts_and_dashboard_ask_for_what_is_counted() {
    let Some(folder) = or_skip(promql()) else { return };
    let mut questions = vec![json!({"rules": read("alerts.yaml")})];
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|it| it["targets"].as_array().into_iter().flatten());
    let exprs: Vec<&str> = targets.map(|it| it["expr"].as_str().unwrap()).collect();
    assert!(exprs.len() > 20);
    // Grafana's own words.
    questions.extend(exprs.iter().map(|it| json!({"expr": it.replace("$__rate_interval", "5m")})));
    for (question, answer) in questions.iter().zip(answers(folder, &questions)) {
        assert_eq!(wrong(&answer), [""; 0], "{question}");
        assert!(!answer["asked"].as_array().unwrap().is_empty(), "{question}");
    }
    // What the lists to choose from ask for.
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let query = variable["query"].as_str().unwrap();
        let Some(inner) = query.strip_prefix("label_values(").and_then(|it| it.strip_suffix(')')) else { continue };
        let (metric, label) = inner.split_once(", ").unwrap();
        assert_eq!(unknown(metric, &BTreeSet::from([label])), None, "{query}");
    }
}

#[test]
fn what_is_wrong_is_found() {
    let Some(folder) = or_skip(promql()) else { return };
    let rule = |expr: &str| json!({"rules": format!("groups:\n- name: a\n  rules:\n  - alert: A\n    expr: {expr}\n")});
    let questions = [
        rule("verdict_nothing > 0"),
        rule("sum by (nobody) (verdict_objects) > 0"),
        rule("sum( > 0"),
        json!({"rules": "groups:\n- name: a\n  rules:\n  - alert: A\n    exp: up\n"}),
        json!({"expr": "verdict_objects{colour=\"red\"}"}),
    ];
    for (question, answer) in questions.iter().zip(answers(folder, &questions)) {
        assert!(!wrong(&answer).is_empty(), "{question}");
    }
}

/// At three in the morning: how bad it is, what is wrong, and what to do.
#[test]
fn each_alert_says_how_bad_it_is_and_what_to_do() {
    let alerts: Value = serde_saphyr::from_str(&read("alerts.yaml")).unwrap();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.len() > 10);
    for rule in rules {
        assert!(["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{rule}");
        assert!(rule["for"].is_string(), "{rule}");
        for words in ["summary", "description"] {
            let words = rule["annotations"][words].as_str().unwrap_or_default();
            assert!(words.len() > 20 && words.ends_with(['.', ':', ')']), "{rule}");
        }
    }
}
