//! No state crosses reviews, whatever a review's instance begins with; and what operators can choose about that.

use std::sync::Arc;

use serde_json::Value;

use crate::support::host::{Host, config_map, misbehaving};

async fn message(host: &Host, uid: &str) -> String {
    let answer = host.review("/validate/p", &config_map(uid)).await;
    answer["response"]["status"]["message"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn started_from_snapshot(host: &Host) -> bool {
    let text = host.metrics.text();
    let count = |from: &str| !text.contains(&format!("verdict_policies_started{{from=\"{from}\"}} 0"));
    assert_ne!(count("snapshot"), count("init"), "{text}");
    count("snapshot")
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_of_one_review_are_never_found_by_another() {
    let host = Arc::new(Host::yaml(&misbehaving("p", "remember", "")).await);
    assert!(started_from_snapshot(&host));
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let host = Arc::clone(&host);
            tokio::spawn(async move {
                for review in 0..8 {
                    assert_eq!(message(&host, &format!("{task}-{review}")).await, "p: clean");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Numbers of handles tell what was given before, whether it was given back or not.
#[tokio::test(flavor = "multi_thread")]
async fn handles_of_one_review_do_not_show_in_the_numbers_of_another() {
    for deed in ["number-handles", "keep-handles"] {
        let host = Host::yaml(&misbehaving("p", deed, "")).await;
        let first = message(&host, "0").await;
        for review in 1..20 {
            assert_eq!(message(&host, &review.to_string()).await, first, "{deed}, {review}");
        }
        let host =
            Host::yaml(&misbehaving("p", deed, "  instancePolicy: Reuse").replace("$FIXTURE", "$ADMISSION")).await;
        message(&host, "0").await;
        assert_ne!(message(&host, "1").await, first, "{deed}: the numbers tell something");
    }
}

/// The search above would find marks if there were any.
#[tokio::test(flavor = "multi_thread")]
async fn marks_are_found_in_an_instance_that_is_reused() {
    let yaml = misbehaving("p", "remember", "  instancePolicy: Reuse").replace("$FIXTURE", "$ADMISSION");
    let host = Host::yaml(&yaml).await;
    assert_eq!(message(&host, "1").await, "p: clean");
    let second = message(&host, "2").await;
    assert!(second.starts_with("p: found a mark at [0, "), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reused_instances_are_renewed_after_a_failure() {
    let yaml = misbehaving("p", "count", "  instancePolicy: Reuse").replace("$FIXTURE", "$ADMISSION");
    let host = Host::yaml(&yaml).await;
    for count in 1..=3 {
        assert_eq!(message(&host, "u").await, format!("p: seen {count}"));
    }
    // Each failure takes its instance with it, or a later review would be asked of a broken one.
    let yaml = misbehaving("p", "error", "  instancePolicy: Reuse").replace("$FIXTURE", "$ADMISSION");
    let host = Host::yaml(&yaml).await;
    for _ in 0..3 {
        assert_eq!(message(&host, "u").await, "p: the policy could not decide");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_that_is_held_after_init_forbids_the_snapshot() {
    let host = Host::yaml(&misbehaving("p", "hold-in-init", "")).await;
    assert!(!started_from_snapshot(&host));
    let answer = host.review("/validate", &config_map("u")).await;
    assert_eq!(answer["response"]["allowed"], true, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn printing_works_before_and_after_a_snapshot() {
    let host = Host::yaml(&misbehaving("p", "print-in-init", "")).await;
    for _ in 0..3 {
        let mut review = config_map("u");
        review["request"]["name"] = "print".into();
        let answer = host.review("/validate", &review).await;
        assert_eq!(answer["response"]["allowed"], true, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fuel_ends_a_review_as_a_limit() {
    let limits = |fuel: u64| format!("limits: {{timeoutMilliseconds: 10000, memory: 16Mi, fuel: {fuel}}}");
    let yaml = |deed: &str, fuel| {
        misbehaving("p", deed, "").replace("limits: {timeoutMilliseconds: 300, memory: 16Mi}", &limits(fuel))
    };
    let host = Host::yaml(&yaml("loop", 1_000_000)).await;
    let answer: Value = host.review("/validate", &config_map("u")).await;
    assert_eq!(answer["response"]["status"]["message"], "p: the policy computed too much", "{answer}");
    assert_eq!(host.count("Validator", "p", "fuel"), 1);
    let host = Host::yaml(&yaml("count", 1_000_000)).await;
    assert_eq!(message(&host, "u").await, "p: seen 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_what_is_granted_and_a_change_of_it_ends_with_the_review() {
    let grants = "  grants: {env: [{name: GRANTED, value: \"1\"}, {name: LONGER_NAME, value: a longer value}, {name: EMPTY, value: \"\"}]}";
    for fixture in ["$FIXTURE", "$ADMISSION"] {
        let host = Host::yaml(&misbehaving("p", "change-environment", grants).replace("$FIXTURE", fixture)).await;
        for _ in 0..2 {
            assert_eq!(
                message(&host, "u").await,
                "p: EMPTY= GRANTED=1 LONGER_NAME=a longer value; EMPTY= GRANTED=changed OWN=set; set true"
            );
        }
    }
}
