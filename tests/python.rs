//! Policies in Python, built by `verdict build` from `policies/`: verdicts, output, errors, large objects, live clocks
//! and random numbers, exact numbers, and what an author is told.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use verdict::spec::PolicySpec;

use crate::support::{
    fixtures,
    host::{Host, access, admission, token},
    pki::Pki,
    verdict::Verdict,
};

/// The one that misbehaves. To compile it takes many seconds, so it is compiled once for all tests.
async fn host() -> Option<&'static Host> {
    static HOST: OnceCell<Host> = OnceCell::const_new();
    let component = fixtures::python("fixtures/misbehaving-python")?;
    let load = || async {
        let mut spec = PolicySpec::file("p", &component);
        spec.limits.time = std::time::Duration::from_secs(20);
        Host::load(vec![spec]).await.unwrap()
    };
    Some(HOST.get_or_init(load).await)
}

/// What `validate` answers to an object that is called `deed`.
async fn ask(host: &Host, deed: &str) -> Value {
    ask_about(host, deed, json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": deed}}), "").await
}

async fn ask_about(host: &Host, deed: &str, object: Value, query: &str) -> Value {
    let mut review = admission("u", object);
    review["request"]["name"] = deed.into();
    host.review(&format!("/validate{query}"), &review).await["response"].clone()
}

fn message(answer: &Value) -> &str {
    let text = answer["status"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
    text.trim_start_matches("p: ")
}

#[test]
fn the_unit_tests_in_python_pass() {
    let Some(python) = fixtures::has_python() else { return };
    for folder in ["sdk-python", "required-labels-python"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(folder);
        let mut tests = Command::new(python);
        tests.args(["-m", "unittest"]).current_dir(&folder).env("PYTHONDONTWRITEBYTECODE", "1");
        let output = tests.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !text.contains("Ran 0 tests"), "{}: {text}", folder.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_settings_are_refused_with_their_paths() {
    let Some(component) = fixtures::python("fixtures/misbehaving-python") else { return };
    let mut spec = PolicySpec::file("p", &component);
    spec.settings = json!({"do": "two-bad-settings"}).to_string();
    let errors = Host::load(vec![spec]).await.err().unwrap().join("\n");
    for expected in ["do: expected a better deed", "x: and another"] {
        assert!(errors.contains(expected), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_a_validator_arrives() {
    let Some(host) = host().await else { return };
    let answer = ask(host, "deny").await;
    assert_eq!(answer["status"]["code"], 422, "{answer}");
    assert_eq!(answer["status"]["reason"], "Invalid");
    let causes = json!([{"field": "a.b", "message": "wrong", "reason": "FieldValueInvalid"}]);
    assert_eq!(answer["status"]["details"]["causes"], causes);
    let answer = ask(host, "speak").await;
    assert_eq!((&answer["allowed"], &answer["warnings"]), (&json!(true), &json!(["be warned"])), "{answer}");
    assert_eq!(answer["auditAnnotations"], json!({"p.a": "b"}));
    assert_eq!(message(&ask(host, "strptime").await), "2026-01-02T00:00:00");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_python_fails_in_its_own_words() {
    let Some(host) = host().await else { return };
    for (deed, label, words) in [
        ("raise", "guest_error", "the policy could not decide"),
        ("raise-elsewhere", "guest_error", "the policy could not decide"),
        ("exit", "guest_error", "the policy could not decide"),
        ("none", "guest_error", "the policy could not decide"),
        ("recursion", "stack", "the policy ran out of stack"),
        ("recursion-renamed", "stack", "the policy ran out of stack"),
        ("memory-and-allow", "memory", "the policy ran out of memory"),
        ("files", "guest_error", "the policy could not decide"),
        ("late-import", "guest_error", "the policy could not decide"),
        ("half-a-character", "guest_error", "the policy could not decide"),
        ("memory", "memory", "the policy ran out of memory"),
        ("loop", "timeout", "the policy took too long"),
    ] {
        let before = host.count("Validator", "p", label);
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": deed}});
        let query = if deed == "loop" { "?timeout=1s" } else { "" };
        assert_eq!(message(&ask_about(host, deed, object, query).await), words, "{deed}");
        // Other tests ask the same policy meanwhile.
        assert!(host.count("Validator", "p", label) > before, "{deed}: {}", host.metrics.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_state_crosses_reviews_and_clocks_and_random_numbers_are_live() {
    let Some(host) = host().await else { return };
    let (mut seen, mut last) = (BTreeSet::new(), 0.0);
    for _ in 0..5 {
        assert_eq!(message(&ask(host, "remember").await), "clean");
        let answer = ask(host, "live").await;
        let numbers: Vec<&str> = message(&answer).split(' ').collect();
        let [random, bits, secret, system, nanoseconds, now] = *numbers else { panic!("{answer}") };
        for number in [random, bits, secret, system] {
            assert!(seen.insert(number.to_owned()), "{answer}: not random");
        }
        let now: f64 = now.parse().unwrap();
        assert!(now > last, "{answer}: the clock stands still");
        assert!((nanoseconds.parse::<f64>().unwrap() / 1e9 - now).abs() < 60.0, "{answer}");
        last = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_nobody_touches_survive_a_mutation() {
    let Some(host) = host().await else { return };
    let numbers = r#"[1.0,1.10,1e400,-0,-0.0,0.1000000000000000055,9007199254740993,123456789012345678901234567890]"#;
    for deed in ["change", "json-patch", "merge-patch"] {
        let review = format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"u","operation":"CREATE","name":"{deed}",
            "kind":{{"version":"v1","kind":"ConfigMap"}},"resource":{{"version":"v1","resource":"configmaps"}},"userInfo":{{}},
            "object":{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"a"}},"numbers":{numbers}}}}}}}"#
        );
        let (_, text) = host.post("/mutate", review).await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        let patch = answer["response"]["patch"].as_str().unwrap_or_else(|| panic!("{text}"));
        let patch = base64::engine::general_purpose::STANDARD.decode(patch).unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        assert_eq!(patch, json!([{"op": "add", "path": "/metadata/labels", "value": {"team": "unknown"}}]), "{deed}");
    }
    let mut review = admission("u", json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"labels": {}}}));
    assert_eq!(host.review("/mutate", &review).await["response"]["patch"], Value::Null);
    review["request"]["object"]["metadata"] = json!({});
    review["request"]["name"] = "deny-mutation".into();
    let answer = host.review("/mutate", &review).await;
    assert_eq!((&answer["response"]["allowed"], &answer["response"]["status"]["code"]), (&json!(false), &json!(422)));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_reviews() {
    let Some(host) = host().await else { return };
    let known = host.review("/authenticate", &token("correct-horse")).await;
    let user =
        json!({"username": "jane", "uid": "7", "groups": ["developers"], "extra": {"example.org/team": ["a", "b"]}});
    let audiences = json!(["https://kubernetes.default.svc"]);
    assert_eq!(known["status"], json!({"authenticated": true, "user": user, "audiences": audiences}));
    for (bearer, label) in [("expired", "rejected"), ("other", "unknown"), ("raise", "guest_error")] {
        let answer = host.review("/authenticate", &token(bearer)).await;
        assert_ne!(answer["status"]["authenticated"], true, "{answer}");
        assert_eq!(host.count("Authenticator", "p", label), 1, "{}", host.metrics.text());
    }
    let mut review = access();
    assert_ne!(host.review("/authorize", &review).await["status"]["allowed"], true);
    review["spec"]["resourceAttributes"]["labelSelector"] =
        json!({"requirements": [{"key": "app", "operator": "In", "values": ["x", "y"]}]});
    let answer = host.review("/authorize", &review).await;
    assert_eq!(answer["status"], json!({"allowed": true, "reason": "app IN x, y"}));
    let spec = review["spec"].as_object_mut().unwrap();
    spec.remove("resourceAttributes");
    spec.insert("nonResourceAttributes".to_owned(), json!({"verb": "get", "path": "/healthz"}));
    let answer = host.review("/authorize", &review).await;
    assert_eq!(answer["status"], json!({"allowed": false, "denied": true, "reason": "not /healthz"}));
    let (_, text) = host.post("/events/p", r#"{"a": 1.10}"#).await;
    assert_eq!(text, r#"{"event":{"a":1.10},"raw":11}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_pass() {
    let Some(host) = host().await else { return };
    let data = (0..3000).map(|it| (format!("key-{it}"), Value::from("x".repeat(1000))));
    let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "data": data.collect::<serde_json::Map<_, _>>()});
    for _ in 0..3 {
        let answer = ask_about(host, "large", object.clone(), "").await;
        let numbers: Vec<usize> = message(&answer).split(' ').map(|it| it.parse().unwrap()).collect();
        assert!(numbers[0] == 3_000_000 && numbers[1] > 3_000_000, "{numbers:?}");
    }
}

#[test]
fn what_a_python_policy_prints_and_raises_is_in_the_log() {
    let Some(component) = fixtures::python("fixtures/misbehaving-python") else { return };
    let yaml = format!(
        "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: p}}\nspec:\n  component: {{path: {}}}\n  limits: {{timeoutMilliseconds: 20000}}\n  grants: {{env: [{{name: A, value: \"1\"}}]}}\n",
        component.display()
    );
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let verdict = Verdict::serve(&pki, folder.path(), &yaml, &[]);
    let url = format!("https://{}/validate", verdict.https);
    let post = |deed: &str| {
        let mut review = admission("u", json!({"kind": "ConfigMap", "apiVersion": "v1"}));
        review["request"]["name"] = deed.into();
        let (status, text) = crate::support::http::post(&url, review.to_string(), &pki, Some(&verdict.client)).unwrap();
        assert_eq!(status, 200, "{text}");
        text
    };
    for deed in ["speak", "raise", "raise-elsewhere", "exit", "none", "late-import", "recursion"] {
        post(deed);
    }
    let answer = post("environment");
    assert!(answer.contains("A=1"), "{answer}");
    let log = fs::read_to_string(folder.path().join("verdict.log")).unwrap();
    for line in [
        "printed while it is built",
        "printed in init",
        "one line",
        "and half a line",
        "an error",
        "warned u",
        "KeyError: 'nothing' (policy.py:",
        "KeyError: 'nothing' (words.py:5)",
        "SystemExit: 3 (policy.py:",
        "validate returned None: expected Allow or Deny",
        "No module named 'decimal' (import it at the top of the module",
        "\"outcome\":\"stack\"",
    ] {
        assert!(log.contains(line), "no {line:?} in {log}");
    }
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    let Some(component) = fixtures::python("fixtures/misbehaving-python") else { return };
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/fixtures/misbehaving-python");
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for file in ["policy.py", "words.py", "verdict.yaml"] {
        fs::copy(source.join(file), elsewhere.join(file)).unwrap();
    }
    for built in [&source, &elsewhere] {
        let again = folder.path().join("again.wasm");
        let (succeeded, said) = build(built, &again);
        assert!(succeeded, "{said}");
        assert!(fs::read(&component).unwrap() == fs::read(&again).unwrap());
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 3, "something was left behind");
}

#[test]
fn what_is_no_policy_is_told_with_its_place() {
    if fixtures::has_python().is_none() {
        return;
    }
    for (source, expected) in [
        ("def validate(request)\n    pass\n", "policy.py:1: SyntaxError: expected ':'\n    def validate(request)\n"),
        ("def init(settings):\n    pass\n", "at least one of def validate(request), def mutate(request)"),
        ("def Validate(request):\n    pass\n", "policy.py:1: Validate is called by nobody: is validate meant?"),
        ("\ndef validates(request):\n    pass\n", "policy.py:2: validates is called by nobody: is validate meant?"),
        ("def validate():\n    pass\n", "policy.py:1: validate has other arguments: expected def validate(request)"),
        ("async def mutate(request):\n    pass\n", "policy.py:1: mutate is async"),
        ("import nowhere\n\ndef validate(request):\n    pass\n", "policy.py\", line 1, in <module>\n"),
        ("def validate(request):\n    pass\n\nraise ValueError('at once')\n", "ValueError: at once"),
        (
            "words = open(__file__.replace('policy.py', 'words.txt'))\n\ndef validate(request):\n    pass\n",
            "words.txt is not in the component: put what is read into a package, a folder with an __init__.py",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("policy.py"), source).unwrap();
        let (succeeded, said) = build(folder.path(), &folder.path().join("out.wasm"));
        assert!(!succeeded && said.contains(expected), "{source}: {said}");
        assert!(!said.contains("verdict_guest") && !said.contains("panicked"), "{said}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left behind");
    }
}

fn build(folder: &Path, out: &Path) -> (bool, String) {
    let mut build = Command::new(env!("CARGO_BIN_EXE_verdict"));
    let output = build.arg("build").arg(folder).arg("-o").arg(out).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}
