//! Modules that claim to be OPA's and lie to the host.

use std::time::Duration;

use verdict::{
    engine::run::{Capacity, Engine},
    spec::{Instances, Kind, Limits, PolicySpec},
};

use super::{hostile::outcome_within, policy, written};
use crate::support::host::{Host, config_map};

/// A module whose values are texts: what it is asked is what these functions do.
struct Fake<'a> {
    builtins: &'a str,
    malloc: &'a str,
    parse: &'a str,
    dump: &'a str,
    eval: &'a str,
    /// What it says where `eval` gives 2000.
    says: &'a str,
    memory: &'a str,
    more: &'a str,
}

const FAKE: Fake<'_> = Fake {
    builtins: "{}",
    malloc: "(i32.const 4096)",
    parse: "(local.get 0)",
    dump: "(local.get 0)",
    eval: "(i32.const 2000)",
    says: "",
    memory: "(import \"env\" \"memory\" (memory 2))",
    more: "",
};

impl Fake<'_> {
    fn text(&self) -> String {
        let Self { builtins, malloc, parse, dump, eval, says, memory, more } = self;
        let text = |text: &str| text.replace('"', "\\22");
        format!(
            r#"(module {memory}
              (import "env" "opa_abort" (func $abort (param i32)))
              (import "env" "opa_println" (func $println (param i32)))
              (import "env" "opa_builtin1" (func $builtin1 (param i32 i32 i32) (result i32)))
              (import "env" "opa_builtin2" (func $builtin2 (param i32 i32 i32 i32) (result i32)))
              (global (export "opa_wasm_abi_version") i32 (i32.const 1))
              (global $asked (mut i32) (i32.const 0))
              (func (export "builtins") (result i32) (i32.const 1000))
              (func (export "entrypoints") (result i32) (i32.const 1500))
              (func (export "opa_malloc") (param i32) (result i32) {malloc})
              (func (export "opa_heap_ptr_get") (result i32) (i32.const 8192))
              (func (export "opa_heap_ptr_set") (param i32))
              (func (export "opa_value_parse") (param i32 i32) (result i32) {parse})
              (func (export "opa_value_dump") (param i32) (result i32) {dump})
              (func (export "opa_json_dump") (param i32) (result i32) (local.get 0))
              (func $eval (export "opa_eval") (param i32 i32 i32 i32 i32 i32 i32) (result i32) {eval})
              (data (i32.const 1000) "{builtins}\00")
              (data (i32.const 1500) "{{\22fake/main\22: 0}}\00")
              (data (i32.const 2000) "{says}\00")
              (data (i32.const 131060) "aaaaaaaaaaaa")
              {more})"#,
            builtins = text(builtins),
            says = text(says),
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_read_with_care() {
    for (says, expected) in [
        ("", "invalid_answer"),
        ("nonsense", "invalid_answer"),
        ("\\ff\\fe", "invalid_answer"),
        ("{}", "invalid_answer"),
        // Undefined.
        ("[]", "invalid_answer"),
        (r#"[{"result": {}}, {"result": {}}]"#, "invalid_answer"),
        (r#"[{"other": {}}]"#, "invalid_answer"),
        (r#"[{"result": 1}]"#, "invalid_answer"),
        (r#"[{"result": {}}]"#, "invalid_answer"),
        // A policy of Gatekeeper's without metadata.
        (r#"[{"result": []}]"#, "invalid_answer"),
        (r#"[{"result": {"response": {"allowed": "yes"}}}]"#, "invalid_answer"),
        (r#"[{"result": {"response": {"allowed": true, "patch": "*", "patchType": "JSONPatch"}}}]"#, "invalid_answer"),
        // What is not said is not allowed.
        (r#"[{"result": {"response": {}}}]"#, "denied"),
        (r#"[{"result": {"response": {"uid": "x", "allowed": false, "status": null}}}]"#, "denied"),
    ] {
        let fake = Fake { says, ..FAKE };
        assert_eq!(outcome_within(&fake.text(), TIME).await, expected, "{says}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pointers_ends_and_limits_are_checked() {
    for (eval, expected) in [
        ("unreachable", "trap"),
        ("(loop (br 0)) (i32.const 0)", "timeout"),
        ("(drop (memory.grow (i32.const 30000))) (i32.const 2000)", "memory"),
        (
            "(call $eval (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
            "stack",
        ),
        ("(i32.const -1)", "invalid_answer"),
        ("(i32.const 131072)", "invalid_answer"),
        // It does not end.
        ("(i32.const 131065)", "invalid_answer"),
        ("(call $abort (i32.const 1500)) (i32.const 2000)", "trap"),
        ("(call $abort (i32.const 131065)) (i32.const 2000)", "trap"),
        ("(call $abort (i32.const -1)) (i32.const 2000)", "invalid_answer"),
        ("(call $println (i32.const -1)) (i32.const 2000)", "invalid_answer"),
        ("(loop (call $println (i32.const 131065)) (br 0)) (i32.const 0)", "timeout"),
        // It has no builtins.
        ("(call $builtin1 (i32.const 0) (i32.const 0) (i32.const 0))", "invalid_answer"),
        ("(call $builtin1 (i32.const -1) (i32.const 0) (i32.const 0))", "invalid_answer"),
    ] {
        let fake = Fake { eval, ..FAKE };
        assert_eq!(outcome_within(&fake.text(), TIME).await, expected, "{eval}");
    }
    // Data is small, reviews are not.
    let at_end = Fake { malloc: "(i32.sub (i32.const 131072) (i32.const 16))", ..FAKE };
    assert_eq!(outcome_within(&at_end.text(), TIME).await, "invalid_answer");
}

/// Of more than an answer may have, in a memory that has the room.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_not_endless() {
    let eval = "(drop (memory.grow (i32.const 300)))
        (memory.fill (i32.const 65536) (i32.const 32) (i32.const 17000000)) (i32.const 65536)";
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { time: Duration::from_secs(20), memory: 32 << 20, ..Limits::default() };
    let path = written(&folder, &Fake { eval, ..FAKE }.text());
    let host = Host::load(vec![PolicySpec { limits, ..policy(Kind::Validator, &path, None) }]).await.unwrap();
    assert_eq!(host.review("/validate", &config_map("u")).await["response"]["allowed"], false);
    assert_eq!(host.count("Validator", "p", "size"), 1);
}

/// Texts of values, and what the host answers to them.
#[tokio::test(flavor = "multi_thread")]
async fn builtins_are_called_with_care() {
    let values = r#"(data (i32.const 3000) "\22%9999d\22\00") (data (i32.const 3100) "[1]\00")"#;
    let sprintf = "(call $builtin2 (i32.const 7) (i32.const 0) (i32.const 3000) (i32.const 3100))";
    let large = values.replace("%9999d", "%999999d");
    let endless = format!("(loop (drop {sprintf}) (br 0)) (i32.const 0)");
    // Where the first review is asked: before it these are what they should be.
    let later = |then: &str, else_: &str| format!("(if (result i32) (global.get $asked) (then {then}) (else {else_}))");
    let (no_room, unread) = (later("(i32.const -1)", FAKE.malloc), later("(i32.const 0)", FAKE.parse));
    let asks = format!("(global.set $asked (i32.const 1)) {sprintf}");
    let fake = Fake { builtins: r#"{"sprintf": 7}"#, more: values, eval: &asks, ..FAKE };
    for (fake, expected) in [
        // What comes back is what `eval` gives: text of a value, but not what a policy answers.
        (Fake { ..fake }, "invalid_answer"),
        (Fake { dump: "(i32.const -1)", ..fake }, "invalid_answer"),
        (Fake { dump: "(i32.const 131065)", ..fake }, "invalid_answer"),
        (Fake { dump: "unreachable", ..fake }, "trap"),
        (Fake { dump: "(loop (br 0)) (i32.const 0)", ..fake }, "timeout"),
        // From within a call of the host, without end.
        (Fake { dump: sprintf, ..fake }, "invalid_answer"),
        (Fake { malloc: &no_room, ..fake }, "invalid_answer"),
        (Fake { parse: &unread, ..fake }, "invalid_answer"),
        (Fake { eval: &endless, ..fake }, "fuel"),
        // What the host holds meanwhile counts.
        (Fake { more: &large, memory: "(import \"env\" \"memory\" (memory 239))", ..fake }, "memory"),
        (Fake { eval: "(call $builtin1 (i32.const 7) (i32.const 0) (i32.const 3000))", ..fake }, "invalid_answer"),
        (
            Fake { eval: "(call $builtin2 (i32.const 8) (i32.const 0) (i32.const 0) (i32.const 0))", ..fake },
            "invalid_answer",
        ),
    ] {
        let text = fake.text();
        let time = if expected == "timeout" { TIME } else { Duration::from_secs(20) };
        assert_eq!(outcome_within(&text, time).await, expected, "{text}");
    }
}

/// Each takes a second stack while the guest writes a value for the host.
#[tokio::test(flavor = "multi_thread")]
async fn as_many_builtins_run_at_once_as_there_are_instances() {
    let engine = Engine::new(Capacity { instances: 8, memory: 1 << 30 }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let eval = "(call $builtin2 (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";
    let fake = Fake { builtins: r#"{"sprintf": 0}"#, dump: "(loop (br 0)) (i32.const 0)", eval, ..FAKE };
    // Long enough for all of them to be there at once.
    let limits = Limits { time: Duration::from_secs(2), memory: 16 << 20, ..Limits::default() };
    let p = PolicySpec { limits, ..policy(Kind::Validator, &written(&folder, &fake.text()), None) };
    let q = PolicySpec { name: "q".to_owned(), ..p.clone() };
    let host = Host::load_in(&engine, vec![p, q]).await.unwrap();
    let ask = async |path: &str| host.review(path, &config_map("u")).await;
    let [p, q] = ["/validate/p", "/validate/q"];
    tokio::join!(ask(p), ask(p), ask(p), ask(q), ask(q), ask(q));
    assert_eq!([host.count("Validator", "p", "timeout"), host.count("Validator", "q", "timeout")], [3, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_review_sees_what_another_left() {
    let says = r#"[{"result": {"response": {"allowed": false, "status": {"message": "there were 0"}}}}]"#;
    // The last digit of the message, and of what the host is told of the heap.
    let counts = format!(
        "(i32.store8 (i32.const {}) (i32.add (i32.const 48) (global.get $asked)))
         (global.set $asked (i32.add (global.get $asked) (i32.const 1))) (i32.const 2000)",
        2000 + says.find("0\"").unwrap()
    );
    let folder = tempfile::tempdir().unwrap();
    let spec = policy(Kind::Validator, &written(&folder, &Fake { eval: &counts, says, ..FAKE }.text()), None);
    let reused = PolicySpec { instance_policy: Instances::Reuse, ..spec.clone() };
    let (host, reused) = (Host::load(vec![spec]).await.unwrap(), Host::load(vec![reused]).await.unwrap());
    for count in 0..3 {
        for (host, before) in [(&host, 0), (&reused, count)] {
            let answer = host.review("/validate", &config_map("u")).await;
            assert_eq!(answer["response"]["status"]["message"], format!("p: there were {before}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_of_opa_does_not_load() {
    let folder = tempfile::tempdir().unwrap();
    let fills = "(memory.fill (i32.const 65536) (i32.const 97) (i32.const 300000)) (local.get 0)";
    let many_names = Fake { memory: "(import \"env\" \"memory\" (memory 6))", parse: fills, ..FAKE };
    let without = |name: &str| FAKE.text().replace(&format!("(export \"{name}\")"), "");
    for (text, expected) in [
        (without("opa_wasm_abi_version"), "does not export opa_wasm_abi_version, which Kubewarden (OPA) needs"),
        (
            FAKE.text().replace("i32 (i32.const 1))", "i32 (i32.const 2))"),
            "speaks version 2 of OPA's ABI, and only version 1 is known here",
        ),
        (without("opa_malloc"), "does not export opa_malloc, which Kubewarden (OPA) needs"),
        (without("opa_eval") + "", "a core Wasm module of no protocol that is known here"),
        (
            Fake { more: "(memory 1)", ..FAKE }.text(),
            "the module has 2 memories, and Kubewarden (OPA) modules have one memory",
        ),
        (
            Fake { memory: "(import \"env\" \"other\" (memory 2))", ..FAKE }.text(),
            "the module has the memory env.other",
        ),
        (Fake { memory: "(import \"env\" \"memory\" (memory 2 9 shared))", ..FAKE }.text(), "a memory that is shared"),
        (
            Fake { memory: "(import \"env\" \"memory\" (memory 2)) (import \"env\" \"t\" (table 1 funcref))", ..FAKE }
                .text(),
            "unknown import: `env::t` has not been defined",
        ),
        (
            Fake { memory: "(import \"env\" \"memory\" (memory 2)) (import \"env\" \"g\" (global i32))", ..FAKE }
                .text(),
            "unknown import: `env::g` has not been defined",
        ),
        (
            Fake { memory: "(import \"env\" \"memory\" (memory 60000))", ..FAKE }.text(),
            "init failed: the policy used up its memory",
        ),
        (
            Fake { builtins: "nonsense", ..FAKE }.text(),
            "init failed: the answer of the policy is not valid: its function builtins",
        ),
        (
            Fake { builtins: r#"{"a": "b"}"#, ..FAKE }.text(),
            "init failed: the answer of the policy is not valid: its function builtins",
        ),
        (Fake { parse: "(i32.const 0)", ..FAKE }.text(), "it cannot read what it is given"),
        (Fake { parse: "unreachable", ..FAKE }.text(), "init failed: the policy trapped"),
        (Fake { parse: "(loop (br 0)) (i32.const 0)", ..FAKE }.text(), "init failed: the policy used up its time"),
        (
            Fake { malloc: "(i32.const -1)", ..FAKE }.text(),
            "init failed: the answer of the policy is not valid: it gave a pointer",
        ),
        // What it would answer now would be in every review.
        (
            Fake { parse: "(call $builtin1 (i32.const 0) (i32.const 0) (i32.const 0))", ..FAKE }.text(),
            "it calls a builtin function when it is not asked about a review",
        ),
        (
            Fake { builtins: r#"{"http.send": 0, "opa.runtime": 1}"#, ..FAKE }.text(),
            "builtin functions of Rego that are not served here: http.send, opa.runtime",
        ),
        // Its names would be in errors and the log.
        (many_names.text().replace("(i32.const 1000))", "(i32.const 65536))"), "the answer of the policy is too large"),
    ] {
        let limits = Limits { memory: 16 << 20, ..Limits::default() };
        let spec = PolicySpec { limits, ..policy(Kind::Validator, &written(&folder, &text), None) };
        let errors = Host::load(vec![spec]).await.err().unwrap_or_else(|| panic!("loaded: {text}"));
        assert!(errors.len() == 1 && errors[0].contains(expected), "{expected}: {errors:?}");
    }
}

const TIME: Duration = Duration::from_millis(300);
