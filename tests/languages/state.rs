//! Nothing of one review is found by another, whatever its instance begins with; and what must differ from one review to the next does.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use super::{
    Served, every,
    guest::{message, named, object},
};

const TASKS: usize = 64;
const REVIEWS: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn no_state_crosses_reviews() {
    every(|guest| async move {
        let before = guest.host.count("Validator", "forgetful", "denied");
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                tokio::spawn(async move {
                    for _ in 0..REVIEWS {
                        assert_eq!(guest.message("forgetful", "remember").await, "clean");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(guest.host.count("Validator", "forgetful", "denied"), before + (TASKS * REVIEWS) as u64);
    })
    .await;
}

/// The search above would find what was left; and a reused instance stands thousands of reviews.
#[tokio::test(flavor = "multi_thread")]
async fn a_reused_instance_remembers_and_goes_on() {
    every(|guest| async move {
        let (mut asked, mut before) = (0, None);
        // Other tests take instances that rest, and then the next review begins with a new one.
        let found = loop {
            let uid = format!("review-{asked}");
            let answer = guest.ask("/validate/reused", &named("remember", &uid, object())).await;
            asked += 1;
            match message(&answer) {
                "clean" => before = Some(uid),
                found => break found.replace(&before.expect("the first review finds nothing"), "first"),
            }
            assert!(asked < 500, "no instance was used again");
        };
        assert!(found.starts_with(guest.language.found), "{found}");
        let mut most = 0;
        for _ in 0..2000 {
            let text = guest.message("reused", "count").await;
            let seen = text.strip_prefix("seen ").and_then(|it| it.parse::<u64>().ok());
            most = most.max(seen.unwrap_or_else(|| panic!("{text}")));
        }
        assert!(most > 100, "no instance saw more than {most} reviews");
        assert_eq!(guest.host.count("Validator", "reused", "denied"), asked + 2000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_and_random_numbers_are_live() {
    every(|guest| async move {
        let text = guest.host.metrics.text();
        assert!(text.contains("verdict_policies_started{from=\"init\"} 0"), "{text}");
        let (mut seen, mut last, mut at_init) = (BTreeSet::new(), 0, BTreeSet::new());
        for _ in 0..5 {
            let begin = now();
            let text = guest.message("p", "live").await;
            let end = now();
            let told: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let [random, clocks, since_init] = ["random", "clocks", "sinceInit"].map(|it| told[it].as_array().unwrap());
            assert_eq!([random, clocks, since_init].map(Vec::len), guest.language.live, "{text}");
            for number in random {
                assert!(seen.insert(number.as_str().unwrap().to_owned()), "{text}: not random");
            }
            for clock in clocks {
                let time = Duration::from_nanos(clock.as_u64().unwrap_or_else(|| panic!("{text}")));
                assert!(
                    begin - TICK <= time && time <= end + TICK,
                    "{text}: the time is between {begin:?} and {end:?}"
                );
            }
            for since in since_init {
                let since = since.as_u64().unwrap_or_else(|| panic!("{text}"));
                assert!(since > last, "{text}: the clock stands still after {last}");
                last = since;
            }
            at_init.insert(told["atInit"].as_str().unwrap().to_owned());
        }
        assert_eq!(at_init.len(), 1, "init ran again");
        if guest.language.sleeps {
            let begin = now();
            let slept: u64 = guest.message("p", "nap").await.parse().unwrap();
            let most = now() - begin;
            assert!(slept >= 2_000_000 && Duration::from_nanos(slept) < most, "{slept} ns of {most:?}");
        }
    })
    .await;
}

/// Clocks of guests may tell milliseconds only.
const TICK: Duration = Duration::from_millis(1);

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_init_draws_random_numbers_of_its_own() {
    every(|guest| async move {
        let component = (guest.language.component)().unwrap();
        let other = tokio::task::spawn_blocking(move || Served::of(guest.language, &component).ask("live"));
        let at_init = |text: &str| serde_json::from_str::<Value>(text).unwrap()["atInit"].as_str().unwrap().to_owned();
        let (here, there) = (at_init(&guest.message("p", "live").await), at_init(message(&other.await.unwrap())));
        assert_ne!(here, there);
    })
    .await;
}
