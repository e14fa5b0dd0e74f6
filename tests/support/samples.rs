//! Sample reviews: files in the folder `reviews/` of a policy, named after the verdict that the policy gives.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use verdict::{config, spec::PolicySpec};

use super::host::Host;

/// Asks one policy about each sample, in both versions, and gives how many there are.
pub async fn check(mut specs: Vec<PolicySpec>, folder: &Path) -> usize {
    // What a sample shows must not depend on which resources the example matches.
    for spec in &mut specs {
        spec.matching = Default::default();
    }
    let name = specs[0].name.clone();
    let host = Host::load(specs).await.unwrap();
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no sample reviews", folder.display());
    for file in &files {
        let review: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let named = file.file_stem().unwrap().to_str().unwrap();
        for version in ["v1", "v1beta1"] {
            let (verdict, answer) = verdict(&host, &name, &review, version).await;
            assert!(
                named == verdict || named.starts_with(&format!("{verdict}-")),
                "{}: {verdict}: {answer}",
                file.display()
            );
        }
    }
    files.len()
}

/// The word with which the names of samples begin.
async fn verdict(host: &Host, policy: &str, review: &Value, version: &str) -> (&'static str, Value) {
    let mut review = review.clone();
    let kind = review["kind"].as_str().unwrap_or_default().to_owned();
    if let Some(group) = review["apiVersion"].as_str().and_then(|it| it.split_once('/')).map(|it| it.0.to_owned()) {
        review["apiVersion"] = json!(format!("{group}/{version}"));
    }
    // v1beta1 spells them so.
    if kind == "SubjectAccessReview" && version == "v1beta1" {
        let groups = review["spec"]["groups"].take();
        review["spec"]["group"] = groups;
    }
    match kind.as_str() {
        "TokenReview" => {
            let rejected = || host.count("Authenticator", policy, "rejected");
            let before = rejected();
            let answer = host.review("/authenticate", &review).await;
            let verdict = match (answer["status"]["authenticated"] == true, rejected() > before) {
                (true, false) => "authenticated",
                (false, true) => "rejected",
                (false, false) => "unknown",
                (true, true) => panic!("{answer}"),
            };
            (verdict, answer)
        }
        "SubjectAccessReview" => {
            let answer = host.review("/authorize", &review).await;
            let status = &answer["status"];
            let verdict = match (status["allowed"] == true, status["denied"] == true) {
                (true, false) => "allow",
                (false, true) => "deny",
                (false, false) => "no-opinion",
                (true, true) => panic!("{answer}"),
            };
            (verdict, answer)
        }
        "AdmissionReview" => {
            let (mut allowed, mut mutates, mut last) = (true, false, Value::Null);
            for route in ["/mutate", "/validate"] {
                if host.post(&format!("{route}/{policy}"), "").await.0 == 404 {
                    continue;
                }
                last = host.review(route, &review).await;
                let response = &last["response"];
                assert_eq!(response["uid"], review["request"]["uid"]);
                if response["allowed"] == true && response.get("patch").is_some() {
                    return ("changed", last);
                }
                allowed &= response["allowed"] == true;
                mutates |= route == "/mutate";
            }
            assert_ne!(last, Value::Null, "{policy} answers no AdmissionReview");
            let verdict = match (allowed, mutates) {
                (false, _) => "denied",
                (true, true) => "unchanged",
                (true, false) => "allowed",
            };
            (verdict, last)
        }
        _ if review["type"].is_string() && review["object"].is_object() => match host.told(&review).await {
            Ok(actions) => ("answered", actions),
            Err((_, words)) => ("error", json!(words)),
        },
        _ => {
            let (status, text) = host.post(&format!("/events/{policy}"), review.to_string()).await;
            (if status == 200 { "answered" } else { "error" }, json!(text))
        }
    }
}

/// Panics unless `component` decides every sample of required-labels as the one in Rust does, from a snapshot, each within `limit`.
pub async fn decides_as_required_labels_in_rust(component: &Path, limit: Duration) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/required-labels");
    let load = async |mut spec: PolicySpec| {
        spec.matching = Default::default();
        spec.limits.time = limit;
        Host::load(vec![spec]).await.unwrap()
    };
    let rust = config::read(&[folder.join("policy.yaml")]).unwrap().remove(0);
    let mut other = rust.clone();
    other.runs = PolicySpec::file("required-labels", component).runs;
    let (rust, other) = (load(rust).await, load(other).await);
    let started = other.metrics.text();
    assert!(started.contains("verdict_policies_started{from=\"snapshot\"} 1"), "{started}");
    let mut denied = 0;
    for file in fs::read_dir(folder.join("reviews")).unwrap() {
        let review: Value = serde_json::from_str(&fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
        let answer = other.review("/validate", &review).await;
        assert_eq!(answer, rust.review("/validate", &review).await);
        denied += usize::from(answer["response"]["allowed"] == false);
    }
    assert_eq!(denied, 3);
}
