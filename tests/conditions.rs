//! Match conditions on objects of users: no login waits for them, no time limit and no memory limit is exceeded, and
//! nobody gets in by inflating an object.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use verdict::{component::manifest, spec::PolicySpec};

use crate::support::{
    fixtures,
    host::{Host, access, admission, misbehaving, token},
    http,
    pki::Pki,
    verdict::Verdict,
};

/// The fixture that allows, with conditions.
fn conditional(name: &str, more: &str, conditions: &[&str]) -> String {
    let list: Vec<String> =
        conditions.iter().enumerate().map(|(at, it)| format!("{{name: c{at}, expression: {it:?}}}")).collect();
    let more = format!("{more}\n  matchConditions: [{}]", list.join(", "));
    misbehaving(name, "nothing", &more).replace("$FIXTURE", "$ADMISSION")
}

/// A ConfigMap of 2.7 MB as users may create them.
fn config_map() -> Value {
    let data: serde_json::Map<String, Value> =
        (0..27).map(|at| (format!("k{at}"), "x".repeat(100_000).into())).collect();
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm", "labels": {"a": "b"}}, "data": data})
}

/// As large, and a hundred times larger in memory.
fn inflated() -> Value {
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm"}, "data": vec![json!({"a": 0}); 330_000]})
}

fn nested() -> Value {
    let deep = (0..150).fold(json!(1), |inner, _| json!([inner]));
    json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "cm"}, "data": deep})
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_by_inflating_an_object() {
    for (object, path) in [(inflated(), "validate"), (nested(), "validate"), (nested(), "mutate")] {
        let review = admission("u", object);
        let answers = async |more: &str, conditions: &[&str]| {
            let host = Host::yaml(&conditional("p", &format!("  failurePolicy: Ignore\n{more}"), conditions)).await;
            let answer = host.review(&format!("/{path}"), &review).await["response"].clone();
            let limits =
                host.count("Validator", "p", "condition_limit") + host.count("Mutator", "p", "condition_limit");
            (answer, limits)
        };
        let whole = "object != oldObject";
        let (answer, limits) = answers("", &[whole]).await;
        assert_eq!((&answer["allowed"], limits), (&json!(false), 1), "{answer}");
        assert_eq!(answer["status"]["message"], "p: a match condition of the policy used up a limit");
        // What else is wrong does not hide it.
        assert_eq!(answers("", &["object.nothing == 1", whole]).await.0["allowed"], false);
        // Only if it is said.
        let (answer, _) = answers("  limitPolicy: Ignore", &[whole]).await;
        assert_eq!(answer["allowed"], true, "{answer}");
        assert!(answer["warnings"][0].as_str().unwrap().contains("used up a limit"), "{answer}");
        // What is not read can be as large as it likes.
        let (answer, limits) = answers("", &["object.metadata.name == 'cm' && has(object.data)"]).await;
        assert_eq!((&answer["allowed"], limits), (&json!(true), 0), "{answer}");
    }
}

/// A component may be several kinds, and its author's conditions are about objects.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_manifest_says_of_objects_is_asked_of_no_login() {
    let manifest =
        json!({"name": "p", "matchConditions": [{"name": "a", "expression": "object.metadata.name == 'other'"}]});
    let bytes = fs::read(fixtures::misbehaving("")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.wasm");
    fs::write(&path, manifest::embed(&bytes, &serde_json::from_value(manifest).unwrap()).unwrap()).unwrap();
    let spec = PolicySpec { settings: Some(r#"{"do": "deny"}"#.to_owned()), ..PolicySpec::file("p", &path) };
    let host = Host::load(vec![spec]).await.unwrap();
    let answer = host.review("/validate", &admission("u", config_map())).await;
    assert_eq!(answer["response"]["allowed"], true, "not asked: {answer}");
    assert_eq!(host.review("/authorize", &access()).await["status"]["denied"], true);
    host.review("/authenticate", &token("t")).await;
    assert_eq!((host.count("Authenticator", "p", "unknown"), host.count("Validator", "p", "denied")), (1, 0));
}

/// Thirty policies read large objects, four callers send them and two more inflate theirs, and all that goes on while
/// somebody logs in.
#[test]
fn no_login_waits_for_conditions_and_everybody_is_answered_in_time() {
    const PROGRAM: u64 = 384 << 20;
    const ROUNDS: usize = 5;
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let conditions = [
        "object.data != null && request.name == 'cm'",
        "object.data.all(k, object.data[k] != 'never')",
        "oldObject == object",
    ];
    let policies: Vec<String> = (0..30).map(|at| conditional(&format!("p{at}"), "", &conditions)).collect();
    let logins = "---\napiVersion: verdict.dev/v1alpha1\nkind: Authenticator\nmetadata: {name: login}\nspec: {component: {builtin: magic-authenticator}}\n";
    let yaml =
        (policies.concat() + logins).replace("$ADMISSION", &fixtures::misbehaving("admission").display().to_string());
    let verdict = Verdict::serve(&pki, folder.path(), &yaml, &["--guest-memory=256", "--max-bodies=96"]);
    let tls = http::tls(&pki, Some(&verdict.client));
    let ask = async |path: &str, body: String| {
        let connector =
            hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_only().enable_http1();
        let client = Client::builder(TokioExecutor::new()).build(connector.build());
        let request =
            Request::post(format!("https://{}{path}", verdict.https)).header("content-type", "application/json");
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let begin = Instant::now();
        let answer = client.request(request).await.unwrap();
        let status = answer.status();
        let text = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        (status, text, begin.elapsed())
    };
    let busy = Arc::new(AtomicUsize::new(6));
    let (large, small) = (config_map(), inflated());
    let mut waits = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let callers = (0..6).map(|caller| {
            let object = if caller < 4 { &large } else { &small };
            let (body, busy, ask) =
                (admission(&format!("u{caller}"), object.clone()).to_string(), Arc::clone(&busy), &ask);
            async move {
                for _ in 0..ROUNDS {
                    let (status, text, took) = ask("/validate?timeout=10s", body.clone()).await;
                    assert!(took < Duration::from_secs(10), "{caller}: {took:?}");
                    // Beyond what the machine can do in time nobody is let in.
                    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
                    assert!(status == StatusCode::OK || status == StatusCode::SERVICE_UNAVAILABLE, "{status}: {text}");
                    assert!(caller < 4 || answer["response"]["allowed"] != true, "{caller}: {text}");
                }
                busy.fetch_sub(1, Ordering::AcqRel);
            }
        });
        let login = async {
            let mut waits = Vec::new();
            while busy.load(Ordering::Acquire) > 0 {
                let (status, text, took) = ask("/authenticate?timeout=10s", token("magic-token").to_string()).await;
                assert!(status == StatusCode::OK && text.contains(r#""authenticated":true"#), "{status}: {text}");
                waits.push(took);
            }
            waits
        };
        tokio::join!(futures_util::future::join_all(callers), login).1
    });
    waits.sort_unstable();
    let rank = waits.len() * 9 / 10;
    println!(
        "{} logins: half within {:?}, 90 % within {:?}, all within {:?}",
        waits.len(),
        waits[waits.len() / 2],
        waits[rank],
        waits[waits.len() - 1]
    );
    assert!(waits.len() >= 10 && waits[rank] < Duration::from_millis(500), "{waits:?}");
    let status = fs::read_to_string(format!("/proc/{}/status", verdict.process.id())).unwrap();
    let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).unwrap();
    let peak = peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10;
    println!("at most {} MiB resident", peak >> 20);
    assert!(peak < (256 << 20) + (96 << 20) + PROGRAM, "{peak}");
}
