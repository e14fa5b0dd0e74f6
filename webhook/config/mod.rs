//! Policies as YAML: `kind: Policy`, parsed once into values that need no further checks.

pub mod schema;

use std::path::{Path, PathBuf};

use schema::{ConfigError, PolicySpec};

use crate::engine::Interface;

/// Reads policies from files and folders; every error of every file is reported.
pub fn read(paths: &[PathBuf]) -> Result<Vec<PolicySpec>, Vec<ConfigError>> {
    let _ = paths;
    todo!()
}

/// Parses the documents of one text. `source` names it in messages; paths in it are relative to `base_dir`.
pub fn parse(text: &str, source: &str, base_dir: &Path) -> Result<Vec<PolicySpec>, Vec<ConfigError>> {
    let _ = (text, source, base_dir);
    todo!()
}

impl PolicySpec {
    /// A policy named like the built-in component that it runs, with every default.
    pub fn builtin(name: &str) -> Self {
        let _ = name;
        todo!()
    }

    /// What in this document does not fit a component that exports `interfaces`.
    pub fn check_interfaces(&self, interfaces: &[Interface]) -> Vec<ConfigError> {
        let _ = interfaces;
        todo!()
    }
}
