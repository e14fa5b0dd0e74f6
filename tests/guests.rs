//! Guests' own unit tests, and every sample review through the router.

use std::{fs, path::Path};

use serde_json::{Value, json};
use verdict::{config, loader::builtin};

use crate::support::{
    fixtures,
    host::{Host, token},
};

#[test]
fn the_unit_tests_of_the_guests_pass() {
    let output = fixtures::cargo(&["test", "--workspace", "--locked"])
        .arg("--target-dir")
        .arg(fixtures::target())
        .output()
        .expect("cargo");
    let text = String::from_utf8_lossy(&output.stdout);
    let passed: u32 = text
        .lines()
        .filter_map(|it| it.strip_prefix("test result: ok. ")?.split(' ').next()?.parse::<u32>().ok())
        .sum();
    println!("guests: {passed} tests passed");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(passed > 20, "only {passed} tests ran");
}

#[tokio::test]
async fn every_sample_review_gives_the_verdict_that_it_is_named_after() {
    let mut seen = 0;
    for builtin in builtin::all() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(builtin.name);
        let specs = config::read(&[folder.join("policy.yaml")]).unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(specs[0].name, builtin.name);
        // What a sample shows must not depend on which resources the example matches.
        let host = Host::load(
            specs
                .into_iter()
                .map(|mut it| {
                    it.matching = Default::default();
                    it
                })
                .collect(),
        )
        .await
        .unwrap();
        let mut files: Vec<_> = fs::read_dir(folder.join("reviews")).unwrap().map(|it| it.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{} has no sample reviews", builtin.name);
        for file in files {
            let review: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            let named = file.file_stem().unwrap().to_str().unwrap().to_owned();
            for version in ["v1", "v1beta1"] {
                let (verdict, answer) = verdict(&host, &review, version).await;
                // On the wire a rejected token is not authenticated, as an unknown one is.
                let named = named.replace("rejected", "unknown");
                assert!(
                    named == verdict || named.starts_with(&format!("{verdict}-")),
                    "{}: {verdict}: {answer}",
                    file.display()
                );
            }
            seen += 1;
        }
    }
    println!("{seen} sample reviews");
    assert!(seen > 30, "only {seen} samples");
}

/// The word with which the names of samples begin.
async fn verdict(host: &Host, review: &Value, version: &str) -> (&'static str, Value) {
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
            let answer = host.review("/authenticate", &review).await;
            let verdict = if answer["status"]["authenticated"] == true { "authenticated" } else { "unknown" };
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
            let answer = host.review("/mutate", &review).await;
            let response = &answer["response"];
            assert_eq!(response["uid"], review["request"]["uid"]);
            if response["allowed"] == true && response.get("patch").is_some() {
                return ("changed", answer);
            }
            let validated = host.review("/validate", &review).await;
            let allowed = response["allowed"] == true && validated["response"]["allowed"] == true;
            let mutator = host.post("/mutate/magic-mutator", "").await.0 != 404
                || host.post("/mutate/default-resources", "").await.0 != 404;
            (
                if !allowed {
                    "denied"
                } else if mutator {
                    "unchanged"
                } else {
                    "allowed"
                },
                validated,
            )
        }
        _ => {
            let name = ["caesar-cipher"][0];
            let (status, text) = host.post(&format!("/events/{name}"), review.to_string()).await;
            (if status == 200 { "answered" } else { "error" }, json!(text))
        }
    }
}

#[tokio::test]
async fn the_first_answer_of_the_product() {
    let host = Host::load(vec![config::schema::PolicySpec::builtin("magic-authenticator")]).await.unwrap();
    let answer = host.review("/authenticate", &token("magic-token")).await;
    assert_eq!(
        answer["status"],
        json!({"authenticated": true, "user": {"username": "magic-user", "uid": "0", "groups": ["magic-group"]}})
    );
    assert_eq!(host.count("authentication", "magic-authenticator", "authenticated"), 1);
}
