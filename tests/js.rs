//! Policies in JavaScript and TypeScript, built by `verdict build` from `policies/`: verdicts, exceptions, numbers, large objects,
//! live clocks and random numbers, what the builder says; and a host in JavaScript that runs a component in Rust.

use std::{collections::BTreeSet, fs, process::Command};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use verdict::{
    engine::prepare::describe,
    spec::{Interface, PolicySpec},
};

use crate::support::{
    fixtures,
    host::{Host, admission, config_map},
    http, node,
    pki::Pki,
    verdict::Verdict,
};

/// The component that misbehaves, as the policy `p`; none without Node.js.
fn yaml(deed: &str, more: &str) -> Option<String> {
    let component = node::component("fixtures/misbehaving-js")?;
    Some(format!(
        "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: p}}\nspec:\n  component: {{path: {}}}\n  settings: {{do: {deed}}}\n  limits: {{timeoutMilliseconds: 10000, memory: 128Mi}}\n{more}\n",
        component.display()
    ))
}

async fn message(host: &Host, review: &Value) -> String {
    let answer = host.review("/validate", review).await;
    let message = answer["response"]["status"]["message"].as_str().unwrap_or_else(|| panic!("{answer}"));
    message.trim_start_matches("p: ").to_owned()
}

#[test]
fn the_unit_tests_in_javascript_pass() {
    if node::component("required-labels-js").is_none() {
        return;
    }
    for folder in ["sdk-js", "required-labels-js"] {
        let folder = fixtures::target().join("js").join(folder);
        let output = Command::new("npm").args(["test", "--silent"]).current_dir(&folder).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("fail 0"), "{}: {text}", folder.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_settings_are_refused_with_their_paths() {
    let Some(component) = node::component("fixtures/misbehaving-js") else { return };
    for (settings, words) in [
        (r#"{"do": "refuse"}"#, &["do: refused", "twice"][..]),
        (r#"{"do": "fail-init"}"#, &["TypeError: failed in init"]),
    ] {
        let mut spec = PolicySpec::file("js", &component);
        spec.settings = settings.to_owned();
        let errors = Host::load(vec![spec]).await.err().unwrap().join("\n");
        assert!(words.iter().all(|it| errors.contains(it)), "{errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_state_crosses_reviews_of_a_javascript_policy() {
    let Some(yaml) = yaml("remember", "") else { return };
    let host = Host::yaml(&yaml).await;
    for review in 0..64 {
        assert_eq!(message(&host, &config_map(&review.to_string())).await, "clean");
    }
    let host = Host::yaml(&yaml.replace("  limits", "  instancePolicy: Reuse\n  limits")).await;
    assert_eq!(message(&host, &config_map("first")).await, "clean");
    assert_eq!(message(&host, &config_map("second")).await, "found state");
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_and_random_numbers_are_live() {
    let Some(yaml) = yaml("live", "") else { return };
    let host = Host::yaml(&yaml).await;
    let (mut seen, mut last, mut kept) = (BTreeSet::new(), 1.7e12, BTreeSet::new());
    for _ in 0..5 {
        let text = message(&host, &config_map("u")).await;
        let [random, uuid, now, at_init] = *text.split(' ').collect::<Vec<_>>() else { panic!("{text}") };
        assert!((0.0..1.0).contains(&random.parse::<f64>().unwrap()), "{text}");
        assert!(
            seen.insert(random.to_owned()) && seen.insert(uuid.to_owned()) && uuid.len() == 36,
            "{text}: not random"
        );
        let now: f64 = now.parse().unwrap();
        assert!(now >= last, "{text}: the clock goes back, or began when the policy was built");
        (last, _) = (now, kept.insert(at_init.to_owned()));
    }
    assert_eq!(kept.len(), 1, "init ran again");
    let again = Host::yaml(&yaml).await;
    let text = message(&again, &config_map("u")).await;
    assert!(!kept.contains(text.rsplit(' ').next().unwrap()), "{text}: the same number in every init");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_javascript_fails_in_its_own_words() {
    for (deed, label, words) in [
        ("throw", "guest_error", "the policy could not decide"),
        ("nothing", "guest_error", "the policy could not decide"),
        ("promise", "guest_error", "the policy could not decide"),
        ("recurse", "stack", "the policy ran out of stack"),
        ("exhaust", "memory", "the policy ran out of memory"),
        ("exhaust-and-allow", "memory", "the policy ran out of memory"),
        ("loop", "timeout", "the policy took too long"),
    ] {
        let Some(yaml) = yaml(deed, "") else { return };
        let time = if deed == "loop" { "timeoutMilliseconds: 500" } else { "timeoutMilliseconds: 10000" };
        let host = Host::yaml(&yaml.replace("timeoutMilliseconds: 10000", time)).await;
        for _ in 0..2 {
            assert_eq!(message(&host, &config_map("u")).await, words, "{deed}");
        }
        assert_eq!(host.count("Validator", "p", label), 2, "{deed}: {}", host.metrics.text());
    }
}

#[test]
fn what_a_javascript_policy_prints_and_throws_is_in_the_log() {
    for (deed, lines) in [
        ("print", &["printed in init {\\\"a\\\":[1]}", "Error: printed 1", "logged u"][..]),
        ("throw", &["RangeError: thrown on purpose for u", "at thrower (policy.ts:74)", "at validate (policy.ts:24)"]),
        ("nothing", &["validate must return allow() or deny(message), got nothing"]),
        ("promise", &["validate returned a promise"]),
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
            assert!(log.contains(line) || log.contains(&line.replace('\\', "")), "{deed}: no {line:?} in {log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_raw_reviews_and_the_environment_arrive() {
    let Some(yaml) = yaml("text", "  grants: {env: [{name: A, value: \"1\"}]}") else { return };
    let host = Host::yaml(&yaml).await;
    let text = message(&host, &config_map("u")).await;
    assert!(text.starts_with("grüße 🎉 ") && text.contains('\u{fffd}'), "{text}");
    assert!(text.ends_with("8285d1ad84c6b6e475d3b50dbf90389c8c7a07a278d9ae46d5698cbe872e3834"), "{text}");
    let host = Host::yaml(&yaml.replace("do: text", "do: env")).await;
    assert_eq!(message(&host, &config_map("u")).await, "1 undefined");
    let host = Host::yaml(&yaml.replace("do: text", "do: raw")).await;
    assert_eq!(message(&host, &config_map("this one")).await, "this one");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_pass() {
    let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm"},
        "data": (0..3000).map(|it| (format!("key-{it}"), Value::from("x".repeat(1000)))).collect::<serde_json::Map<_, _>>()});
    let expected = (object.to_string().len() + 3000).to_string();
    for more in ["", "  instancePolicy: Reuse"] {
        let Some(yaml) = yaml("large", more) else { return };
        let host = Host::yaml(&yaml).await;
        for _ in 0..3 {
            assert_eq!(message(&host, &admission("u", object.clone())).await, expected, "{more}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_are_not_touched_survive_a_mutation() {
    let Some(yaml) = yaml("mutate", "") else { return };
    let host = Host::yaml(&yaml.replace("kind: Validator", "kind: Mutator")).await;
    let object = r#"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"cm"},"spec":{"big":12345678901234567890,"one":1.0,"huge":1e+400},"list":[9007199254740993,1.50,{"deep":0.10}],"rest":[1e+400,-0.0,100000000000000000000000]}"#;
    let review = config_map("u").to_string().replace(&config_map("u")["request"]["object"].to_string(), object);
    assert!(review.contains("1e+400"), "{review}");
    let (_, answer) = host.post("/mutate", review).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let patch =
        BASE64_STANDARD.decode(answer["response"]["patch"].as_str().unwrap_or_else(|| panic!("{answer}"))).unwrap();
    let patch: Vec<Value> = serde_json::from_slice(&patch).unwrap();
    let operations: BTreeSet<String> = patch.iter().map(ToString::to_string).collect();
    let expected = [
        r#"{"op":"add","path":"/list/0","value":"first"}"#,
        r#"{"op":"add","path":"/metadata/labels","value":{"done":"yes"}}"#,
        r#"{"op":"add","path":"/moved","value":{"big":12345678901234567890,"one":1.0,"huge":1e+400}}"#,
        r#"{"op":"remove","path":"/spec"}"#,
    ];
    let sorted = |text: &str| serde_json::from_str::<Value>(text).unwrap().to_string();
    assert_eq!(operations, expected.iter().map(|it| sorted(it)).collect());
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    let Some(component) = node::component("required-labels-js") else { return };
    let folder = node::copied("required-labels-js", "required-labels-js-again");
    let again = folder.join("again.wasm");
    verdict::author::build::build(&folder, Some(&again)).unwrap();
    assert!(fs::read(&component).unwrap() == fs::read(&again).unwrap());
    let description = describe(&fs::read(&again).unwrap()).unwrap();
    assert_eq!(description.interfaces, [Interface::Validating]);
    // What its manifest wants, types, and what its runtime needs.
    let imports: BTreeSet<&str> = description.imports.iter().map(String::as_str).collect();
    let expected = [
        "verdict:admission/admission@1.0.0",
        "verdict:guest-runtime/guest-runtime@1.0.0",
        "verdict:host/audit-log@1.0.0",
        "verdict:host/log@1.0.0",
        "verdict:policy/types@1.0.0",
    ];
    assert_eq!(imports, BTreeSet::from(expected));
}

#[test]
fn a_host_in_javascript_gives_the_same_verdicts() {
    if !node::is_there() {
        return;
    }
    let host = node::copied("js-host", "js-host");
    if !host.join("node_modules").is_dir() {
        let npm = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&host)
            .output()
            .unwrap();
        assert!(npm.status.success(), "{}", String::from_utf8_lossy(&npm.stderr));
    }
    let component = host.join("required-labels.wasm");
    fs::write(&component, verdict::loader::builtin::find("required-labels").unwrap().component).unwrap();
    let folder = node::policies("required-labels");
    let settings = verdict::config::read(&[folder.join("policy.yaml")]).unwrap().remove(0).settings;
    let run = |settings: &str| {
        let mut host_program = Command::new("node");
        host_program.arg("host.js").arg(&component).arg(folder.join("reviews")).arg(settings).current_dir(&host);
        let output = host_program.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.into_owned())
    };
    let (agrees, text) = run(&settings);
    assert!(agrees && text.matches("ok ").count() == 7, "{text}");
    let (agrees, text) = run(r#"{"labels": ["other"]}"#);
    assert!(!agrees && text.contains("DIFFERS allowed-labels.json: denied: the label other is required"), "{text}");
}
