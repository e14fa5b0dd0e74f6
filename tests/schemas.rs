//! `verdict explain` and `verdict schema`: the declared objects as people and editors see them; the pages themselves are in
//! `tests/commands/explain/`. That a cluster sees the same is tested against kube-apiserver.

use std::fs;

use serde_json::{Value, json};
use verdict::{component::manifest::schema::Schema, spec::Kind};

use crate::support::{examples::examples, verdict::verdict};

#[test]
fn every_kind_is_explained() {
    let (_, kinds, _) = verdict(&["explain"]);
    for kind in Kind::ALL {
        assert!(kinds.contains(&format!("\n  {kind}\n")), "{kinds}");
    }
}

#[test]
fn editors_get_a_schema_that_takes_every_example_and_refuses_mistakes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("verdict.schema.json");
    let (code, _, error) = verdict(&["schema", "--out", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    let schema: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let whole = Schema::compile(&schema).unwrap();
    let wrong = |document: &Value| {
        whole.check(document).iter().map(|it| format!("{}: {}", it.path, it.message)).collect::<Vec<_>>()
    };
    for (path, document) in examples() {
        assert!(wrong(&document).is_empty(), "{}: {:?}", path.display(), wrong(&document));
    }
    let good = json!({
        "apiVersion": "verdict.dev/v1alpha1", "kind": "Mutator", "metadata": {"name": "a"},
        "spec": {"component": {"path": "a.wasm"}, "limits": {"memory": 67_108_864}, "settings": {"any": [null]}},
    });
    assert!(wrong(&good).is_empty(), "{:?}", wrong(&good));
    for (pointer, value) in [
        ("/kind", json!("Policy")),
        ("/apiVersion", json!("verdict.dev/v1")),
        ("/metadata/name", json!("A b")),
        ("/spec", json!({})),
        ("/spec/component", json!({"path": 5})),
        ("/spec/limits", json!({"cpu": 1})),
        ("/spec", json!({"component": {"path": "a"}, "validationActions": ["Deny"]})),
        ("/spec/limits/memory", json!("64MB")),
    ] {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = value;
        assert!(!wrong(&document).is_empty(), "{document}");
    }
    // One kind by itself, for a file that holds no other.
    let (code, one, _) = verdict(&["schema", "mutator"]);
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(code, 0);
    assert!(Schema::compile(&one).unwrap().check(&good).is_empty());
    assert_eq!(one["properties"]["spec"]["additionalProperties"], false);
}

#[test]
fn crds_need_no_other_flags() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, error) = verdict(&["manifests", "crds", "--out", folder.path().to_str().unwrap()]);
    // Of each kind, and of Replicas.
    assert_eq!((code, out.lines().count()), (0, Kind::ALL.len() + 1), "{error}");
    let text = fs::read_to_string(folder.path().join("validators.verdict.dev.yaml")).unwrap();
    assert!(
        text.contains("kind: CustomResourceDefinition") && !text.contains("x-expected") && !text.contains("x-secret"),
        "{text}"
    );
    let (code, _, error) = verdict(&["manifests"]);
    assert_eq!(code, 2);
    assert!(error.contains("--policies") && error.contains("--ca-file"), "{error}");
}
