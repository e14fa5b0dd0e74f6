//! Guests' own unit tests, and every sample review through the router.

use std::path::Path;

use serde_json::json;
use verdict::{config, loader::builtin};

use crate::support::{
    fixtures,
    host::{Host, token},
    samples,
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
        seen += samples::check(specs, &folder.join("reviews")).await;
    }
    println!("{seen} sample reviews");
    assert!(seen > 30, "only {seen} samples");
}

#[tokio::test]
async fn the_first_answer_of_the_product() {
    let host = Host::load(vec![verdict::spec::PolicySpec::builtin("magic-authenticator")]).await.unwrap();
    let answer = host.review("/authenticate", &token("magic-token")).await;
    assert_eq!(
        answer["status"],
        json!({"authenticated": true, "user": {"username": "magic-user", "uid": "0", "groups": ["magic-group"]}})
    );
    assert_eq!(host.count("Authenticator", "magic-authenticator", "authenticated"), 1);
}
