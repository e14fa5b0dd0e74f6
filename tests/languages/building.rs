//! What `verdict build` makes: the same bytes of the same sources, that decide as the policy in Rust and import what they need.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use verdict::{engine::prepare::describe, spec::Interface};

use super::{Language, every_component, every_of, table::LANGUAGES};
use crate::support::{fixtures, node, samples::decides_as_required_labels_in_rust};

#[tokio::test(flavor = "multi_thread")]
async fn required_labels_decides_as_the_one_in_rust() {
    let component = |it: &Language| (it.built.as_ref()?.required_labels)();
    every_of(component, |_, component| async move {
        decides_as_required_labels_in_rust(&component, Duration::from_secs(20)).await;
    })
    .await;
}

#[test]
fn required_labels_imports_what_it_needs() {
    for language in LANGUAGES {
        let Some(built) = &language.built else { continue };
        let Some(component) = (built.required_labels)() else { continue };
        let description = describe(&fs::read(&component).unwrap()).unwrap();
        assert_eq!(description.interfaces, [Interface::Validating], "in {}", language.name);
        let name = |it: &String| if it.starts_with("wasi:") { "wasi".to_owned() } else { it.clone() };
        let imports: BTreeSet<String> = description.imports.iter().map(name).collect();
        assert_eq!(imports, built.imports.iter().map(ToString::to_string).collect(), "in {}", language.name);
    }
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    every_component(|language, component| {
        let Some(built) = &language.built else { return };
        let (elsewhere, outputs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for source in (built.sources)(elsewhere.path()) {
            let before = files(&source);
            let again = outputs.path().join("again.wasm");
            let output =
                Command::new(env!("CARGO_BIN_EXE_verdict")).arg("build").arg(&source).arg("-o").arg(&again).output();
            let output = output.unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(fs::read(component).unwrap() == fs::read(&again).unwrap(), "{} builds others", source.display());
            assert_eq!(files(&source), before, "something was left behind");
            assert_eq!(files(outputs.path()), [OsString::from("again.wasm")].into(), "something was left behind");
        }
    });
}

/// What is in a folder, without what npm keeps there.
fn files(folder: &Path) -> BTreeSet<OsString> {
    let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name());
    names.filter(|it| it != "node_modules").collect()
}

/// The SDK is where go.mod says, relative to it.
pub(super) fn in_go(_: &Path) -> Vec<PathBuf> {
    vec![node::policies("fixtures/misbehaving-go")]
}

pub(super) fn in_javascript(_: &Path) -> Vec<PathBuf> {
    vec![node::copied("fixtures/misbehaving-js", "fixtures/misbehaving-js-again")]
}

pub(super) fn in_python(elsewhere: &Path) -> Vec<PathBuf> {
    let source = node::policies("fixtures/misbehaving-python");
    let copy = elsewhere.join("copy");
    node::copy(&source, &copy);
    vec![source, copy]
}

#[test]
fn the_unit_tests_of_the_sdks_pass() {
    every_component(|language, _| {
        if let Some(built) = &language.built {
            (built.unit_tests)();
        }
    });
}

pub(super) fn unit_tests_in_go() {
    for module in ["sdk-go", "required-labels-go"] {
        fixtures::go_checks(&node::policies(module));
    }
}

/// In the copies of them that were made to build the policy.
pub(super) fn unit_tests_in_javascript() {
    for example in ["required-labels-js", "expiring-js"] {
        node::component(example).unwrap();
    }
    for folder in ["sdk-js", "required-labels-js", "expiring-js"] {
        let folder = fixtures::target().join("js").join(folder);
        let output = Command::new("npm").args(["test", "--silent"]).current_dir(&folder).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("fail 0"), "{}: {text}", folder.display());
    }
}

pub(super) fn unit_tests_in_python() {
    for folder in ["sdk-python", "required-labels-python", "image-changes-python"] {
        let folder = node::policies(folder);
        let mut tests = Command::new(fixtures::has_python().unwrap());
        tests.args(["-m", "unittest"]).current_dir(&folder).env("PYTHONDONTWRITEBYTECODE", "1");
        let output = tests.output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !text.contains("Ran 0 tests"), "{}: {text}", folder.display());
    }
}
