//! What a component says of itself: what this server does not know is told, and never passed over. And components of a contract that is
//! newer or older than this server's.

use std::{fs, path::Path};

use verdict::{engine::prepare::describe, spec::PolicySpec};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, UnresolvedPackageGroup};

use crate::support::host::{Host, config_map};

fn refused(component: &str) -> String {
    refused_bytes(&wat::parse_str(component).unwrap())
}

fn refused_bytes(component: &[u8]) -> String {
    describe(component).unwrap_err().to_string()
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
            &[LIFECYCLE, VALIDATING, ("verdict:schedules/schedules@1.0.0", &["handle"])][..],
            "it exports verdict:schedules/schedules@1.0.0,",
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

/// Today's contract, `changed` as a file of it, and what may come later.
fn contract(changed: impl Fn(&str, String) -> String) -> Vec<UnresolvedPackageGroup> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = fs::read_dir(root.join("wit/deps")).unwrap().map(|it| it.unwrap().path()).collect();
    files.push(root.join("tests/contract/later.wit"));
    let parse = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = changed(name, fs::read_to_string(path).unwrap());
        UnresolvedPackageGroup::parse(path, &text).unwrap_or_else(|(_, error)| panic!("{name}: {error:?}"))
    };
    files.iter().map(|it| parse(it)).collect()
}

/// A validator that allows, with more imports and exports in its world and in its module.
fn built(contract: Vec<UnresolvedPackageGroup>, world: &str, module: &str) -> Vec<u8> {
    let world = format!(
        "package verdict:build; world guest {{ export verdict:policy/lifecycle@1.0.0; export verdict:admission/validating@1.0.0; {world} }}"
    );
    let world = UnresolvedPackageGroup::parse("guest.wit", &world).unwrap_or_else(|(_, error)| panic!("{error:?}"));
    let mut resolve = Resolve::default();
    let package = resolve.push_groups(world, contract).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    // The answer at 64 is ok, and at 68 that it is allowed.
    let mut module = wat::parse_str(format!(
        r#"(module {module} (memory (export "memory") 1) (data (i32.const 68) "\01")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "verdict:policy/lifecycle@1.0.0#init") (param i32 i32) (result i32) (i32.const 128))
            (func (export "verdict:admission/validating@1.0.0#validate") (param i32) (result i32) (i32.const 64)))"#
    ))
    .unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

#[test]
fn components_of_a_newer_contract_need_a_newer_server() {
    for (world, module) in [
        (
            "import verdict:host/context@1.1.0;",
            r#"(import "verdict:host/context@1.1.0" "remaining" (func (result i64)))"#,
        ),
        (
            "import verdict:kubernetes/lookup@1.0.0;",
            r#"(import "verdict:kubernetes/lookup@1.0.0" "get" (func (param i32 i32 i32 i32 i32 i32)))"#,
        ),
        ("import verdict:http/http@1.0.0;", r#"(import "verdict:http/http@1.0.0" "send" (func (param i32 i32 i32)))"#),
        (
            "import verdict:oci/images@1.0.0;",
            r#"(import "verdict:oci/images@1.0.0" "resolve" (func (param i32 i32 i32)))"#,
        ),
        (
            "export verdict:schedules/schedules@1.0.0;",
            r#"(func (export "verdict:schedules/schedules@1.0.0#handle") (param i32 i32 i32 i32) (result i32) unreachable)"#,
        ),
    ] {
        let error = refused_bytes(&built(contract(|_, text| text), world, module));
        let name = world.split([' ', ';']).nth(1).unwrap();
        assert!(error.contains("needs a newer Verdict") && error.contains(name), "{name}: {error}");
    }
}

/// As if `log`, most functions of `guest-runtime` and `review` had been added since.
#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_was_built_before_an_import_was_added_runs() {
    let older = contract(|name, text| match name {
        "guest-runtime.wit" => {
            "package verdict:guest-runtime@1.0.0; interface guest-runtime { random: func() -> u64; }".to_owned()
        }
        "host.wit" => {
            "package verdict:host@1.0.0; interface audit-log { write: func(key: string, value: string); }".to_owned()
        }
        _ => text,
    });
    let component = built(
        older,
        "import verdict:guest-runtime/guest-runtime@1.0.0; import verdict:host/audit-log@1.0.0;",
        r#"(import "verdict:guest-runtime/guest-runtime@1.0.0" "random" (func $random (result i64)))
            (import "verdict:host/audit-log@1.0.0" "write" (func (param i32 i32 i32 i32)))"#,
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("older.wasm");
    fs::write(&path, component).unwrap();
    let host = Host::load(vec![PolicySpec::file("older", &path)]).await.unwrap();
    let answer = host.review("/validate", &config_map("u")).await["response"].clone();
    assert_eq!(answer["allowed"], true, "{answer}");
    assert_eq!(host.count("Validator", "older", "allowed"), 1);
}
