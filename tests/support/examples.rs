//! The documents that people copy: every one beside a policy or in a template.

use std::{fs, path::PathBuf};

use serde_json::Value;
use walkdir::WalkDir;

/// Declared objects and manifests below `policies/`, each with its file.
pub fn examples() -> Vec<(PathBuf, Value)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let mut examples = Vec::new();
    for entry in WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|it| it.file_name() != "target" && it.file_name() != "node_modules")
    {
        let entry = entry.expect("a readable folder");
        if entry.path().extension().is_none_or(|it| it != "yaml") {
            continue;
        }
        let text = fs::read_to_string(entry.path()).expect("a readable file");
        for document in text.split("---\n").filter(|it| it.contains("verdict.dev/v1alpha1")) {
            let document: Value =
                serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{}: {error}", entry.path().display()));
            if document["kind"] != "PolicyTest" {
                examples.push((entry.path().to_owned(), document));
            }
        }
    }
    assert!(examples.len() > 30, "{} examples", examples.len());
    examples
}
