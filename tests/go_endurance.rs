//! A Go policy that prints, logs, panics now and then and decodes large objects, for very many reviews, whatever a review's
//! instance begins with: nothing traps but what panics on purpose. They take minutes and run by name only:
//! `cargo test --test verdict go_endurance -- --ignored`.

use std::{fs, path::PathBuf, sync::Arc};

use serde_json::{Value, json};

use crate::support::{
    fixtures,
    host::{Host, admission, config_map},
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: cargo test go_endurance -- --ignored"]
async fn a_hundred_thousand_reviews_that_begin_with_a_snapshot() {
    let Some(component) = fixtures::go("fixtures/misbehaving-go") else { return };
    endure(&component, "", "snapshot", 100_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: cargo test go_endurance -- --ignored"]
async fn a_hundred_thousand_reviews_in_reused_instances() {
    let Some(component) = fixtures::go("fixtures/misbehaving-go") else { return };
    endure(&component, "  instancePolicy: Reuse", "snapshot", 100_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: cargo test go_endurance -- --ignored"]
async fn thousands_of_reviews_that_begin_with_init() {
    let Some(component) = without_snapshot() else { return };
    endure(&component, "", "init", 5_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: cargo test go_endurance -- --ignored"]
async fn reused_instances_that_begin_with_init() {
    let Some(component) = without_snapshot() else { return };
    endure(&component, "  instancePolicy: Reuse", "init", 5_000).await;
}

async fn endure(component: &std::path::Path, more: &str, start: &str, reviews: usize) {
    let yaml = format!(
        "apiVersion: verdict.dev/v1alpha1\nkind: Validator\nmetadata: {{name: p}}\nspec:\n  component: {{path: {}}}\n  limits: {{timeoutMilliseconds: 10000, memory: 128Mi}}\n{more}\n",
        component.display()
    );
    let host = Arc::new(Host::yaml(&yaml).await);
    let started = format!("verdict_policies_started{{from=\"{start}\"}} 1");
    assert!(host.metrics.text().contains(&started), "{}", host.metrics.text());
    let (small, large) = (Arc::new(enduring(config_map("small"))), Arc::new(enduring(large())));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (host, small, large) = (Arc::clone(&host), Arc::clone(&small), Arc::clone(&large));
            tokio::spawn(async move {
                for count in 0..reviews / TASKS {
                    if count % PANIC_EVERY == PANIC_EVERY - 1 {
                        let mut panics = Value::clone(&small);
                        panics["request"]["name"] = "trap".into();
                        assert_eq!(message(&host, &panics).await, "p: the policy crashed");
                    } else if count % LARGE_EVERY == LARGE_EVERY / 5 {
                        assert_eq!(message(&host, &large).await, length(&large));
                    } else {
                        assert_eq!(message(&host, &small).await, length(&small));
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let each = reviews / TASKS;
    let panics = (0..each).filter(|count| count % PANIC_EVERY == PANIC_EVERY - 1).count() * TASKS;
    assert_eq!(host.count("Validator", "p", "trap"), panics as u64, "{}", host.metrics.text());
    assert_eq!(host.count("Validator", "p", "denied"), (each * TASKS - panics) as u64, "{}", host.metrics.text());
}

async fn message(host: &Host, review: &Value) -> String {
    let answer = host.review("/validate", review).await;
    answer["response"]["status"]["message"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// The policy does what the name of the object says.
fn enduring(mut review: Value) -> Value {
    review["request"]["name"] = "endure".into();
    review
}

/// What the policy says of an object that it decoded and encoded again.
fn length(review: &Value) -> String {
    format!("p: {}", review["request"]["object"].to_string().len())
}

/// Three megabytes.
fn large() -> Value {
    let data: serde_json::Map<_, _> =
        (0..3000).map(|it| (format!("key-{it}"), Value::from("x".repeat(1000)))).collect();
    admission("large", json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm"}, "data": data}))
}

/// The same component, and in it another one with a module, which is never used: the snapshot tool refuses it.
fn without_snapshot() -> Option<PathBuf> {
    let mut bytes = fs::read(fixtures::go("fixtures/misbehaving-go")?).unwrap();
    let module = *b"\0asm\x01\0\0\0";
    let mut inner = b"\0asm\x0d\0\x01\0".to_vec();
    inner.extend([1, module.len() as u8]);
    inner.extend(module);
    bytes.extend([4, inner.len() as u8]);
    bytes.extend(inner);
    let path = fixtures::target().join("built/misbehaving-go-without-snapshot.wasm");
    let unfinished = path.with_extension(format!("{:?}", std::thread::current().id()));
    fs::write(&unfinished, bytes).unwrap();
    fs::rename(&unfinished, &path).unwrap();
    Some(path)
}

const TASKS: usize = 8;
const PANIC_EVERY: usize = 500;
const LARGE_EVERY: usize = 2500;
