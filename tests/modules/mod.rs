//! Guests of k8s-wasm, waPC and Kubewarden run unchanged, next to components and like them.

mod call;
mod capabilities;
mod hostile;
mod hostile_rego;
mod identity;
mod k8s_wasm_files;
mod policies_yml;
mod rego;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use verdict::spec::{Kind, PolicySpec};

use crate::support::fixtures::{self, annotate};

/// A module of `policies/fixtures/modules`, as what it is declared.
fn policy(kind: Kind, path: &Path, settings: Option<&str>) -> PolicySpec {
    PolicySpec { kind: Some(kind), settings: settings.map(str::to_owned), ..PolicySpec::file("p", path) }
}

/// A fixture with the section that Kubewarden's tool writes.
fn annotated(folder: &TempDir, fixture: &str, metadata: &str) -> PathBuf {
    annotated_as(folder, &fixtures::module(fixture), metadata)
}

/// The same of any module.
fn annotated_as(folder: &TempDir, module: &Path, metadata: &str) -> PathBuf {
    let path = folder.path().join(module.file_name().unwrap());
    fs::write(&path, annotate(&fs::read(module).unwrap(), metadata)).unwrap();
    path
}

/// A module that is written by hand.
fn written(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("written.wasm");
    fs::write(&path, wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))).unwrap();
    path
}
