//! Which files hold cases: the documents of kind PolicyTest in one folder, beside the files that they name.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Case,
    document::{KIND, Reader},
    snapshot,
};
use crate::{
    config::{
        self, ConfigError,
        fields::Report,
        yaml::{self, Node, Value},
    },
    loader::file,
};

/// All cases of a folder.
#[derive(Debug)]
pub struct Suite {
    /// In the order of the files' names, then as written.
    pub cases: Vec<Case>,
    /// What the author may want to know, and is not wrong.
    pub notes: Vec<String>,
}

/// Reads every case of `folder`: `*.yaml` and `*.yml` in it, not in folders below.
///
/// # Errors
/// What is wrong with any of the files, or that there are none; never empty.
pub fn read(folder: &Path) -> Result<Suite, Vec<ConfigError>> {
    let mut suite = Suite { cases: Vec::new(), notes: Vec::new() };
    let (mut errors, mut others, mut used) = (Vec::new(), Vec::new(), BTreeSet::new());
    for path in files(folder).map_err(|message| vec![about(folder, message)])? {
        let source = path.display().to_string();
        let text = match file::read(&path, MAX_FILE) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let text = match text {
            Ok(text) => text,
            Err(message) => {
                errors.push(about(&path, message));
                continue;
            }
        };
        let (mut names, mut slugs) = (BTreeSet::new(), BTreeSet::new());
        let (mut is_of_cases, mut wrong) = (false, Vec::new());
        for document in yaml::documents(&text) {
            match document {
                Ok(node) if kind(&node) == Some(KIND) => {
                    is_of_cases = true;
                    let mut report = Report::new(&source);
                    let mut reader = Reader { path: &path, names: &mut names, slugs: &mut slugs, used: &mut used };
                    suite.cases.extend(reader.cases(&node, &mut report));
                    errors.extend(report.finish().err().unwrap_or_default());
                }
                Ok(node) => wrong.extend(suspicious(&node, &source)),
                Err(problems) => wrong.extend(config::problems(&source, problems)),
            }
        }
        if is_of_cases {
            errors.extend(wrong);
        } else {
            others.push((path, wrong));
        }
    }
    // What a case names may be anything.
    for (path, wrong) in others {
        if fs::canonicalize(&path).is_ok_and(|path| used.contains(&path)) {
            continue;
        }
        if wrong.is_empty() {
            suite.notes.push(format!("{}: it is not of kind {KIND}, and no case names it", path.display()));
        }
        errors.extend(wrong);
    }
    let left = snapshot::left_behind(&suite.cases);
    suite.notes.extend(left.iter().map(|path| format!("{}: no case has this snapshot", path.display())));
    if errors.is_empty() && suite.cases.is_empty() {
        errors.push(about(folder, format!("there are no cases: expected a .yaml file of kind {KIND}")));
    }
    if errors.is_empty() { Ok(suite) } else { Err(errors) }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("there are no cases: expected a folder with .yaml files of kind {KIND}")
        }
        _ => error.to_string(),
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|it| it == "yaml" || it == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn kind(node: &Node) -> Option<&str> {
    field(node, "kind")
}

fn field<'n>(node: &'n Node, name: &str) -> Option<&'n str> {
    let Value::Map(entries) = &node.value else { return None };
    match &entries.iter().find(|(key, _)| key == name)?.1.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// A document that was probably meant to hold cases.
fn suspicious(node: &Node, source: &str) -> Option<ConfigError> {
    let Value::Map(entries) = &node.value else { return None };
    let ours = field(node, "apiVersion").is_some_and(|it| it.starts_with("verdict.dev/"));
    let cases = entries.iter().any(|(key, _)| key == "cases");
    (ours || cases).then(|| ConfigError {
        source: format!("{source}:{}", node.line),
        object: None,
        field: Some("kind".to_owned()),
        message: match kind(node) {
            Some(kind) => format!("expected {KIND} (or a case that names this file); got {kind:?}"),
            None => format!("expected {KIND}"),
        },
    })
}

fn about(path: &Path, message: String) -> ConfigError {
    ConfigError { source: path.display().to_string(), object: None, field: None, message }
}

/// Bytes of one file.
const MAX_FILE: u64 = 4 << 20;
