//! The examples in Go: their unit tests, every sample review, and what their patches leave alone.

use std::{fs, path::PathBuf, time::Duration};

use base64::Engine as _;
use serde_json::Value;
use verdict::{config, spec::PolicySpec};

use crate::support::{fixtures, host::Host, samples};

const EXAMPLES: [&str; 4] =
    ["pod-defaults-go", "ticket-authorizer-go", "hmac-authenticator-go", "namespace-defaults-go"];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policies").join(name)
}

/// As its example file has it, with the component as it was built; none without Go.
fn spec(name: &str) -> Option<PolicySpec> {
    let component = fixtures::go(name)?;
    let mut specs = config::read(&[folder(name).join("policy.yaml")]).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut spec = specs.remove(0);
    assert_eq!(spec.name, name);
    spec.runs = PolicySpec::file(name, &component).runs;
    // What a sample shows must not depend on how busy the machine is.
    spec.limits.time = Duration::from_secs(10);
    Some(spec)
}

#[test]
fn the_unit_tests_of_the_examples_pass() {
    if !fixtures::has_go() {
        return;
    }
    for example in EXAMPLES {
        fixtures::go_checks(&folder(example));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_review_gives_the_verdict_that_it_is_named_after() {
    for example in EXAMPLES {
        let Some(spec) = spec(example) else { return };
        let seen = samples::check(vec![spec], &folder(example).join("reviews")).await;
        assert!(seen >= 10, "{example}: only {seen} samples");
    }
}

/// What the types of k8s.io/api do not have, and numbers that they would round, stay; what they add is not added.
#[tokio::test(flavor = "multi_thread")]
async fn a_patch_has_nothing_but_what_was_changed() {
    let Some(mut spec) = spec("pod-defaults-go") else { return };
    spec.matching = Default::default();
    let host = Host::load(vec![spec]).await.unwrap();
    assert!(host.metrics.text().contains("verdict_policies_started{from=\"snapshot\"} 1"), "{}", host.metrics.text());
    let text = fs::read_to_string(folder("pod-defaults-go").join("reviews/changed-pod.json")).unwrap();
    let (status, answer) = host.post("/mutate", text).await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let patch = answer["response"]["patch"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let patch: Value =
        serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(patch).unwrap()).unwrap();
    let mut touched: Vec<_> = patch
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["op"].as_str().unwrap(), it["path"].as_str().unwrap()))
        .collect();
    touched.sort();
    let expected = [
        "add /spec/automountServiceAccountToken",
        "add /spec/securityContext/seccompProfile",
        "remove /spec/containers/0/volumeMounts/1",
        "remove /spec/containers/1/volumeMounts",
        "remove /spec/initContainers/0/volumeMounts",
        "remove /spec/volumes/1",
    ];
    assert_eq!(touched, expected, "{patch}");
    assert_eq!(answer["response"]["auditAnnotations"]["pod-defaults-go.token"], "not mounted");
}
