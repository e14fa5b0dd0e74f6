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

const LIFECYCLE: (&str, &[&str]) = ("verdict:policy/lifecycle@1.0.0", &["init"]);
const VALIDATING: (&str, &[&str]) = ("verdict:admission/validating@1.0.0", &["validate"]);

#[test]
fn an_export_that_nobody_asks_needs_a_newer_server() {
    for (instances, told) in [
        // Another interface, and one with another version, which wasmtime would take for ours.
        (
            &[LIFECYCLE, VALIDATING, ("verdict:changes/changes@1.0.0", &["handle"])][..],
            "it exports verdict:changes/changes@1.0.0,",
        ),
        (
            &[LIFECYCLE, ("verdict:admission/validating@1.0.1", &["validate"])],
            "it exports verdict:admission/validating@1.0.1,",
        ),
        (
            &[LIFECYCLE, VALIDATING, ("verdict:admission/mutating@2.0.0", &["mutate"])],
            "it exports verdict:admission/mutating@2.0.0,",
        ),
        (&[("verdict:policy/lifecycle@2.0.0", &["init"]), VALIDATING], "it exports verdict:policy/lifecycle@2.0.0,"),
        // A function too many.
        (
            &[LIFECYCLE, ("verdict:admission/validating@1.0.0", &["validate", "validate-all"])],
            "validating@1.0.0 with the function validate-all,",
        ),
    ] {
        let error = refused(&exporting(instances));
        assert!(error.contains("needs a newer Verdict") && error.contains(told), "{told}: {error}");
    }
}

#[test]
fn an_export_that_lacks_a_function_is_not_complete() {
    for lacking in [
        &[("verdict:policy/lifecycle@1.0.0", &[][..]), VALIDATING][..],
        &[LIFECYCLE, VALIDATING, ("verdict:policy/cleanup@1.0.0", &[])],
    ] {
        let error = refused(&exporting(lacking));
        assert!(
            error.contains("is not complete: it exports verdict:policy/") && error.contains("without the"),
            "{error}"
        );
    }
}

#[test]
fn imports_that_are_not_there_are_three_different_errors() {
    let import = |name: &str| refused(&format!(r#"(component (import "{name}" (instance (export "read" (func)))))"#));
    for newer in ["verdict:host/context@1.0.0", "verdict:host/log@1.1.0", "verdict:kubernetes/lookup@1.0.0"] {
        let error = import(newer);
        assert!(error.contains("needs a newer Verdict") && error.contains(newer), "{error}");
    }
    for denied in ["wasi:http/outgoing-handler@0.2.6", "wasi:clocks/monotonic-clock@0.3.0"] {
        let error = import(denied);
        assert!(error.contains(&format!("imports {denied}, which no policy is granted")), "{error}");
    }
    let error = import("acme:secrets/vault@1.0.0");
    assert!(error.contains("imports acme:secrets/vault@1.0.0, which belongs to another host"), "{error}");
    let error = import("verdict:host/log@1.0.0");
    assert!(error.contains("is not what policies are given"), "{error}");
}
