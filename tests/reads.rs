//! A policy whose manifest says what it reads of objects is given no more of them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use verdict::{component::manifest, spec::PolicySpec};

use crate::support::{
    fixtures,
    host::{Host, admission},
    verdict::verdict,
};

/// The fixture, with a manifest that has these paths.
fn reading(paths: &[&str], folder: &Path) -> PathBuf {
    let manifest = json!({"name": "p", "reads": paths});
    let bytes = fs::read(fixtures::misbehaving("admission")).unwrap();
    let path = folder.join("reads.wasm");
    fs::write(&path, manifest::embed(&bytes, &serde_json::from_value(manifest).unwrap()).unwrap()).unwrap();
    path
}

fn doing(deed: &str, paths: &[&str], folder: &Path) -> PolicySpec {
    PolicySpec { settings: Some(json!({"do": deed}).to_string()), ..PolicySpec::file("p", &reading(paths, folder)) }
}

/// A review of a change of a Pod.
fn pod() -> Value {
    let object = |image: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
            "spec": {"nodeName": "n", "containers": [{"name": "a", "image": image}, {"name": "b"}]},
        })
    };
    let mut review = admission("u", object("new"));
    review["request"]["operation"] = "UPDATE".into();
    review["request"]["oldObject"] = object("old");
    review
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_sees_what_it_reads_of_the_object_and_of_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::load(vec![doing("show", &["spec.containers[].image"], folder.path())]).await.unwrap();
    let answer = host.review("/validate", &pod()).await;
    let part = |image: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"image": image}, {}]},
        })
    };
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    let (object, old) = message.trim_start_matches("p: ").split_once(' ').unwrap();
    let read = |it: &str| serde_json::from_str::<Value>(it).unwrap();
    assert_eq!((read(object), read(old)), (part("new"), part("old")), "{answer}");

    // Of another shape than it takes it for, that value comes whole.
    let mut other = pod();
    other["request"]["object"]["spec"]["containers"] = json!({"image": "a map"});
    let answer = host.review("/validate", &other).await;
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    assert!(message.contains(r#""spec":{"containers":{"image":"a map"}}"#), "{message}");
    // Without an object.
    let mut none = pod();
    none["request"]["object"] = Value::Null;
    let answer = host.review("/validate", &none).await;
    assert!(answer["response"]["status"]["message"].as_str().unwrap().starts_with("p: nothing {"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutator_that_sees_a_part_changes_that_part_and_gives_no_whole_object() {
    let folder = tempfile::tempdir().unwrap();
    for deed in ["change", "json-patch", "merge-patch"] {
        let host = Host::load(vec![doing(deed, &["spec.containers[].image"], folder.path())]).await.unwrap();
        let answer = host.review("/mutate", &pod()).await;
        assert_eq!(answer["response"]["allowed"], true, "{answer}");
        let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&patch).unwrap(),
            json!([{"op": "add", "path": "/metadata/labels", "value": {"team": "unknown"}}]),
            "{deed}"
        );
    }
    // What was changed before it, and no more than it reads of that.
    let before = PolicySpec { name: "a".to_owned(), ..doing("change", &["metadata"], folder.path()) };
    let shows = tempfile::tempdir().unwrap();
    let host = Host::load(vec![before, doing("show", &["spec.containers[].image"], shows.path())]).await.unwrap();
    let answer = host.review("/mutate", &pod()).await;
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    let seen = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"team":"unknown"},"name":"a"},"spec":{"containers":[{"image":"new"},{}]}}"#;
    let sorted = |it: &str| serde_json::from_str::<Value>(it).unwrap();
    let (object, old) = message.trim_start_matches("p: ").split_once(' ').unwrap();
    assert_eq!(sorted(object), sorted(seen), "{message}");
    assert!(old.contains(r#"{"image":"old"},{}"#) && !old.contains("nodeName"), "{message}");
    let host = Host::load(vec![doing("grow", &["spec"], folder.path())]).await.unwrap();
    let answer = host.review("/mutate", &pod()).await;
    assert_eq!(answer["response"]["allowed"], false, "{answer}");
    assert_eq!(host.count("Mutator", "p", "invalid_answer"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_group_see_what_they_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = reading(&["data[a.b]"], folder.path());
    let yaml = format!(
        "apiVersion: verdict.dev/v1alpha1\nkind: PolicyGroup\nmetadata: {{name: g}}\nspec:\n  expression: a()\n  members:\n  - {{name: a, component: {{path: {}}}, settings: {{do: show}}}}\n",
        path.display()
    );
    let host = Host::yaml(&yaml).await;
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a.b": "1", "b": "2"}});
    let answer = host.review("/validate", &admission("u", object)).await;
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    assert!(message.contains(r#""data":{"a.b":"1"}"#), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_reads_what_is_no_field_does_not_load() {
    let folder = tempfile::tempdir().unwrap();
    let errors = Host::load(vec![doing("show", &["spec", "spec..a"], folder.path())]).await.err().unwrap();
    assert!(errors[0].contains("what is no path of a field, or one of too many steps: spec..a"), "{errors:?}");
}

#[test]
fn tests_of_a_policy_show_it_no_more_than_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let component = reading(&["data.a"], folder.path());
    fs::create_dir(folder.path().join("tests")).unwrap();
    let cases = r#"
apiVersion: author.verdict.dev/v1alpha1
kind: PolicyTest
settings: {do: show}
cases:
- name: it is shown a part
  object: {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a: "1", b: "2"}}
  expect: {verdict: denied, message: '{"apiVersion":"v1","data":{"a":"1"},"kind":"ConfigMap","metadata":{"name":"a"}} nothing'}
"#;
    fs::write(folder.path().join("tests/cases.yaml"), cases).unwrap();
    let component = component.display().to_string();
    let (code, out, error) = verdict(&["test", folder.path().to_str().unwrap(), "--component", &component]);
    assert_eq!(code, 0, "{out}{error}");
}
