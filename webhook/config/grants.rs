//! `spec.grants`: environment variables, written or from files, and whether what an authenticator prints is kept.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::fields::{Field, Report};
use crate::{
    loader::file,
    spec::{Grants, HostCapabilities, declared},
};

/// The values of the variables of `spec` that stand in files, by their place in the list, each with its file. Relative paths are relative to
/// `folder`.
pub(super) fn from_files(spec: &Field<'_>, folder: &Path, report: &mut Report<'_>) -> FromFiles {
    let items = spec.at("grants").and_then(|it| it.at("env")).map(|it| it.items()).unwrap_or_default();
    let mut values = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let file = item.at("valueFrom").and_then(|it| it.at("file"));
        let Some((field, name)) = file.and_then(|it| it.words().map(|name| (it, name))) else { continue };
        let path = folder.join(name);
        match from_file(&path) {
            Ok(value) => {
                values.insert(index, (path, value));
            }
            Err(message) => field.error(report, message),
        }
    }
    values
}

/// By the place of the variable: the file and what it holds.
pub(super) type FromFiles = BTreeMap<usize, (PathBuf, String)>;

/// Of what the schema allows.
pub(super) fn read(declared: declared::Grants, files: &FromFiles) -> Option<Grants> {
    let values = declared.env.into_iter().enumerate();
    let env = values
        .map(|(index, it)| Some((it.name, it.value.or_else(|| files.get(&index).map(|(_, value)| value.clone()))?)));
    let host_capabilities = HostCapabilities::new(declared.host_capabilities)?;
    Some(Grants { env: env.collect::<Option<_>>()?, log: declared.log, host_capabilities })
}

/// What is wrong never repeats the value: it may be a secret.
fn from_file(path: &Path) -> Result<String, String> {
    let named = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let bytes = file::read(path, MAX_VARIABLE).map_err(|error| named(&error))?;
    let mut text = String::from_utf8(bytes).map_err(|_| named(&"it is not UTF-8"))?;
    if text.contains('\0') {
        return Err(named(&"it holds a zero byte, which no environment variable can"));
    }
    // Editors end files with a line break that nobody means.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Bytes of one environment variable.
const MAX_VARIABLE: u64 = 65_536;
