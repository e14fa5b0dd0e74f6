//! Deeds that fail: each with its own words to the user, its own metric label, and the next review is not affected.

use super::{
    every,
    guest::{message, named, object, policy},
};
use crate::support::host::{Host, specs};

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
