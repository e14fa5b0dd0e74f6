//! Modules that lie to the host: each gets its own clear failure, and nothing else is touched.

use std::time::Duration;

use serde_json::json;
use verdict::spec::{Kind, Limits, PolicySpec};

use super::{policy, written};
use crate::support::host::{Host, config_map};

const MEMORY: &str = "(memory (export \"memory\") 1)";
const ALLOC: &str = "(func (export \"alloc\") (param i32) (result i32) i32.const 0)";
/// Of preview 1.
const WRITE: &str =
    "(import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))";
const EXIT: &str = "(import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))";
const HOST_CALL: &str =
    "(import \"wapc\" \"__host_call\" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))";
const REQUEST: &str = "(import \"wapc\" \"__guest_request\" (func $request (param i32 i32)))";
const RESPONSE: &str = "(import \"wapc\" \"__guest_response\" (func $response (param i32 i32)))";
const METADATA: &str = "(@custom \"io.kubewarden.metadata\" \"{\\22mutating\\22: false}\")";

/// `validate` of k8s-wasm's WASI protocol.
fn stdio(imports: &str, body: &str) -> String {
    format!("(module {imports} {MEMORY} (func (export \"validate\") {body}))")
}

/// `validate` of its raw protocol.
fn raw(alloc: &str, body: &str) -> String {
    format!("(module {MEMORY} {alloc} (func (export \"validate\") (param i32 i32) (result i64) {body}))")
}

/// A Kubewarden policy that takes its settings, and then does this.
fn wapc(imports: &str, body: &str) -> String {
    format!(
        "(module {imports} {MEMORY} {METADATA}
           (data (i32.const 0) \"{{\\22valid\\22: true}}\")
           (global $asked (mut i32) (i32.const 0))
           (func (export \"__guest_call\") (param i32 i32) (result i32)
             ;; validate_settings is longer than validate.
             (if (i32.gt_u (local.get 0) (i32.const 8)) (then
               (call $answer (i32.const 0) (i32.const 15))
               (return (i32.const 1))))
             {body}))"
    )
    .replace("call $answer", "call $response")
}

/// The outcome, which is the metrics' label, and that it is a denial; and that the next review of another policy goes on.
async fn outcome(text: &str) -> String {
    outcome_within(text, Duration::from_millis(300)).await
}

pub(super) async fn outcome_within(text: &str, time: Duration) -> String {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { time, memory: 16 << 20, ..Limits::default() };
    let spec = PolicySpec { limits, ..policy(Kind::Validator, &written(&folder, text), None) };
    let host = Host::load(vec![spec]).await.unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    let answer = host.review("/validate", &config_map("u")).await;
    assert_eq!((&answer["response"]["uid"], &answer["response"]["allowed"]), (&json!("u"), &json!(false)), "{text}");
    let outcomes =
        ["denied", "fuel", "trap", "timeout", "memory", "stack", "size", "guest_error", "invalid_answer", "host_error"];
    let found: Vec<&str> = outcomes.into_iter().filter(|it| host.count("Validator", "p", it) == 1).collect();
    assert_eq!(found.len(), 1, "{text}: {answer}");
    found[0].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_output_is_bounded_and_read_with_care() {
    let print = |data: &str, length: u32| {
        format!(
            "(i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const {length}))
             (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32))) {data}"
        )
    };
    let saying = |bytes: &str, length: u32| {
        let module = stdio(WRITE, &print("", length));
        module.replace(
            "(func (export \"validate\")",
            &format!("(data (i32.const 64) \"{bytes}\") (func (export \"validate\")"),
        )
    };
    for (text, expected) in [
        (stdio("", ""), "invalid_answer"),
        (stdio("", "unreachable"), "trap"),
        (stdio("", "(loop (br 0))"), "timeout"),
        (stdio(EXIT, "(call $exit (i32.const 1))"), "trap"),
        // It has nothing to say, and leaves politely.
        (stdio(EXIT, "(call $exit (i32.const 0))"), "invalid_answer"),
        (stdio(WRITE, &format!("(loop {} (br 0))", print("", 65000))), "size"),
        (saying("\\ff\\fe", 2), "invalid_answer"),
        (saying("{nonsense", 9), "invalid_answer"),
        (saying("[]", 2), "invalid_answer"),
        (saying("{}", 2), "invalid_answer"),
        (saying("{\\22error\\22: \\22no\\22}", 15), "guest_error"),
        (
            saying("{\\22response\\22: {\\22response\\22: {\\22uid\\22: \\22x\\22, \\22allowed\\22: true}}}", 57),
            "invalid_answer",
        ),
        (stdio("", "(drop (memory.grow (i32.const 30000)))"), "memory"),
    ] {
        assert_eq!(outcome(&text).await, expected, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pointers_and_lengths_are_checked() {
    let alloc = |at: &str| format!("(func (export \"alloc\") (param i32) (result i32) (i32.const {at}))");
    let packed = |at: u64, length: u64| format!("(i64.const {})", at << 32 | length);
    for (text, expected) in [
        (raw(&alloc("65535"), &packed(0, 0)), "invalid_answer"),
        (raw(&alloc("-1"), &packed(0, 0)), "invalid_answer"),
        (raw(ALLOC, &packed(0, 0)), "invalid_answer"),
        (raw(ALLOC, &packed(65536, 1)), "invalid_answer"),
        (raw(ALLOC, &packed(0xffff_ffff, 0xffff)), "invalid_answer"),
        // What it claims to have is more than an answer may be.
        (raw(ALLOC, &packed(0, 0xffff_ffff)), "size"),
        (raw(ALLOC, "unreachable"), "trap"),
        (raw(ALLOC, "(loop (br 0)) (unreachable)"), "timeout"),
    ] {
        assert_eq!(outcome(&text).await, expected, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_of_wapc_are_no_better() {
    let both = format!("{RESPONSE} {REQUEST} {HOST_CALL}");
    let call = |numbers: [&str; 8]| {
        let numbers = numbers.map(|it| format!("(i32.const {it})")).join(" ");
        format!("(drop (call $call {numbers})) (i32.const 0)")
    };
    for (body, expected) in [
        ("(i32.const 0)".to_owned(), "guest_error"),
        // It says that all is well, and nothing else.
        ("(i32.const 1)".to_owned(), "invalid_answer"),
        ("(call $request (i32.const 0) (i32.const 65536)) (i32.const 1)".to_owned(), "invalid_answer"),
        ("(call $request (i32.const -1) (i32.const 0)) (i32.const 1)".to_owned(), "invalid_answer"),
        ("(call $response (i32.const 65536) (i32.const 1)) (i32.const 1)".to_owned(), "invalid_answer"),
        ("(call $response (i32.const 0) (i32.const -1)) (i32.const 1)".to_owned(), "size"),
        (call(["0", "1", "0", "1", "0", "1", "-1", "16"]), "invalid_answer"),
        (call(["0", "-1", "0", "1", "0", "1", "0", "0"]), "invalid_answer"),
        // Longer than any payload is an error for the guest, which goes on.
        (call(["0", "1", "0", "1", "0", "1", "0", "-1"]), "guest_error"),
        (
            format!("(loop {} (br_if 0 (i32.eqz))) (i32.const 0)", call(["0", "1", "0", "1", "0", "1", "0", "0"])),
            "timeout",
        ),
        ("unreachable".to_owned(), "trap"),
    ] {
        let text = wapc(&both, &body);
        assert_eq!(outcome(&text).await, expected, "{text}");
    }
}

/// What the host answers is kept until the guest reads it, but not without end.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_never_reads_its_answers_fails() {
    let text = "(module
        (import \"host\" \"call\" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (import \"wasi_snapshot_preview1\" \"args_sizes_get\" (func $sizes (param i32 i32) (result i32)))
        (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export \"memory\") 1)
        (@custom \"io.kubewarden.metadata\" \"{\\22mutating\\22: false, \\22executionMode\\22: \\22wasi\\22}\")
        (data (i32.const 64) \"{\\22valid\\22: true}\")
        (func (export \"_start\")
          (drop (call $sizes (i32.const 0) (i32.const 4)))
          ;; The arguments of validate-settings are longer than those of validate.
          (if (i32.gt_u (i32.load (i32.const 4)) (i32.const 24)) (then
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 15))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
            (return)))
          (loop
            (drop (call $call (i32.const 0) (i32.const 64) (i32.const 0) (i32.const 64) (i32.const 0) (i32.const 64) (i32.const 0) (i32.const 0)))
            (br 0))))";
    // Long enough to get there on a busy machine.
    assert_eq!(outcome_within(text, Duration::from_secs(20)).await, "invalid_answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_policy_does_not_load() {
    let folder = tempfile::tempdir().unwrap();
    for (text, expected) in [
        ("(module)".to_owned(), "a core Wasm module of no protocol that is known here"),
        ("(module (func (export \"validate\")))".to_owned(), "does not export memory, which k8s-wasm (WASI) needs"),
        (stdio("(import \"env\" \"secret\" (func))", ""), "unknown import: `env::secret` has not been defined"),
        (
            format!("(module {MEMORY} (func (export \"_initialize\") unreachable) (func (export \"validate\")))"),
            "init failed: the policy trapped",
        ),
        (
            format!(
                "(module {MEMORY} (func (export \"_initialize\") (loop (drop (memory.grow (i32.const 100))) (br 0))) (func (export \"validate\")))"
            ),
            "init failed: the policy used up its",
        ),
        (
            format!(
                "(module {RESPONSE} {MEMORY} {METADATA} (func (export \"__guest_call\") (param i32 i32) (result i32) i32.const 0))"
            ),
            "spec.settings: it failed without a word",
        ),
    ] {
        let limits = Limits { time: Duration::from_secs(1), memory: 16 << 20, ..Limits::default() };
        let spec = PolicySpec { limits, ..policy(Kind::Validator, &written(&folder, &text), None) };
        let errors = Host::load(vec![spec]).await.err().unwrap_or_else(|| panic!("loaded: {text}"));
        assert!(errors.len() == 1 && errors[0].contains(expected), "{text}: {errors:?}");
    }
}
