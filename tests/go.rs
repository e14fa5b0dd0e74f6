//! What is only so in Go; what holds in every language is in `languages`.

use verdict::spec::PolicySpec;

use crate::{
    languages::{GO, Guest},
    support::{fixtures, host::Host},
};

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_wrong_type_are_refused_with_their_paths() {
    // Without a schema, which would find it first.
    let Some(component) = (GO.component)() else { return };
    let mut spec = PolicySpec::file("go", &component);
    spec.settings = Some(r#"{"do": 1, "more": true}"#.to_owned());
    let errors = Host::load(vec![spec]).await.err().unwrap().join("\n");
    assert!(errors.contains("settings.do: expected a string, got a number"), "{errors}");
    assert!(errors.contains("settings.more: unknown field; expected do"), "{errors}");
    let Some(component) = fixtures::go("required-labels-go") else { return };
    let mut spec = PolicySpec::file("go", &component);
    spec.settings = Some(r#"{"labels": ["a", {"key": "b", "pattern": "("}]}"#.to_owned());
    let errors = Host::load(vec![spec]).await.err().unwrap().join("\n");
    assert!(errors.contains("expected a regular expression"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_arguments_but_a_name() {
    let Some(component) = (GO.component)() else { return };
    assert_eq!(Guest::of(&GO, &component).await.message("p", "arguments").await, "policy");
}
