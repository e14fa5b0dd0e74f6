//! What is only so in Python; what holds in every language is in `languages`.

use std::{fs, path::Path, process::Command, time::Duration};

use serde_json::json;
use verdict::spec::PolicySpec;

use crate::{
    languages::{Guest, PYTHON},
    support::{
        fixtures,
        host::{Host, access, token},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_imports_another_when_it_is_called_is_there() {
    let Some(component) = (PYTHON.component)() else { return };
    assert_eq!(Guest::of(&PYTHON, &component).await.message("p", "strptime").await, "2026-01-02T00:00:00");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_reviews() {
    let Some(component) = fixtures::python("fixtures/kinds-python") else { return };
    let mut spec = PolicySpec::file("p", &component);
    spec.limits.time = Duration::from_secs(20);
    let host = Host::load(vec![spec]).await.unwrap();
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
