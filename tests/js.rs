//! What is only so in JavaScript, and a host in JavaScript that runs a component in Rust; what holds in every language is in `languages`.

use std::{fs, process::Command};

use serde_json::Value;

use crate::{
    languages::{Guest, JAVASCRIPT, Served},
    support::node,
};

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_encoded_decoded_and_hashed() {
    let Some(component) = (JAVASCRIPT.component)() else { return };
    let text = Guest::of(&JAVASCRIPT, &component).await.message("p", "text").await;
    assert!(text.starts_with("grüße 🎉 ") && text.contains('\u{fffd}'), "{text}");
    assert!(text.ends_with("8285d1ad84c6b6e475d3b50dbf90389c8c7a07a278d9ae46d5698cbe872e3834"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn random_numbers_have_their_form() {
    let Some(component) = (JAVASCRIPT.component)() else { return };
    let text = Guest::of(&JAVASCRIPT, &component).await.message("p", "live").await;
    let told: Value = serde_json::from_str(&text).unwrap();
    let [random, uuid] = ["/random/0", "/random/1"].map(|it| told.pointer(it).unwrap().as_str().unwrap());
    assert!((0.0..1.0).contains(&random.parse::<f64>().unwrap()), "{text}");
    assert_eq!(uuid.len(), 36, "{text}");
}

#[test]
fn an_exception_is_in_the_log_with_the_lines_where_it_was_thrown() {
    let Some(component) = (JAVASCRIPT.component)() else { return };
    let source = fs::read_to_string(node::policies("fixtures/misbehaving-js").join("policy.ts")).unwrap();
    let line = |text: &str| 1 + source.lines().position(|it| it.trim_start().starts_with(text)).unwrap();
    let served = Served::of(&JAVASCRIPT, &component);
    served.ask("error");
    let log = served.log();
    for (function, text) in [("thrower", "throw new RangeError("), ("validate", "return thrower(")] {
        let place = format!("at {function} (policy.ts:{})", line(text));
        assert!(log.contains(&place), "no {place:?} in {log}");
    }
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
    let (agrees, text) = run(settings.as_deref().unwrap());
    assert!(agrees && text.matches("ok ").count() == 7, "{text}");
    let (agrees, text) = run(r#"{"labels": ["other"]}"#);
    assert!(!agrees && text.contains("DIFFERS allowed-labels.json: denied: the label other is required"), "{text}");
}
