//! How much may run at once: admission never uses up what logins need, what rests gives way, and every failure gives back what
//! it took.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use verdict::engine::run::{Capacity, Engine};

use crate::support::{
    fixtures,
    host::{Host, access, config_map, misbehaving, specs, token},
};

const MIB: usize = 1 << 20;

fn engine(instances: u32, mebibytes: usize) -> Engine {
    Engine::new(Capacity { instances, memory: mebibytes * MIB }).unwrap()
}

async fn host(engine: &Engine, yaml: &str) -> Arc<Host> {
    Arc::new(Host::load_in(engine, specs(yaml)).await.unwrap())
}

/// With the default memory limit, and time enough on a busy machine.
fn policy(kind: &str, name: &str, deed: &str, more: &str) -> String {
    misbehaving(name, deed, more)
        .replace("$FIXTURE", kind)
        .replace("timeoutMilliseconds: 300, memory: 16Mi", "timeoutMilliseconds: 20000, memory: 64Mi")
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        tokio::task::yield_now().await;
    }
}

/// Two policies that keep their instances, and memory for one of each lane: nobody finds the server busy.
#[tokio::test(flavor = "multi_thread")]
async fn what_rests_gives_way_to_whoever_needs_its_room() {
    let engine = engine(64, 128);
    let yaml = ["one", "two"].map(|name| policy("$ADMISSION", name, "count", "  instancePolicy: Reuse")).concat()
        + &policy("$AUTHORIZATION", "three", "nothing", "  instancePolicy: Reuse")
        + &policy("$ADMISSION", "four", "nothing", "")
        + "---\napiVersion: verdict.dev/v1alpha1\nkind: Authenticator\nmetadata: {name: five}\nspec: {component: {builtin: magic-authenticator}}\n";
    let host = host(&engine, &yaml).await;
    for round in 1..=3 {
        for name in ["one", "two"] {
            for seen in 1..=2 {
                let answer = host.review(&format!("/validate/{name}"), &config_map("u")).await;
                // It rested in between, and gave way to the other one.
                assert_eq!(answer["response"]["status"]["message"], format!("{name}: seen {seen}"), "{round}");
            }
        }
        assert_eq!(host.review("/validate/four", &config_map("u")).await["response"]["allowed"], true);
        assert_eq!(host.review("/authorize", &access()).await["status"]["allowed"], false);
        assert_eq!(host.review("/authenticate", &token("magic-token")).await["status"]["authenticated"], true);
    }
    // At most one in the room of each lane, where those that are put back to what they were rest, too.
    assert!(engine.in_use().resting <= 2, "{:?}", engine.in_use());
    engine.sweep(Duration::ZERO);
    host.review("/validate/one", &config_map("u")).await;
    let used = engine.in_use();
    // It holds what it uses, not what it may use.
    assert!(used.memory >= 64 << 10 && used.memory <= 8 * MIB, "{used:?}");
    assert_eq!((used.resting, used.slots), (1, 1));
    engine.sweep(Duration::from_secs(3600));
    assert_eq!(engine.in_use().resting, 1);
    engine.sweep(Duration::ZERO);
    assert_eq!((engine.in_use().slots, engine.in_use().memory, engine.in_use().pooled), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_end_with_their_policy() {
    let engine = engine(64, 512);
    let host = host(&engine, &policy("$ADMISSION", "one", "count", "  instancePolicy: Reuse")).await;
    host.review("/validate/one", &config_map("u")).await;
    assert_eq!(engine.in_use().resting, 1);
    drop(host);
    assert_eq!((engine.in_use().resting, engine.in_use().pooled), (0, 0));
}

/// Where the kernel tells which pages were written, an instance is put back to what it was, and answers the next review as a new one would.
#[tokio::test(flavor = "multi_thread")]
async fn instances_that_are_put_back_rest_until_the_next_review() {
    let engine = engine(64, 512);
    let host = host(&engine, &policy("$ADMISSION", "one", "count", "")).await;
    let ask = async || {
        let answer = host.review("/validate/one", &config_map("u")).await;
        assert_eq!(answer["response"]["status"]["message"], "one: seen 1");
        engine.in_use().resting
    };
    // The first ones show what reviews of it change.
    let mut rested = 0;
    for _ in 0..20 {
        rested = ask().await;
    }
    let expected = usize::from(wasmtime::PoolingAllocationConfig::is_pagemap_scan_available());
    assert_eq!((rested, ask().await), (expected, expected));
    assert_eq!(engine.in_use().slots as usize, expected);
}

/// Whatever admission does, logins have room of their own.
#[tokio::test(flavor = "multi_thread")]
async fn admission_that_takes_all_it_can_get_keeps_nobody_from_logging_in() {
    let engine = engine(16, 1024);
    let names = ["a", "b", "c", "d"];
    let yaml = names.map(|name| policy("$ADMISSION", name, "sleep", "")).concat()
        + &policy("$FIXTURE", "all", "nothing", "")
        + "---\napiVersion: verdict.dev/v1alpha1\nkind: Authenticator\nmetadata: {name: z}\nspec: {component: {builtin: magic-authenticator}, order: 300}\n";
    let host = host(&engine, &yaml).await;
    let sleepers: Vec<_> = (0..160)
        .map(|caller: usize| {
            let host = Arc::clone(&host);
            let path = format!("/validate/{}", names[caller % names.len()]);
            // The last of them find the server busy already.
            tokio::spawn(async move { host.post(&path, config_map("u").to_string()).await })
        })
        .collect();
    // 1024 MiB: 256 stay resident, and of the others six times 64 fit into the lane of admission.
    until("they sleep", || engine.in_use().memory >= 4 * 64 * MIB).await;
    let begin = Instant::now();
    for _ in 0..20 {
        assert_eq!(host.review("/authenticate", &token("magic-token")).await["status"]["authenticated"], true);
        assert_eq!(host.review("/authorize", &access()).await["status"]["allowed"], false);
    }
    let asleep = sleepers.iter().filter(|it| !it.is_finished()).count();
    assert!(asleep >= 4 && begin.elapsed() < Duration::from_secs(10), "{asleep} {:?}", begin.elapsed());
    assert_eq!(
        (host.count("Authenticator", "z", "authenticated"), host.count("Authorizer", "all", "no_opinion")),
        (20, 20)
    );
    sleepers.iter().for_each(tokio::task::JoinHandle::abort);
    until("they are gone", || {
        engine.sweep(Duration::ZERO);
        engine.in_use().pooled == 0 && engine.in_use().slots == 0
    })
    .await;
}

/// As many callers as there are memories in the pool, each with the largest component that there may be.
#[tokio::test(flavor = "multi_thread")]
async fn a_component_with_many_memories_and_tables_takes_no_more_than_its_share() {
    let engine = engine(64, 4096);
    let yaml = misbehaving("large", "sleep", "").replace("$FIXTURE", &with_memories(3, 12).display().to_string())
        + &policy("$ADMISSION", "small", "nothing", "");
    let host = host(&engine, &yaml.replace("timeoutMilliseconds: 300", "timeoutMilliseconds: 100")).await;
    let callers = (0..140).map(|_| {
        let host = Arc::clone(&host);
        tokio::spawn(async move { host.review("/validate/large", &config_map("u")).await })
    });
    let callers: Vec<_> = callers.collect();
    until("they sleep", || engine.in_use().slots >= 12).await;
    for _ in 0..10 {
        let answer = host.review("/validate/small", &config_map("u")).await;
        assert_eq!(answer["response"]["allowed"], true, "{answer}");
        let status = host.review("/authenticate", &token("t")).await["status"].clone();
        assert_eq!(status["authenticated"], false, "{status}");
    }
    for caller in callers {
        let answer = caller.await.unwrap();
        assert_eq!(answer["response"]["status"]["message"], "large: the policy took too long", "{answer}");
    }
    // What rests has ended well.
    engine.sweep(Duration::ZERO);
    assert_eq!((host.count("Validator", "large", "overload"), engine.in_use().pooled), (0, 0));
}

/// The misbehaving component, and in it another instance with so many memories and tables.
fn with_memories(memories: usize, tables: usize) -> PathBuf {
    let mut bytes = std::fs::read(fixtures::misbehaving("")).unwrap();
    let (mut depth, mut modules) = (0_usize, 0_u8);
    for payload in wasmparser::Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            wasmparser::Payload::ModuleSection { .. } => {
                modules += u8::from(depth == 0);
                depth += 1;
            }
            wasmparser::Payload::ComponentSection { .. } => depth += 1,
            wasmparser::Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let module = format!("(module {} {})", "(memory 1)".repeat(memories), "(table 1 funcref)".repeat(tables));
    let module = wat::parse_str(module).unwrap();
    bytes.extend([1, u8::try_from(module.len()).unwrap()]);
    assert!(module.len() < 128);
    bytes.extend(module);
    // One core instance: of that module, with no arguments.
    bytes.extend([2, 4, 1, 0, modules, 0]);
    let path = fixtures::target().join(format!("misbehaving-{memories}-{tables}.wasm"));
    std::fs::write(&path, bytes).unwrap();
    path
}

/// How a review can fail: the deed, and what the limits are for it.
const FAILURES: [(&str, &str); 13] = [
    ("trap", "timeoutMilliseconds: 20000, memory: 16Mi"),
    ("recurse", "timeoutMilliseconds: 20000, memory: 16Mi"),
    ("recurse-with-data", "timeoutMilliseconds: 20000, memory: 16Mi"),
    ("exit", "timeoutMilliseconds: 20000, memory: 16Mi"),
    ("loop", "timeoutMilliseconds: 5, memory: 16Mi"),
    ("loop", "timeoutMilliseconds: 20000, memory: 16Mi, fuel: 100000"),
    ("sleep", "timeoutMilliseconds: 5, memory: 16Mi"),
    ("host-calls", "timeoutMilliseconds: 5, memory: 16Mi"),
    ("hog-memory", "timeoutMilliseconds: 20000, memory: 4Mi"),
    ("hog-memory-and-answer", "timeoutMilliseconds: 20000, memory: 4Mi"),
    ("handles", "timeoutMilliseconds: 20000, memory: 16Mi"),
    ("invalid-utf8", "timeoutMilliseconds: 20000, memory: 16Mi"),
    ("error", "timeoutMilliseconds: 20000, memory: 16Mi"),
];

/// Each failure so often, in both instance modes; `VERDICT_FAILURES=10000` for the full count.
#[tokio::test(flavor = "multi_thread")]
async fn failures_give_back_all_that_they_took() {
    let count = std::env::var("VERDICT_FAILURES").map_or(40, |it| it.parse().unwrap());
    let engine = engine(16, 1024);
    let yaml: String = FAILURES
        .iter()
        .enumerate()
        .flat_map(|(at, (deed, limits))| {
            ["PerReview", "Reuse"].map(|mode| {
                let name = format!("{}-{at}", mode.to_lowercase());
                misbehaving(&name, deed, &format!("  instancePolicy: {mode}"))
                    .replace("$FIXTURE", "$ADMISSION")
                    .replace("timeoutMilliseconds: 300, memory: 16Mi", limits)
            })
        })
        .collect();
    let host = host(&engine, &yaml).await;
    let round = async |reviews: usize| {
        for (at, (deed, _)) in FAILURES.iter().enumerate() {
            for mode in ["perreview", "reuse"] {
                let path: Arc<str> = format!("/validate/{mode}-{at}").into();
                let callers = (0..CALLERS).map(|caller| {
                    let (host, path) = (Arc::clone(&host), Arc::clone(&path));
                    tokio::spawn(async move {
                        for _ in (caller..reviews).step_by(CALLERS) {
                            let answer: Value = host.review(&path, &config_map("u")).await;
                            assert_eq!(answer["response"]["allowed"], false, "{path}: {answer}");
                        }
                    })
                });
                for caller in callers.collect::<Vec<_>>() {
                    caller.await.unwrap();
                }
                let used = engine.in_use();
                assert_eq!((used.slots, used.memory, used.pooled, used.resting), (0, 0, 0, 0), "{deed}, {mode}");
            }
        }
    };
    round(CALLERS * 2).await;
    let before = Process::now();
    round(count).await;
    let after = Process::now();
    println!("{count} of each failure: {before:?}, then {after:?}");
    if std::env::var_os("VERDICT_FAILURES").is_some() {
        // Only then is nothing else in this process.
        assert!(
            after.resident < before.resident + 32 * MIB
                && after.threads <= before.threads + 2
                && after.files <= before.files
        );
    }
}

/// What the kernel counts for this process.
#[derive(Debug)]
struct Process {
    resident: usize,
    threads: usize,
    files: usize,
}

impl Process {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let number = |name: &str| {
            let value = status.lines().find_map(|it| it.strip_prefix(name)).unwrap_or_default();
            value.trim().trim_end_matches(" kB").parse().unwrap_or(0)
        };
        let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self { resident: number("VmRSS:") << 10, threads: number("Threads:"), files }
    }
}

const CALLERS: usize = 8;

/// A policy that says how many reviews it may have at once: others wait for their turn as long as it can come in time, and then fail as its
/// limitPolicy says, while other policies are answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_has_no_more_reviews_at_once_than_it_may() {
    let engine = engine(64, 2048);
    let limited = |name: &str, deed: &str, more: &str| {
        policy("$ADMISSION", name, deed, more)
            .replace("memory: 64Mi", "memory: 64Mi, concurrentReviews: 2")
            .replace("timeoutMilliseconds: 20000", "timeoutMilliseconds: 400")
    };
    let yaml = limited("slow", "sleep", "")
        + &limited("open", "sleep", "  limitPolicy: Ignore")
        + &limited("quick", "nothing", "")
        + &policy("$ADMISSION", "other", "nothing", "");
    let host = host(&engine, &yaml).await;
    let ask = |path: &'static str| {
        let host = Arc::clone(&host);
        tokio::spawn(async move { host.review(path, &config_map("u")).await["response"].clone() })
    };
    let busy = || {
        let used = engine.in_use();
        (used.slots as usize).saturating_sub(used.resting)
    };
    // Each sleeps for 0.4 s: few of them come to their turn in time.
    for (path, allowed) in [("/validate/slow?timeout=1500ms", false), ("/validate/open?timeout=1500ms", true)] {
        let callers: Vec<_> = (0..40).map(|_| ask(path)).collect();
        until("two sleep", || busy() == 2).await;
        assert_eq!(host.review("/validate/other", &config_map("u")).await["response"]["allowed"], true);
        for caller in callers {
            let answer = caller.await.unwrap();
            assert_eq!(answer["allowed"], allowed, "{answer}");
        }
    }
    for name in ["slow", "open"] {
        let (timeouts, waited) =
            (host.count("Validator", name, "timeout"), host.count("Validator", name, "concurrency"));
        assert!(timeouts >= 2 && waited >= 10 && timeouts + waited == 40, "{name}: {timeouts} {waited}");
    }
    // Now it is known how long a turn takes: whoever is too far behind is told at once, and not at its deadline.
    let first: Vec<_> = (0..2).map(|_| ask("/validate/slow?timeout=30s")).collect();
    until("two sleep", || busy() == 2).await;
    let begin = Instant::now();
    let answer = host.review("/validate/slow?timeout=100ms", &config_map("u")).await;
    assert_eq!(answer["response"]["status"]["message"], "slow: the policy has too many reviews at once", "{answer}");
    assert!(begin.elapsed() < Duration::from_millis(90) || busy() < 2, "{:?}", begin.elapsed());
    for caller in first {
        assert_eq!(caller.await.unwrap()["allowed"], false);
    }
    // Whoever is quick serves them all, two at a time.
    let callers: Vec<_> = (0..40).map(|_| ask("/validate/quick")).collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap()["allowed"], true);
    }
}
