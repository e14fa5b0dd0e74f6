//! The cases of `required-labels`, which `verdict test` asks in every language, asked by a real kube-apiserver: what the cases
//! expect is what kubectl shows.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    cluster::{cluster, policy},
    registration::{Namespaces, rules, webhook, webhooks},
};
use crate::support::{eventually, fixtures, node, processes::folder, verdict::Verdict};

#[test]
fn the_cases_of_required_labels_hold_in_a_cluster_in_every_language() {
    let Some(cluster) = cluster() else { return };
    let languages: Vec<(&str, String)> = [
        ("rust", Some("builtin:required-labels".to_owned())),
        ("go", shown(fixtures::go("required-labels-go"))),
        ("js", shown(node::component("required-labels-js"))),
        ("python", shown(fixtures::python("required-labels-python"))),
    ]
    .into_iter()
    .filter_map(|(language, component)| Some((language, component?)))
    .collect();
    let cases = cases();
    let folder = folder("cases");
    fs::create_dir_all(&folder).expect("a writable folder");
    let limits = json!({"limits": {"timeoutMilliseconds": 5000, "memory": "256Mi"}});
    let policies: String = languages
        .iter()
        .map(|(language, component)| policy(&format!("labels-{language}"), component, &cases["settings"], &limits))
        .collect();
    let server = Verdict::serve(&cluster.pki, &folder, &policies, &[]);
    let webhook_of = |(language, _): &(&str, String)| {
        let (name, path) = (format!("{language}.cases.test"), format!("/validate/labels-{language}"));
        let namespace = format!("cases-{language}");
        webhook(&name, &cluster.pki, &server, &path, Namespaces::Only(&namespace), &rules("", "v1", "configmaps"))
    };
    let all: Vec<Value> = languages.iter().map(webhook_of).collect();
    cluster.plane.kubectl_with(&["apply", "-f", "-"], &webhooks("Validating", "cases", &all)).ok();

    let mut denied = 0;
    for (language, _) in &languages {
        let namespace = format!("cases-{language}");
        cluster.namespace(&namespace);
        eventually("the webhook is live", || {
            let bare = ["create", "configmap", "bare", "-n", &namespace, "--dry-run=server"];
            let created = cluster.plane.kubectl(&bare);
            if created.success() { Err(created.to_string()) } else { Ok(()) }
        });
        for (name, object, expect) in creations(&cases) {
            let create = ["create", "-n", &namespace, "--dry-run=server", "-f", "-"];
            let output = cluster.plane.kubectl_with(&create, &object.to_string());
            if expect["verdict"] == "allowed" {
                output.ok();
                continue;
            }
            let words = expect["message"].as_str().unwrap_or("is required");
            let shown = output.refused();
            let words = expect["causes"][0]["message"].as_str().unwrap_or(words);
            assert!(shown.contains(&format!("denied the request: labels-{language}: ")), "{name}: {shown}");
            assert!(shown.contains(words), "{name} in {language}: {shown}");
            denied += 1;
        }
    }
    assert_eq!(denied, 3 * languages.len());
    cluster.plane.kubectl(&["delete", "validatingwebhookconfiguration", "cases"]).ok();
}

/// None without the language's tools; then the reason was said.
fn shown(component: Option<PathBuf>) -> Option<String> {
    Some(component?.display().to_string())
}

fn policies() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/policies/required-labels"))
}

fn cases() -> Value {
    let file = policies().join("tests/labels.yaml");
    serde_saphyr::from_str(&fs::read_to_string(file).expect("cases")).expect("YAML")
}

/// Name, object and expectation of each case that creates something with the settings of all.
fn creations(cases: &Value) -> Vec<(String, Value, Value)> {
    let all = cases["cases"].as_array().expect("a list").iter().filter(|case| case["settings"].is_null());
    let creation = |case: &Value| {
        let file = policies().join("tests").join(case["review"].as_str()?);
        let review: Value = serde_json::from_str(&fs::read_to_string(file).expect("a review")).expect("JSON");
        if review["request"]["operation"] != "CREATE" {
            return None;
        }
        let mut object = review["request"]["object"].clone();
        // What the API server had put into it, or what belongs to another namespace.
        for field in ["namespace", "uid", "creationTimestamp", "managedFields", "resourceVersion"] {
            object["metadata"].as_object_mut()?.remove(field);
        }
        Some((case["name"].to_string(), object, case["expect"].clone()))
    };
    all.filter_map(creation).collect()
}
