use std::fs;

use super::*;

#[test]
fn a_folder_without_sources_is_refused_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let error = build(folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("nothing to build: expected a Cargo.toml (Rust), a go.mod (Go)"), "{error}");
}

#[test]
fn a_go_mod_without_a_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("go.mod"), "go 1.26\n").unwrap();
    let error = go::name(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("go.mod: expected a line `module NAME`"), "{error}");
}

#[test]
fn a_missing_tool_is_named_with_where_it_comes_from() {
    let error = run("go", "install it", &mut Command::new("/nowhere/go")).unwrap_err();
    assert_eq!(error.to_string(), "go was not found: install it");
}

#[test]
fn a_module_without_a_review_interface_says_what_to_do() {
    let module = wat::parse_str(r#"(module (func (export "verdict:policy/lifecycle@1.0.0#init")))"#).unwrap();
    let error = world::component(&module).unwrap_err().to_string();
    assert!(error.contains("call its Export in func init"), "{error}");
    let error = world::component(b"no wasm").unwrap_err().to_string();
    assert!(error.starts_with("go built no core Wasm module"), "{error}");
}

#[test]
fn a_module_that_breaks_the_contract_is_no_component() {
    let module = wat::parse_str(
        r#"(module (func (export "verdict:policy/lifecycle@1.0.0#init")) (func (export "verdict:admission/validating@1.0.0#validate")))"#,
    );
    let error = world::component(&module.unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("no component can be made: "), "{error}");
}
