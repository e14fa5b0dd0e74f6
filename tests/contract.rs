//! What a component says of itself: what this server does not know is told, and never passed over.

use verdict::engine::{Capacity, Engine, Program};

fn refused(text: &str) -> String {
    let engine = Engine::new(Capacity { instances: 1, memory: 1 << 28 }).unwrap();
    let error = Program::describe(&engine, &wat::parse_str(text).unwrap()).unwrap_err();
    error.to_string()
}

/// A component with these instances, each a list of function names.
fn exporting(instances: &[(&str, &[&str])]) -> String {
    let exports: String = instances
        .iter()
        .enumerate()
        .map(|(at, (name, functions))| {
            let functions: String = functions.iter().map(|it| format!(r#"(export "{it}" (func $run))"#)).collect();
            format!(r#"(instance $i{at} {functions}) (export "{name}" (instance $i{at}))"#)
        })
        .collect();
    format!(
        r#"(component (core module $m (func (export "run"))) (core instance $i (instantiate $m))
            (func $run (canon lift (core func $i "run"))) {exports})"#
    )
}

const LIFECYCLE: (&str, &[&str]) = ("verdict:policy/lifecycle@0.1.0", &["init", "cleanup"]);
const VALIDATING: (&str, &[&str]) = ("verdict:policy/validating@0.1.0", &["validate"]);

#[test]
fn an_export_that_nobody_asks_needs_a_newer_server() {
    for (instances, told) in [
        // Another interface, and one with another version, which wasmtime would take for ours.
        (
            &[LIFECYCLE, VALIDATING, ("verdict:policy/quotas@0.1.0", &["count"])][..],
            "it exports verdict:policy/quotas@0.1.0,",
        ),
        (
            &[LIFECYCLE, ("verdict:policy/validating@0.1.1", &["validate"])],
            "it exports verdict:policy/validating@0.1.1,",
        ),
        (
            &[LIFECYCLE, VALIDATING, ("verdict:policy/mutating@0.2.0", &["mutate"])],
            "it exports verdict:policy/mutating@0.2.0,",
        ),
        (
            &[LIFECYCLE, VALIDATING, ("verdict:admission/validating@1.0.0", &["validate"])],
            "verdict:admission/validating@1.0.0",
        ),
        (&[("verdict:policy/lifecycle@0.2.0", &["init"]), VALIDATING], "it exports verdict:policy/lifecycle@0.2.0,"),
        // A function too few, and one too many.
        (&[("verdict:policy/lifecycle@0.1.0", &["init"]), VALIDATING], "lifecycle@0.1.0 without the function cleanup"),
        (
            &[LIFECYCLE, ("verdict:policy/validating@0.1.0", &["validate", "validate-all"])],
            "validating@0.1.0 with the function validate-all,",
        ),
    ] {
        let error = refused(&exporting(instances));
        assert!(error.contains("needs a newer Verdict") && error.contains(told), "{told}: {error}");
    }
}

#[test]
fn imports_that_are_not_there_are_three_different_errors() {
    let import = |name: &str| refused(&format!(r#"(component (import "{name}" (instance (export "read" (func)))))"#));
    for newer in ["verdict:host/context@1.0.0", "verdict:policy/log@0.1.1", "verdict:policy/context@0.1.0"] {
        let error = import(newer);
        assert!(error.contains("needs a newer Verdict") && error.contains(newer), "{error}");
    }
    for denied in ["wasi:http/outgoing-handler@0.2.6", "wasi:clocks/monotonic-clock@0.3.0"] {
        let error = import(denied);
        assert!(error.contains(&format!("imports {denied}, which no policy is granted")), "{error}");
    }
    let error = import("acme:secrets/vault@1.0.0");
    assert!(error.contains("imports acme:secrets/vault@1.0.0, which belongs to another host"), "{error}");
    let error = import("verdict:policy/log@0.1.0");
    assert!(error.contains("is not what policies are given"), "{error}");
}
