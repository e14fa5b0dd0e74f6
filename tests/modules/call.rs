//! Operations of guests by themselves, from a Rust program, and of waPC guests that know no reviews behind a Provider.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use serde_json::{Value, json};
use verdict::{
    engine::{
        prepare::{CallError, Guest, Source},
        run::HostCalls,
    },
    loader::{Component, Components},
    spec::{Failure, Kind, Limits, PolicySpec},
};

use super::{annotate, policy};
use crate::support::{
    fixtures,
    host::{Host, compiler, engine},
};

const HELLO: &str = "sample:Guest!Hello";

fn provider(operation: Option<&str>) -> PolicySpec {
    PolicySpec {
        operation: operation.map(str::to_owned),
        ..policy(Kind::Provider, &fixtures::module("wapc_echo"), None)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_answers_the_events_of_a_provider() {
    let host = Host::load(vec![provider(Some(HELLO))]).await.unwrap();
    let (status, answer) = host.post("/events/p", "1").await;
    // Nobody answers what it asks the host.
    assert_eq!((status, answer.as_str()), (StatusCode::OK, r#""Hello, 1: Host error: unknown binding: wapc""#));
    assert_eq!(host.count("Provider", "p", "answered"), 1);
    // It puts the event between quotes, which is no JSON then.
    let (status, answer) = host.post("/events/p", json!({"a": "b"}).to_string()).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{answer}");
    assert_eq!(host.count("Provider", "p", "invalid_answer"), 1);

    let host = Host::load(vec![provider(Some("sample:Guest!Bye"))]).await.unwrap();
    let (status, answer) = host.post("/events/p", "1").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{answer}");
    assert_eq!(host.count("Provider", "p", "guest_error"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_for_wapc_alone() {
    let settings = Some("{}".to_owned());
    let bare = PolicySpec { kind: None, ..provider(None) };
    let component = PolicySpec {
        kind: Some(Kind::Provider),
        operation: Some(HELLO.to_owned()),
        ..PolicySpec::builtin("caesar-cipher")
    };
    let review = PolicySpec {
        operation: Some(HELLO.to_owned()),
        ..policy(Kind::Validator, &fixtures::module("k8s_wasm"), None)
    };
    for (spec, expected) in [
        (bare, "spec.operation: this waPC module answers no reviews: declare it as a Provider with spec.operation"),
        (provider(None), "spec.operation: this waPC module answers no reviews"),
        (component, "spec.operation: only waPC modules have operations, and the protocol of this one is \"component\""),
        (
            review,
            "spec.operation: only waPC modules have operations, and the protocol of this one is \"k8s-wasm (WASI)\"",
        ),
        (PolicySpec { settings, ..provider(Some(HELLO)) }, "spec.settings: waPC has no settings"),
        (PolicySpec { kind: Some(Kind::Validator), ..provider(None) }, "it cannot be a Validator, only Provider"),
    ] {
        let errors = Host::load(vec![spec]).await.err().unwrap();
        assert!(errors.len() == 1 && errors[0].contains(expected), "{errors:?}\nexpected {expected}");
    }
}

async fn guest(component: Component) -> Guest {
    let limits = Limits { time: Duration::from_secs(2), ..Limits::default() };
    let source = Source::to_call(engine(), component, None, &limits).unwrap();
    Guest::load("g", engine(), compiler(), &source, limits).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn fixture(name: &str) -> Guest {
    guest(Component::new(fs::read(fixtures::module(name)).unwrap())).await
}

async fn written(text: &str) -> Guest {
    guest(Component::new(wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}")))).await
}

fn text(answer: Result<Vec<u8>, CallError>) -> String {
    answer.map_or_else(|error| error.to_string(), |bytes| String::from_utf8(bytes).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closure_answers_what_a_guest_calls_of_the_host() {
    let echo = fixture("wapc_echo").await;
    assert_eq!(text(echo.call(HELLO, b"Wasm").await), r#""Hello, Wasm: Host error: unknown binding: wapc""#);
    let echo = echo.answering(HostCalls::all(|binding, namespace, operation, payload| {
        assert_eq!((binding, namespace, operation), ("wapc", "sample", "Ping"));
        if payload == b"nobody" { Err("not at home".to_owned()) } else { Ok([b"pong ", payload].concat()) }
    }));
    assert_eq!(text(echo.call(HELLO, b"Wasm").await), r#""Hello, Wasm: pong Wasm""#);
    assert_eq!(text(echo.call(HELLO, b"nobody").await), r#""Hello, nobody: Host error: not at home""#);
    // Bytes, not text.
    assert_eq!(echo.call(HELLO, b"\xff").await.unwrap(), b"\"Hello, \xff: pong \xff\"");
    let failed = echo.call("sample:Guest!Bye", b"").await.unwrap_err();
    let CallError::Failed(Failure::Guest(words)) = failed else { panic!("{failed}") };
    assert!(words.contains("sample:Guest!Bye"), "{words}");
    // What it does not want to answer is answered as in a server.
    let echo = echo.answering(HostCalls::some(|_, _, _, payload| (payload == b"1").then(|| Ok(b"one".to_vec()))));
    assert_eq!(text(echo.call(HELLO, b"1").await), r#""Hello, 1: one""#);
    assert_eq!(text(echo.call(HELLO, b"2").await), r#""Hello, 2: Host error: unknown binding: wapc""#);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubewardens_host_calls_reach_it_too() {
    let policy =
        fixture("kubewarden_wapc").await.answering(HostCalls::all(|binding, namespace, operation, payload| {
            match (binding, namespace, operation) {
                ("kubewarden", "tracing", "log") => Ok(b"noted".to_vec()),
                _ => Err(format!("{namespace} {operation} {}", String::from_utf8_lossy(payload))),
            }
        }));
    let request = json!({"request": {"uid": "u", "object": {"metadata": {"name": "host"}}}, "settings": {}});
    let answer: Value =
        serde_json::from_str(&text(policy.call("validate", request.to_string().as_bytes()).await)).unwrap();
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.starts_with("5 bytes; ") && message.ends_with(r#"net v1/dns_lookup_host "example.org""#),
        "{message}"
    );

    // A command that gives back what the host says.
    let command = r#"(module
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "host" "call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "kubewardennetv1/dns_lookup_hostexample.org")
        (func (export "_start")
            (drop (call $call (i32.const 0) (i32.const 10) (i32.const 10) (i32.const 3) (i32.const 13) (i32.const 18)
                (i32.const 31) (i32.const 11)))
            (i32.store (i32.const 200) (i32.const 300))
            (i32.store (i32.const 204) (i32.const 1000))
            (drop (call $read (i32.const 0) (i32.const 200) (i32.const 1) (i32.const 208)))
            (i32.store (i32.const 204) (i32.load (i32.const 208)))
            (drop (call $write (i32.const 1) (i32.const 200) (i32.const 1) (i32.const 208)))))"#;
    let command = annotate(&wat::parse_str(command).unwrap(), r#"{"mutating": false, "executionMode": "wasi"}"#);
    let command = guest(Component::new(command)).await.answering(HostCalls::all(|_, namespace, operation, payload| {
        Ok(format!("{namespace} {operation} {}", String::from_utf8_lossy(payload)).into_bytes())
    }));
    assert_eq!(text(command.call("validate", b"").await), "net v1/dns_lookup_host example.org");
}

/// A snapshot would keep what was answered at load, when the closure was not there.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_calls_the_host_when_it_starts_is_answered_each_time() {
    let starting = r#"(module
        (import "wapc" "__guest_response" (func $respond (param i32 i32)))
        (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (import "wapc" "__host_response_len" (func $length (result i32)))
        (import "wapc" "__host_response" (func $response (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "bnstart")
        (global $said (mut i32) (i32.const 0))
        (func (export "wapc_init")
            (drop (call $call (i32.const 0) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 2) (i32.const 5)
                (i32.const 0) (i32.const 0)))
            (call $response (i32.const 1000))
            (global.set $said (call $length)))
        (func (export "__guest_call") (param i32 i32) (result i32)
            (call $respond (i32.const 1000) (global.get $said))
            (i32.const 1)))"#;
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let starting = written(starting).await.answering(HostCalls::all(move |_, _, _, _| {
        Ok((counter.fetch_add(1, Ordering::Relaxed) + 1).to_string().into_bytes())
    }));
    assert_eq!((text(starting.call("a", b"").await), text(starting.call("b", b"").await)), ("1".into(), "2".into()));
    assert_eq!(count.load(Ordering::Relaxed), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_host_calls_end_with_the_time() {
    let endless = r#"(module
        (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "__guest_call") (param i32 i32) (result i32)
            (loop (drop (call $call (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)
                (i32.const 0) (i32.const 0))) (br 0))
            (i32.const 0)))"#;
    let endless = written(endless).await.answering(HostCalls::all(|_, _, _, _| Ok(Vec::new())));
    let failed = endless.call("a", b"").await.unwrap_err();
    assert!(matches!(failed, CallError::Failed(Failure::Timeout)), "{failed}");
}

/// What the host answers to a command lies in the host's memory until it is read.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_a_command_does_not_read_count_apart_from_its_input() {
    let endless = r#"(module
        (import "host" "call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (loop (drop (call $call (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)
                (i32.const 0) (i32.const 0))) (br 0))))"#;
    let endless = annotate(&wat::parse_str(endless).unwrap(), r#"{"mutating": false, "executionMode": "wasi"}"#);
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let endless = guest(Component::new(endless)).await.answering(HostCalls::all(move |_, _, _, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(vec![0; 1 << 20])
    }));
    // An input that is larger than what may wait does not count.
    let failed = endless.call("validate", &vec![b' '; 5 << 20]).await.unwrap_err();
    assert!(failed.to_string().ends_with("does not read what the host answers"), "{failed}");
    assert_eq!(count.load(Ordering::Relaxed), 6);
}

/// As TinyGo's guests do.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_exits_with_zero_is_followed_by_wapc_init() {
    let module = |status: u32| {
        format!(
            r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wapc" "__guest_response" (func $respond (param i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "start init")
            (global $seen (mut i32) (i32.const 0))
            (func (export "wapc_init") (global.set $seen (i32.add (global.get $seen) (i32.const 5))))
            (func (export "_start")
                (global.set $seen (i32.mul (i32.add (global.get $seen) (i32.const 1)) (i32.const 5)))
                (call $exit (i32.const {status})))
            (func (export "__guest_call") (param i32 i32) (result i32)
                (call $respond (i32.const 0) (global.get $seen))
                (i32.const 1)))"#
        )
    };
    // In the other order it would be too much.
    assert_eq!(text(written(&module(0)).await.call("any", b"").await), "start init");
    let source = Component::new(wat::parse_str(module(1)).unwrap());
    let source = Source::to_call(engine(), source, None, &Limits::default()).unwrap();
    let failed = Guest::load("g", engine(), compiler(), &source, Limits::default()).await.err().unwrap();
    assert!(failed.to_string().contains("it ended itself with exit code 1"), "{failed}");
}

/// What goes in and out is what the protocol has, without anything that a review adds or asks.
#[tokio::test(flavor = "multi_thread")]
async fn other_guests_are_called_as_they_are() {
    let review = json!({"request": {"request": {"uid": "u", "object": {"metadata": {"labels": {}}}}},
        "settings": {"labels": ["team"]}})
    .to_string();
    for name in ["k8s_wasm", "k8s_wasm_raw"] {
        let module = fixture(name).await;
        let answer: Value = serde_json::from_str(&text(module.call("validate", review.as_bytes()).await)).unwrap();
        let expected = json!({"uid": "u", "allowed": false, "status": {"message": "the label team is required"}});
        assert_eq!(answer["response"]["response"], expected, "{name}");
    }
    let module = fixture("k8s_wasm").await;
    let failed = module.call("alloc", b"").await.unwrap_err();
    assert_eq!(failed.to_string(), "it has no operation alloc; it has authn, authz, validate");
    // Nothing is asked of it at load, so that it can be asked what it thinks of settings.
    let policy = fixture("kubewarden_wapc").await;
    let settings = text(policy.call("validate_settings", br#"{"labels": 1}"#).await);
    assert_eq!(serde_json::from_str::<Value>(&settings).unwrap()["valid"], false, "{settings}");
    assert_eq!(text(policy.call("protocol_version", b"").await), r#""v1""#);

    let builtin = |name: &str| Components::local().load(PolicySpec::builtin(name).component().unwrap()).unwrap();
    let provider = guest(builtin("caesar-cipher")).await;
    let event = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/policies/caesar-cipher/reviews/answered-encrypt.json"));
    let host = Host::load(vec![PolicySpec::builtin("caesar-cipher")]).await.unwrap();
    let event = String::from_utf8(event.unwrap()).unwrap();
    let (_, expected) = host.post("/events/caesar-cipher", event.as_str()).await;
    assert_eq!(text(provider.call("handle-event", event.as_bytes()).await), expected);
    assert!(matches!(provider.call("handle-event", b"\xff").await, Err(CallError::Input)));
    let none = guest(builtin("magic-validator")).await.call("handle-event", b"{}").await.unwrap_err();
    assert_eq!(none.to_string(), "it has no operation handle-event; it has none that can be called");
}
