//! Policies in Go, built by `verdict build` from `policies/`: verdicts, output, large objects, live clocks and random
//! numbers, and that no state crosses reviews.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use serde_json::{Value, json};
use verdict::spec::PolicySpec;

use crate::support::{
    fixtures,
    host::{Host, admission, config_map},
    http,
    pki::Pki,
    verdict::Verdict,
};

/// The component that misbehaves, as the policy `p`; none without Go.
fn yaml(deed: &str, more: &str) -> Option<String> {
    let component = fixtures::go("fixtures/misbehaving-go")?;
    Some(format!(
        "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: p}}\nspec:\n  component: {{path: {}}}\n  settings: {{do: {deed}}}\n  limits: {{timeoutMilliseconds: 5000, memory: 128Mi}}\n{more}\n",
        component.display()
    ))
}

async fn message(host: &Host, uid: &str) -> String {
    let answer = host.review("/validate", &config_map(uid)).await;
    let message = answer["response"]["status"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
    message.trim_start_matches("p: ").to_owned()
}

#[test]
fn the_unit_tests_of_the_go_modules_pass() {
    if !fixtures::has_go() {
        return;
    }
    for module in ["sdk-go", "required-labels-go"] {
        fixtures::go_checks(&Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(module));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_settings_are_refused_with_their_paths() {
    // Without a schema, which would find it first.
    let Some(component) = fixtures::go("fixtures/misbehaving-go") else { return };
    let mut spec = PolicySpec::file("go", &component);
    spec.settings = r#"{"do": 1, "more": true}"#.to_owned();
    let errors = Host::load(vec![spec]).await.err().unwrap().join("\n");
    assert!(errors.contains("settings.do: expected a string, got a number"), "{errors}");
    assert!(errors.contains("settings.more: unknown field; expected do"), "{errors}");
    let Some(component) = fixtures::go("required-labels-go") else { return };
    let mut spec = PolicySpec::file("go", &component);
    spec.settings = r#"{"labels": ["a", {"key": "b", "pattern": "("}]}"#.to_owned();
    let errors = Host::load(vec![spec]).await.err().unwrap().join("\n");
    assert!(errors.contains("expected a regular expression"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_state_crosses_reviews_of_a_go_policy() {
    let Some(yaml) = yaml("remember", "") else { return };
    let host = Arc::new(Host::yaml(&yaml).await);
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let host = Arc::clone(&host);
            tokio::spawn(async move {
                for review in 0..32 {
                    assert_eq!(message(&host, &format!("{task}-{review}")).await, "clean");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(host.count("Validator", "p", "denied"), 64 * 32);
}

/// The search above would find what was left; and a reused instance stands thousands of reviews.
#[tokio::test(flavor = "multi_thread")]
async fn a_reused_go_instance_remembers_and_goes_on() {
    let Some(yaml) = yaml("remember", "  instancePolicy: Reuse") else { return };
    let host = Host::yaml(&yaml).await;
    assert_eq!(message(&host, "first").await, "clean");
    let second = message(&host, "second").await;
    assert_eq!(second, "found global, heap first, map first, channel first, environment, what init kept was changed");
    for review in 0..2000 {
        message(&host, &format!("u{review}")).await;
    }
    assert_eq!(host.count("Validator", "p", "denied"), 2002);
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_and_random_numbers_are_live() {
    let Some(yaml) = yaml("live", "") else { return };
    let host = Host::yaml(&yaml).await;
    let (mut seen, mut last) = (BTreeSet::new(), 0);
    for _ in 0..5 {
        let text = message(&host, "u").await;
        let numbers: Vec<u64> = text.split(' ').map(|it| it.parse().unwrap_or_else(|_| panic!("{text}"))).collect();
        let [random, generator, now, slept] = *numbers else { panic!("{text}") };
        assert!(seen.insert(random) && seen.insert(generator), "{text}: not random");
        assert!(now > last, "{text}: the clock stands still");
        assert!(slept >= 2_000_000, "{text}: the sleep was too short");
        last = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_go_policy_has_the_environment_that_is_granted_and_no_files() {
    let Some(granted) = yaml(
        "env",
        "  grants: {env: [{name: A, value: \"1\"}, {name: LONGER_NAME, value: a longer value}, {name: EMPTY, value: \"\"}]}",
    ) else {
        return;
    };
    let host = Host::yaml(&granted).await;
    assert_eq!(message(&host, "u").await, "policy A=1 EMPTY= LONGER_NAME=a longer value");
    let host = Host::yaml(&yaml("files", "").unwrap()).await;
    assert_eq!(message(&host, "u").await, "open /etc/passwd: Bad file number");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_pass_in_both_instance_modes() {
    let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm"},
        "data": (0..3000).map(|it| (format!("key-{it}"), Value::from("x".repeat(1000)))).collect::<serde_json::Map<_, _>>()});
    let length = object.to_string().len();
    for more in ["", "  instancePolicy: Reuse"] {
        for deed in ["large", "raw"] {
            let Some(yaml) = yaml(deed, more) else { return };
            let host = Host::yaml(&yaml).await;
            // The garbage of earlier reviews is collected while the host passes arguments.
            for _ in 0..6 {
                let answer = host.review("/validate", &admission("u", object.clone())).await;
                let text = answer["response"]["status"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
                let read: usize = text.trim_start_matches("p: ").parse().unwrap_or_else(|_| panic!("{text}"));
                assert!(read == length || deed == "raw" && read > length, "{deed} {more}: {read}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_go_fails_in_its_own_words() {
    for (deed, label, words) in [
        ("panic", "trap", "the policy crashed"),
        ("exit", "trap", "the policy crashed"),
        ("error", "guest_error", "the policy could not decide"),
        ("exhaust", "memory", "the policy ran out of memory"),
        ("recurse", "stack", "the policy ran out of stack"),
        ("loop", "timeout", "the policy took too long"),
        ("sleep", "timeout", "the policy took too long"),
    ] {
        let Some(yaml) = yaml(deed, "") else { return };
        let time = if label == "timeout" { "timeoutMilliseconds: 300" } else { "timeoutMilliseconds: 5000" };
        let host = Host::yaml(&yaml.replace("timeoutMilliseconds: 5000", time)).await;
        for _ in 0..2 {
            assert_eq!(message(&host, "u").await, words, "{deed}");
        }
        assert_eq!(host.count("Validator", "p", label), 2, "{deed}: {}", host.metrics.text());
    }
}

#[test]
fn what_a_go_policy_prints_is_in_the_log() {
    for (deed, lines) in [
        ("panic", &["panic: panicked on purpose", "main.misbehave"][..]),
        ("exit", &["the policy ended itself with status 3"]),
        ("print-in-init", &["printed in init", "line 49 of u", "and stderr", "logged u"]),
    ] {
        let Some(yaml) = yaml(deed, "") else { return };
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new(folder.path());
        let verdict = Verdict::serve(&pki, folder.path(), &yaml, &[]);
        let url = format!("https://{}/validate", verdict.https);
        let (status, text) = http::post(&url, config_map("u").to_string(), &pki, Some(&verdict.client)).unwrap();
        assert_eq!(status, 200, "{text}");
        let log = fs::read_to_string(folder.path().join("verdict.log")).unwrap();
        for line in lines {
            assert!(log.contains(line), "{deed}: no {line:?} in {log}");
        }
    }
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    let Some(component) = fixtures::go("required-labels-go") else { return };
    let folder = tempfile::tempdir().unwrap();
    let again = folder.path().join("again.wasm");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/required-labels-go");
    verdict::author::build::build(&source, Some(&again)).unwrap();
    assert!(fs::read(&component).unwrap() == fs::read(&again).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left behind");
    let description = verdict::engine::prepare::describe(&fs::read(&again).unwrap()).unwrap();
    assert_eq!(description.interfaces, [verdict::spec::Interface::Validating]);
    assert!(description.imports.iter().all(|it| it.starts_with("verdict:")), "{description:?}");
}
