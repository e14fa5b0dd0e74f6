//! `verdict test` on policies in each language, and what a snapshot of its output does not show. The rest is in
//! `tests/commands/test/`.

use std::path::PathBuf;

use crate::{
    commands::Case,
    support::{fixtures, node, verdict::verdict},
};

#[test]
fn the_cases_of_required_labels_hold_in_every_language() {
    let shown = |component: PathBuf| component.display().to_string();
    let components = [
        Some("builtin:required-labels".to_owned()),
        fixtures::go("required-labels-go").map(shown),
        node::component("required-labels-js").map(shown),
        fixtures::python("required-labels-python").map(shown),
    ];
    for component in components.into_iter().flatten() {
        let out = passes("required-labels", &component);
        assert!(out.contains("ok      labels.yaml: every label is there and matches ("), "{out}");
    }
}

#[test]
fn the_cases_of_the_examples_in_go_hold() {
    for name in ["pod-defaults-go", "ticket-authorizer-go", "hmac-authenticator-go", "namespace-defaults-go"] {
        if let Some(component) = fixtures::go(name) {
            passes(name, component.to_str().unwrap());
        }
    }
}

#[test]
fn the_cases_of_the_other_controllers_hold() {
    let components = [
        ("app-config", Some("builtin:app-config".to_owned())),
        ("expiring-js", node::component("expiring-js").map(|it| it.display().to_string())),
        ("image-changes-python", fixtures::python("image-changes-python").map(|it| it.display().to_string())),
    ];
    for (name, component) in components {
        if let Some(component) = component {
            passes(name, &component);
        }
    }
}

/// All cases of a folder of `policies/`.
fn passes(policy: &str, component: &str) -> String {
    let (code, out, error) =
        verdict(&["test", &format!("{}/policies/{policy}", env!("CARGO_MANIFEST_DIR")), "--component", component]);
    assert_eq!(code, 0, "{component}: {out}{error}");
    assert!(out.ends_with(" passed, 0 failed\n"), "{component}: {out}");
    out
}

#[test]
fn a_report_in_xml_is_well_formed_whatever_cases_and_guests_say() {
    let case = Case::named("test/reports");
    let component = fixtures::misbehaving("admission").display().to_string();
    let (code, text, error) = verdict(&["test", case.path(), "--component", &component, "--format", "junit"]);
    assert_eq!(code, 1, "{error}");
    let xml = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let suites = xml.root_element();
    assert_eq!((suites.attribute("tests"), suites.attribute("failures")), (Some("2"), Some("1")));
    let cases: Vec<_> = xml.descendants().filter(|it| it.has_tag_name("testcase")).collect();
    assert_eq!(cases[0].attribute("name"), Some("<&\"'>]]> \\u{1b}[2J\\u{202e}\\u{fffe}"));
    let failure = cases[0].children().find(|it| it.has_tag_name("failure")).unwrap();
    let message = failure.attribute("message").unwrap();
    assert!(message.starts_with("verdict: expected allowed, got denied: misbehaving-admission: forged"), "{message}");
    assert!(cases[0].children().any(|it| it.has_tag_name("system-out")), "{text}");
    assert_eq!(cases[1].children().filter(roxmltree::Node::is_element).count(), 0);
}
