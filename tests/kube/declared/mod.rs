//! The declared objects in a cluster: with the CRDs of `verdict manifests crds` and strict field validation, the real kube-apiserver refuses what
//! `verdict check` refuses, and nothing else.

mod documents;
mod shown;
mod values;

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};
use verdict::{
    config::{self, ConfigError, NamespacedCaps},
    spec::{Kind, MAX_MEMORY, MAX_TIME, ValueRef, schema},
};

use self::documents::{documents, whole};
use super::{
    cluster::{Shared, cluster},
    install,
};
use crate::support::{eventually, examples::examples};

/// Beginnings or parts of what only its reader can know, and the apiserver does not: CEL that does not compile, expressions of groups, the
/// forms of images and URLs, what ConfigMaps and Secrets hold, what is not served yet.
const ONLY_HERE: [&str; 10] = [
    "match condition \"",
    "spec.expression: line ",
    "the expression never asks it",
    "is not supported yet",
    "component.image: it ",
    "component.image: its ",
    "component.url: is no URL",
    "component.url: must ",
    "settingsFrom[0].path: it leads ",
    "no known key",
];

/// What is wrong with an object of a cluster; of its head, which kube-apiserver has read then, with that of a document.
fn wrong_here(document: &Value) -> Vec<String> {
    let values = |it: &ValueRef| match &*it.key {
        "settings" => Ok("a: 1".to_owned()),
        _ => Err("no known key".to_owned()),
    };
    let caps = NamespacedCaps { time: MAX_TIME, memory: MAX_MEMORY, reviews: 4096, registries: None };
    let of_object = config::cluster(document, &values, &caps).err().unwrap_or_default();
    let of_document = config::parse(&document.to_string(), "f", Path::new("/nowhere")).err().unwrap_or_default();
    let is_of_head = |it: &ConfigError| it.field.as_deref().is_some_and(|it| it.starts_with("metadata."));
    let of_head = of_document.into_iter().filter(is_of_head);
    of_object.into_iter().filter(|it| !is_of_head(it)).chain(of_head).map(|it| it.to_string()).collect()
}

/// Where objects of a kind are.
fn path_of(kind: Kind) -> String {
    let namespace = if kind.is_namespaced() { "/namespaces/default" } else { "" };
    format!("/apis/verdict.dev/v1alpha1{namespace}/{}s", kind.singular())
}

fn installed() -> Option<Shared> {
    let cluster = cluster()?;
    install(&cluster.plane, &[]);
    eventually("the kinds are served", || {
        let missing = Kind::ALL.into_iter().find(|kind| {
            let list = ["get", &format!("{}s.verdict.dev", kind.name().to_lowercase())];
            !cluster.plane.kubectl(&list).success()
        });
        missing.map_or(Ok(()), |kind| Err(kind.to_string()))
    });
    Some(cluster)
}

#[test]
fn kube_apiserver_refuses_what_check_refuses() {
    let Some(cluster) = installed() else { return };
    let (mut asked, mut refused, mut wrong) = (0, 0, Vec::new());
    for kind in Kind::ALL {
        for document in documents(kind) {
            let here = wrong_here(&document);
            let counts: Vec<&String> =
                here.iter().filter(|it| !ONLY_HERE.iter().any(|only| it.contains(only))).collect();
            let path = format!("{}?dryRun=All&fieldValidation=Strict", path_of(kind));
            let (code, body) = cluster.plane.post(&cluster.pki, &path, &document).expect("an answer");
            asked += 1;
            refused += usize::from(code >= 400);
            if (code < 300) != counts.is_empty() {
                let message = serde_json::from_str::<Value>(&body).map(|it| it["message"].clone()).unwrap_or_default();
                // What is at issue, and not the thousands of characters that may be in it.
                let shown = |text: String| text.chars().take(500).collect::<String>();
                let changed = shown(difference(&whole(kind), &document, ""));
                wrong.push(format!(
                    "{kind} {changed}\n  check: {}\n  kube-apiserver: {code} {message}",
                    shown(format!("{counts:?}"))
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused > 1_000 && asked - refused > 300, "{refused} of {asked} are refused");
}

#[test]
fn every_example_is_accepted() {
    let Some(cluster) = installed() else { return };
    let mut found = 0;
    for (path, example) in examples() {
        if example["apiVersion"] != schema::API_VERSION {
            continue;
        }
        let example = elsewhere(example);
        let apply = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
        let output = cluster.plane.kubectl_with(&apply, &example.to_string());
        assert!(output.success(), "{}: {output}", path.display());
        found += 1;
    }
    assert!(found > 20, "{found} examples");
}

/// Definitions of custom resources, and service accounts with their rights.
#[test]
fn what_examples_need_besides_is_accepted() {
    let Some(cluster) = cluster() else { return };
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut found = 0;
    for name in ["crd.yaml", "rights.yaml"] {
        let folders = fs::read_dir(&policies).unwrap().map(|it| it.unwrap().path());
        for folder in folders.chain([policies.join("templates/kinds/controller")]) {
            let path = folder.join(name);
            if path.is_file() {
                let output = cluster.plane.kubectl(&["apply", "--validate=strict", "-f", path.to_str().unwrap()]);
                assert!(output.success(), "{}: {output}", path.display());
                found += 1;
            }
        }
    }
    assert!(found > 5, "{found} files");
}

/// The example with its components in a registry and its files in a Secret, as it would be in a cluster.
fn elsewhere(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for (name, below) in fields.iter_mut() {
                *below = match name.as_str() {
                    "component" if below.get("path").is_some() => json!({"image": "registry.example.org/policies/a:1"}),
                    "valueFrom" if below.get("file").is_some() => json!({"secretKeyRef": {"name": "a", "key": "b"}}),
                    _ => elsewhere(below.take()),
                };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|it| *it = elsewhere(it.take())),
        _ => {}
    }
    value
}

/// Where two documents differ, and how the second is there.
fn difference(one: &Value, other: &Value, at: &str) -> String {
    match (one, other) {
        (Value::Object(ones), Value::Object(others)) => {
            let keys: BTreeSet<&String> = ones.keys().chain(others.keys()).collect();
            let below = |key: &String| difference(&one[key.as_str()], &other[key.as_str()], &format!("{at}/{key}"));
            keys.into_iter().map(below).collect()
        }
        _ if one == other => String::new(),
        _ => format!("{at} = {other} "),
    }
}
