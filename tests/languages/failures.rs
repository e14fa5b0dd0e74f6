//! Deeds that fail: each with its own words to the user, its own metric label, and the next review is not affected.

use std::{path::Path, time::Duration};

use http::StatusCode;
use verdict::spec::PolicySpec;

use super::{
    Language, every, every_of,
    guest::{message, named, object, policy},
};
use crate::support::host::{Host, access, changed, config_map, specs, token};

/// Those that fail in every language.
const FAILURES: [(&str, &str); 5] = [
    ("error", "guest_error"),
    ("no such deed", "guest_error"),
    ("hog-memory", "memory"),
    ("recurse", "stack"),
    ("loop", "timeout"),
];

fn words(label: &str) -> &'static str {
    match label {
        "guest_error" => "the policy could not decide",
        "trap" => "the policy crashed",
        "memory" => "the policy ran out of memory",
        "stack" => "the policy ran out of stack",
        "timeout" => "the policy took too long",
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_says_so_in_its_own_words() {
    every(|guest| async move {
        for (deed, label) in FAILURES.iter().chain(guest.language.failures) {
            let policy = if *label == "timeout" { "hasty" } else { "failing" };
            let count = || guest.host.count("Validator", policy, label);
            let before = count();
            for _ in 0..2 {
                let answer = guest.ask(&format!("/validate/{policy}"), &named(deed, "u", object())).await;
                assert_eq!((&answer["allowed"], message(&answer)), (&false.into(), words(label)), "{deed}");
                assert!(!answer.to_string().contains("secret-detail"), "{deed}: {answer}");
            }
            assert_eq!(count(), before + 2, "{deed}: {}", guest.host.metrics.text());
            let next = guest.ask("/validate/failing", &named("speak", "u", object())).await;
            assert_eq!(next["allowed"], true, "after {deed}: {next}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_init_refuses_is_told_with_its_path() {
    every(|guest| async move {
        let component = (guest.language.component)().unwrap();
        let refused = async |deed: &str| {
            let policy = policy(&component, "p", "").replace("print-in-init", deed);
            Host::load(specs(&policy)).await.err().unwrap()
        };
        let at = |field: &str, message: &str| format!("test.yaml:7: Validator p: spec.settings{field}: {message}");
        let errors = refused("refuse-settings").await;
        let expected = [at(".do", "expected something else"), at(".more[0].key", "and here"), at("", "and more of it")];
        assert_eq!(errors, expected);
        let errors = refused("trap-in-init").await;
        assert!(errors.len() == 1 && errors[0].contains(guest.language.trap_in_init), "{errors:?}");
    })
    .await;
}

/// A policy that forgets to answer never allows, in no kind of review. In Rust it does not compile, which the SDK's own documentation tests.
#[tokio::test(flavor = "multi_thread")]
async fn who_forgets_to_answer_never_allows() {
    let component = |it: &Language| (it.built.as_ref()?.forgetful)();
    every_of(component, |language, component| async move {
        let host = never_allows(&component).await;
        // In Go what is forgotten is a list, and empty: nothing is done.
        if language.name != "Go" {
            assert_eq!(host.told(&changed("cm")).await, Err((500, "the policy could not decide")));
        }
    })
    .await;
}

async fn never_allows(component: &Path) -> Host {
    let mut spec = PolicySpec::file("forgetful", component);
    spec.limits.time = Duration::from_secs(20);
    let host = Host::load(vec![spec]).await.unwrap();
    for route in ["/validate", "/mutate"] {
        let answer = host.review(route, &config_map("u")).await["response"].clone();
        assert_eq!(answer["allowed"], false, "{route}: {answer}");
        assert_eq!(answer["status"]["message"], "forgetful: the policy could not decide", "{answer}");
    }
    let answer = host.review("/authenticate", &token("t")).await["status"].clone();
    assert_ne!(answer["authenticated"], true, "{answer}");
    assert!(answer["error"].is_string(), "{answer}");
    // Nothing that kube-apiserver would cache.
    let (status, answer) = host.post("/authorize", access().to_string()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    let (status, answer) = host.post("/events/forgetful", "{}").await;
    assert!(!status.is_success(), "{status} {answer}");
    for kind in ["Validator", "Mutator", "Authenticator", "Authorizer", "Provider"] {
        assert_eq!(host.count(kind, "forgetful", "guest_error"), 1, "{kind}: {}", host.metrics.text());
    }
    host
}
