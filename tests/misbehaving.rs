//! Policies that misbehave: each gives a valid review within its deadline, with its own words, status and metric label,
//! and the next review is not affected.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};

use crate::support::{
    fixtures,
    host::{Host, access, admission, changed, config_map, misbehaving, specs, token},
    http,
    pki::Pki,
    verdict::Verdict,
};

/// Deeds that fail whatever is asked: the label, the status code and the words.
const FAILURES: &[(&str, &str, u64, &str)] = &[
    ("trap", "trap", 500, "the policy crashed"),
    ("recurse", "stack", 500, "the policy ran out of stack"),
    ("recurse-with-data", "stack", 500, "the policy ran out of stack"),
    ("exit", "trap", 500, "the policy crashed"),
    ("loop", "timeout", 504, "the policy took too long"),
    ("sleep", "timeout", 504, "the policy took too long"),
    ("host-calls", "timeout", 504, "the policy took too long"),
    ("hog-memory", "memory", 500, "the policy ran out of memory"),
    ("hog-memory-and-answer", "memory", 500, "the policy ran out of memory"),
    ("handles", "size", 500, "the policy's answer is too large"),
    ("error", "guest_error", 500, "the policy could not decide"),
];

/// The fixture's limit is 300 ms; the rest is room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

fn host_yaml(deed: &str, more: &str) -> String {
    misbehaving("bad", deed, more) + &misbehaving("good", "nothing", "  order: 200")
}

/// The component that exports `kind` only: what is only for some kinds is refused for the one that exports all.
fn only(kind: &str, name: &str, deed: &str, more: &str) -> String {
    misbehaving(name, deed, more).replace("$FIXTURE", kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_validator_denies_with_its_own_words() {
    for (deed, label, code, words) in FAILURES {
        let host = Host::yaml(&host_yaml(deed, "")).await;
        for path in ["/validate", "/mutate"] {
            let begin = Instant::now();
            let answer = host.review(path, &config_map("u1")).await;
            assert!(begin.elapsed() < PATIENCE, "{deed} took {:?}", begin.elapsed());
            let response = &answer["response"];
            assert_eq!(response["uid"], "u1");
            assert_eq!(response["allowed"], false, "{deed}: {answer}");
            assert_eq!(response["status"]["code"], *code, "{deed}: {answer}");
            assert_eq!(response["status"]["message"], format!("bad: {words}"), "{deed}");
            assert!(!answer.to_string().contains("secret-detail"));
        }
        for kind in ["Validator", "Mutator"] {
            assert_eq!(host.count(kind, "bad", label), 1, "{deed}: {}", host.metrics.text());
        }
        let next = host.review("/validate/good", &config_map("u2")).await;
        assert_eq!(next["response"], json!({"uid": "u2", "allowed": true}), "{deed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ignore_lets_through_what_failed_but_not_what_used_up_a_limit() {
    for (deed, label, ..) in FAILURES {
        let limit = matches!(*label, "timeout" | "memory" | "stack" | "size");
        for (more, ignored) in [
            ("  failurePolicy: Ignore", !limit),
            ("  limitPolicy: Ignore", limit),
            ("  failurePolicy: Ignore\n  limitPolicy: Ignore", true),
        ] {
            let host = Host::yaml(&only("$ADMISSION", "bad", deed, more)).await;
            let answer = host.review("/validate", &config_map("u")).await;
            assert_eq!(answer["response"]["allowed"], ignored, "{deed} {more}: {answer}");
            assert_eq!(
                answer["response"]["warnings"].as_array().map_or(0, Vec::len),
                usize::from(ignored),
                "{deed} {more}: {answer}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_authenticator_is_an_error_that_is_not_cached() {
    for (deed, label, _, words) in FAILURES {
        let host = Host::yaml(&host_yaml(deed, "")).await;
        let status = host.review("/authenticate", &token("t0k3n")).await["status"].clone();
        assert_eq!(
            status,
            json!({"authenticated": false, "audiences": ["https://kubernetes.default.svc"], "error": format!("policy bad: {words}")}),
            "{deed}"
        );
        assert_eq!(host.count("Authenticator", "bad", label), 1, "{deed}");
        assert_eq!(host.count("Authenticator", "good", "unknown"), 1, "{deed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_authorizer_lets_no_later_allow_through() {
    let allow = "---\napiVersion: verdict.dev/v1alpha1\nkind: Authorizer\nmetadata: {name: allow}\nspec: {component: {builtin: magic-authorizer}, order: 300}\n";
    for (deed, label, _, words) in FAILURES {
        let host = Host::yaml(&(host_yaml(deed, "") + allow)).await;
        let (status, text) = host.post("/authorize", access().to_string()).await;
        assert_eq!((status, text), (StatusCode::SERVICE_UNAVAILABLE, format!("policy bad: {words}\n")), "{deed}");
        assert_eq!(host.count("Authorizer", "bad", label), 1, "{deed}");

        let deny = misbehaving("deny", "deny", "  order: 250");
        let host = Host::yaml(&(host_yaml(deed, "") + &deny + allow)).await;
        let answer = host.review("/authorize", &access()).await;
        assert_eq!(
            answer["status"],
            json!({"allowed": false, "denied": true, "reason": "denied on purpose"}),
            "{deed}"
        );

        let host = Host::yaml(&(only("$AUTHORIZATION", "bad", deed, "  failurePolicy: Deny") + allow)).await;
        assert_eq!(host.review("/authorize", &access()).await["status"]["denied"], true, "{deed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_opinion_on_failure_is_a_choice() {
    let more = "  failurePolicy: NoOpinion";
    let allow = "---\napiVersion: verdict.dev/v1alpha1\nkind: Authorizer\nmetadata: {name: allow}\nspec: {component: {builtin: magic-authorizer}, order: 300}\n";
    let yaml = |deed| only("$AUTHORIZATION", "bad", deed, more) + allow;
    let host = Host::load(specs(&yaml("trap"))).await.unwrap();
    assert_eq!(host.review("/authorize", &access()).await["status"]["allowed"], true);
    // Users can inflate what they send: a used-up limit is no reason to have no opinion.
    let host = Host::load(specs(&yaml("loop"))).await.unwrap();
    assert_eq!(host.post("/authorize", access().to_string()).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_provider_answers_with_a_status() {
    for (deed, _, code, words) in FAILURES {
        let host = Host::yaml(&host_yaml(deed, "")).await;
        let (status, text) = host.post("/events/bad", "{}").await;
        assert_eq!(u64::from(status.as_u16()), *code, "{deed}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({"error": words}), "{deed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_controller_wants_nothing_done() {
    let invalid = ("invalid_answer", 500, "the policy's answer is not valid");
    let answers = ["many-actions", "refused-action", "bad-action"].map(|deed| (deed, invalid.0, invalid.1, invalid.2));
    for (deed, label, code, words) in FAILURES.iter().copied().chain(answers) {
        let host = Host::yaml(&misbehaving("bad", deed, "")).await;
        let begin = Instant::now();
        let told = host.told(&changed("cm")).await;
        assert!(begin.elapsed() < PATIENCE, "{deed} took {:?}", begin.elapsed());
        assert_eq!(told.map_err(|(status, words)| (u64::from(status), words)), Err((code, words)), "{deed}");
        assert_eq!(host.count("Provider", "bad", label), 1, "{deed}: {}", host.metrics.text());
    }
    // What it would have done before the bad one is not done either, and nothing is nothing.
    let host = Host::yaml(&misbehaving("bad", "nothing", "")).await;
    assert_eq!(host.told(&changed("cm")).await, Ok(json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_cannot_be_made_are_failures() {
    for (deed, label, words, ignored) in [
        ("patch-not-json", "invalid_answer", "the policy's answer is not valid", true),
        ("patch-does-not-apply", "invalid_answer", "the policy's answer is not valid", true),
        ("full-not-json", "invalid_answer", "the policy's answer is not valid", true),
        ("full-no-object", "invalid_answer", "the policy's answer is not valid", true),
        // Users could inflate an object until it is a bomb.
        ("patch-bomb", "size", "the policy's answer is too large", false),
    ] {
        let host = Host::yaml(&host_yaml(deed, "")).await;
        let begin = Instant::now();
        let answer = host.review("/mutate", &config_map("u")).await;
        assert!(begin.elapsed() < PATIENCE, "{deed} took {:?}", begin.elapsed());
        assert_eq!(answer["response"]["status"]["message"], format!("bad: {words}"), "{deed}: {answer}");
        assert!(answer["response"].get("patch").is_none());
        assert_eq!(host.count("Mutator", "bad", label), 1, "{deed}");
        let host = Host::yaml(&only("$ADMISSION", "bad", deed, "  failurePolicy: Ignore")).await;
        let answer = host.review("/mutate", &config_map("u")).await;
        assert_eq!(answer["response"]["allowed"], ignored, "{deed}");
        assert!(answer["response"].get("patch").is_none(), "{deed}");
    }
}

/// Objects of users may be large and deep at once; a change of them takes no longer than it may.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_change_of_a_large_and_deep_object_is_made_in_time() {
    let host = Host::yaml(
        &misbehaving("bad", "change-deep", "").replace("timeoutMilliseconds: 300", "timeoutMilliseconds: 30000"),
    )
    .await;
    let field = format!("{{\"k\":\"{}\"}}", "v".repeat(20));
    let array = format!("[{}]", vec![field; 80_000].join(","));
    let object = (0..100).fold(array, |inside, _| format!("{{\"a\":{inside}}}"));
    let review = config_map("u").to_string().replace("\"data\":{\"a\":\"1\"}", &object[1..object.len() - 1]);
    assert!(review.len() > 2_300_000);
    let ask = async |milliseconds: u128| {
        let begin = Instant::now();
        let (status, answer) = host.post(&format!("/mutate?timeout={milliseconds}ms"), review.clone()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        (serde_json::from_str::<Value>(&answer).unwrap()["response"].clone(), begin.elapsed())
    };
    let expected = json!([{"op": "add", "path": format!("{}/0", "/a".repeat(100)), "value": "deep"}]);
    let changed = |response: &Value| {
        let patch = STANDARD.decode(response["patch"].as_str().unwrap_or_else(|| panic!("{response}"))).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&patch).unwrap(), expected);
    };
    let (response, took) = ask(20_000).await;
    changed(&response);
    println!("changed in {took:?}");

    // And where the time is too short, it ends all the same. How short that is depends on what else the machine does:
    // half as long each time, until it is, each time either changed or late.
    let mut milliseconds = took.as_millis();
    loop {
        let (response, took) = ask(milliseconds).await;
        assert!(took < PATIENCE, "{took:?} of {milliseconds} ms");
        if response["allowed"] == false {
            assert_eq!(response["status"]["code"], 504, "{response}");
            break;
        }
        changed(&response);
        milliseconds /= 2;
        assert!(milliseconds > 0, "changed within 2 ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_become_what_kube_apiserver_takes() {
    let response = async |deed: &str| {
        // Enough memory for a million warnings: what stops them is the limit on answers.
        let host = Host::yaml(
            &misbehaving("bad", deed, "")
                .replace("timeoutMilliseconds: 300, memory: 16Mi", "timeoutMilliseconds: 3000, memory: 256Mi"),
        )
        .await;
        host.review("/validate", &config_map("u")).await["response"].clone()
    };
    let denied = response("code-out-of-range").await;
    assert_eq!((&denied["status"]["code"], &denied["status"]["reason"]), (&json!(403), &json!("Forbidden")));
    let denied = response("long-message").await;
    assert!(denied["status"]["message"].as_str().unwrap().chars().count() < 9000);
    let dirty = response("dirty-warnings").await;
    for warning in dirty["warnings"].as_array().unwrap() {
        let warning = warning.as_str().unwrap();
        assert!(
            !warning.is_empty() && warning.chars().count() <= 256 && !warning.contains(char::is_control),
            "{warning:?}"
        );
    }
    assert_eq!(dirty["allowed"], true);
    let annotated = response("bad-annotations").await;
    let annotations = annotated["auditAnnotations"].as_object().unwrap();
    assert_eq!(annotations.len(), 6, "{annotations:?}");
    for (key, value) in annotations {
        assert!(
            key.len() <= 63 && key.starts_with("bad.") && key.ends_with(|it: char| it.is_ascii_alphanumeric()),
            "{key}"
        );
        assert!(value.as_str().unwrap().chars().count() <= 4096);
    }
    // A million warnings are more than an answer may hold.
    assert_eq!(response("many-warnings").await["status"]["message"], "bad: the policy's answer is too large");
    // Nor are a million pointers to one kilobyte, which are cheap for the guest only.
    let begin = Instant::now();
    assert_eq!(response("pointers").await["status"]["message"], "bad: the policy's answer is too large");
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    assert_eq!(response("invalid-utf8").await["status"]["message"], "bad: the policy's answer is not valid");
    let chatter = response("chatter").await;
    assert_eq!(chatter["allowed"], true);
    assert_eq!(chatter.get("auditAnnotations"), None, "{chatter}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authenticator_cannot_answer_what_must_not_be_said() {
    let status = async |deed: &str| {
        let host = Host::yaml(&misbehaving("bad", deed, "")).await;
        host.review("/authenticate", &token("t0k3n")).await["status"].clone()
    };
    let empty = status("empty-username").await;
    assert_eq!(
        (&empty["authenticated"], &empty["error"]),
        (&json!(false), &json!("policy bad: the policy's answer is not valid"))
    );
    assert_eq!(status("foreign-audience").await, json!({"authenticated": false}));
    assert_eq!(status("reject").await, json!({"authenticated": false}));
    assert!(!status("print-token").await.to_string().contains("t0k3n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_asks_nobody_else() {
    let known = "---\napiVersion: verdict.dev/v1alpha1\nkind: Authenticator\nmetadata: {name: known}\nspec: {component: {builtin: magic-authenticator}, order: 300}\n";
    let host = Host::yaml(&(misbehaving("bad", "reject", "") + known)).await;
    assert_eq!(host.review("/authenticate", &token("magic-token")).await["status"], json!({"authenticated": false}));
    // In shadow it is asked and counted, and decides nothing.
    let host = Host::yaml(&(misbehaving("bad", "reject", "  shadow: true") + known)).await;
    assert_eq!(host.review("/authenticate", &token("magic-token")).await["status"]["authenticated"], true);
    assert_eq!(host.count("Authenticator", "bad", "rejected"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_denial_is_reported_and_modes_say_what_it_does() {
    let yaml = only("$ADMISSION", "one", "deny", "")
        + &only("$ADMISSION", "two", "code-out-of-range", "  message: ask the platform team");
    let host = Host::yaml(&yaml).await;
    let status = host.review("/validate", &config_map("u")).await["response"]["status"].clone();
    assert_eq!(status["message"], "one: denied on purpose\n* spec.x: x is wrong\ntwo: ask the platform team\n* no");
    assert_eq!(
        status["details"]["causes"],
        json!([
        {"field": "spec.x", "reason": "FieldValueInvalid", "message": "x is wrong"}, {"message": "no"}])
    );
    let warnings = json!(["one: denied on purpose", "one: spec.x: x is wrong"]);
    let host = Host::yaml(&only("$ADMISSION", "one", "deny", "  validationActions: [Warn]")).await;
    let response = host.review("/validate", &config_map("u")).await["response"].clone();
    assert_eq!(response, json!({"uid": "u", "allowed": true, "warnings": warnings}));
    let host = Host::yaml(&misbehaving("one", "deny", "  validationActions: [Audit]")).await;
    let response = host.review("/validate", &config_map("u")).await["response"].clone();
    let annotations = json!({"one.denied": "denied on purpose\n* spec.x: x is wrong"});
    assert_eq!(response, json!({"uid": "u", "allowed": true, "auditAnnotations": annotations}));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_policy_displaces_what_another_says() {
    let host = Host::yaml(
        &(misbehaving("chatty", "chatty", "  order: 1")
            + &only("$ADMISSION", "audited", "deny", "  validationActions: [Audit]\n  order: 2")
            + &only("$ADMISSION", "warned", "deny", "  validationActions: [Warn]\n  order: 3")),
    )
    .await;
    let response = host.review("/validate", &config_map("u")).await["response"].clone();
    assert_eq!(response["allowed"], true);
    assert_eq!(response["auditAnnotations"]["audited.denied"], "denied on purpose\n* spec.x: x is wrong", "{response}");
    assert_eq!(response["auditAnnotations"].as_object().unwrap().len(), 64);
    let warnings: Vec<&str> = response["warnings"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert!(warnings.contains(&"warned: denied on purpose"), "{warnings:?}");
    assert!(warnings.iter().map(|it| it.chars().count()).sum::<usize>() <= 4096, "{warnings:?}");

    let host = Host::yaml(&only("$ADMISSION", "shadow", "grow", "  shadow: true")).await;
    let response = host.review("/mutate", &config_map("u")).await["response"].clone();
    assert_eq!(response, json!({"uid": "u", "allowed": true}));
    assert_eq!(host.count("Mutator", "shadow", "mutated"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_instance_sees_another_review_and_none_sees_the_machine() {
    let host = Host::yaml(&(misbehaving("count", "count", "") + &misbehaving("look", "look-around", ""))).await;
    for _ in 0..20 {
        let answer = host.review("/validate/count", &config_map("u")).await;
        assert_eq!(answer["response"]["status"]["message"], "count: seen 1");
    }
    let answer = host.review("/validate/look", &config_map("u")).await;
    assert_eq!(answer["response"]["status"]["message"], "look: found nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_init_refuses_is_told_with_the_setting() {
    let refused = async |deed: &str| {
        let yaml = misbehaving("bad", deed, "").replace("kind: Every", "kind: Validator");
        Host::load(specs(&yaml)).await.err().unwrap()
    };
    assert_eq!(
        refused("refuse-settings").await,
        [
            "test.yaml:7: Validator bad: spec.settings.do: expected something else",
            "test.yaml:7: Validator bad: spec.settings.more[0].key: and here",
            "test.yaml:7: Validator bad: spec.settings: and more of it"
        ]
    );
    assert!(refused("trap-in-init").await[0].contains("spec.component: init failed: the policy trapped"));
    assert!(refused("loop-in-init").await[0].contains("spec.component: init failed: the policy used up its time"));
    assert!(refused("unknown-deed").await[0].contains("spec.settings.do: unknown variant"));
}

/// The budget that the README states: the memory of guests, the bodies in flight, and the program itself.
#[test]
fn a_thousand_callers_stay_within_the_stated_budget() {
    const PROGRAM: u64 = 384 << 20;
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let yaml = ["trap", "hog-memory", "sleep", "nothing"].map(|deed| misbehaving(deed, deed, "")).concat();
    let yaml = yaml.replace("$FIXTURE", &fixtures::misbehaving("").display().to_string());
    let verdict =
        Verdict::serve(&pki, folder.path(), &yaml, &["--guest-memory=512", "--max-bodies=128", "--max-wait=1m"]);
    let tls = http::tls(&pki, Some(&verdict.client));
    let ask = async |caller: usize| {
        // One connection each.
        let connector =
            hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_only().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
        let policy = ["trap", "hog-memory", "sleep", "nothing", "nothing"][caller % 5];
        let uid = format!("uid-{caller}");
        // A tenth of them send a megabyte.
        let filling = "x".repeat(if caller.is_multiple_of(10) { 1 << 20 } else { 10 });
        let object = json!({"metadata": {"name": "cm"}, "data": {"a": filling}});
        let request = Request::post(format!("https://{}/validate/{policy}", verdict.https));
        let request = request.header("content-type", "application/json");
        let request = request.body(Full::from(admission(&uid, object).to_string())).unwrap();
        let answer = client.request(request).await.unwrap();
        let status = answer.status();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&text));
        let answer: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(answer["response"]["uid"], uid);
        assert_eq!(answer["response"]["allowed"], policy == "nothing", "{answer}");
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        futures_util::future::join_all((0..1000).map(&ask)).await;
    });
    // The most that it ever was, as the kernel counted.
    let status = std::fs::read_to_string(format!("/proc/{}/status", verdict.process.id())).unwrap();
    let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let most = peak.unwrap() << 10;
    println!("at most resident with a thousand callers: {} MiB", most >> 20);
    assert!(most < (512 << 20) + (128 << 20) + PROGRAM, "{} MiB", most >> 20);
}

/// Ten thousand failures in the real server: its memory does not grow with them, and the next review is answered.
#[test]
fn failures_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::new(folder.path());
    let yaml = ["trap", "error", "hog-memory", "nothing"].map(|deed| misbehaving(deed, deed, "")).concat();
    let yaml = yaml.replace("$FIXTURE", &fixtures::misbehaving("").display().to_string());
    let verdict = Verdict::serve(&pki, folder.path(), &yaml, &[]);
    let tls = http::tls(&pki, Some(&verdict.client));
    let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
    let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector);
    let ask = async |policy: &str| {
        let request = Request::post(format!("https://{}/validate/{policy}", verdict.https));
        let request = request.header("content-type", "application/json").body(Full::from(config_map("u").to_string()));
        let answer = client.request(request.unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.into_body().collect().await.unwrap().to_bytes()
    };
    let rounds = async |count: usize| {
        for _ in 0..count {
            let round = ["trap", "error", "trap", "error", "trap", "error", "trap", "error", "trap", "hog-memory"];
            futures_util::future::join_all(round.map(&ask)).await;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // What the pool keeps for reuse is there after the first hundred.
    runtime.block_on(rounds(100));
    let before = verdict.metric("process_resident_memory_bytes");
    runtime.block_on(rounds(1000));
    let after = verdict.metric("process_resident_memory_bytes");
    println!("resident: {} MiB, and after 10,000 failures {} MiB", before >> 20, after >> 20);
    assert!(after < before + (32 << 20), "{} MiB became {} MiB", before >> 20, after >> 20);
    let next = runtime.block_on(ask("nothing"));
    assert!(String::from_utf8_lossy(&next).contains("\"allowed\":true"));
}
