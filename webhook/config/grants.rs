//! `spec.grants`: environment variables, written or from elsewhere, and whether what an authenticator prints is kept.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    document::Origin,
    fields::{Field, Report},
    refs::{ONLY_IN_A_CLUSTER, reference},
};
use crate::{
    loader::file,
    spec::{Grants, HostCapabilities, declared},
};

/// The values of the variables of `spec` that stand elsewhere, by their place in the list.
pub(super) fn from_elsewhere(spec: &Field<'_>, origin: &Origin<'_>, report: &mut Report<'_>) -> FromElsewhere {
    let items = spec.at("grants").and_then(|it| it.at("env")).map(|it| it.items()).unwrap_or_default();
    let mut found = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let Some(from) = item.at("valueFrom") else { continue };
        let value = match origin {
            Origin::Folder(folder) => in_file(&from, folder, report),
            Origin::Cluster { values, .. } => reference(&from).and_then(|(reference, field)| {
                let value = values(&reference).and_then(fitting).map_err(|why| field.error(report, why));
                Some(Value { file: None, value: value.ok()? })
            }),
            Origin::Request { .. } => None,
        };
        found.extend(value.map(|it| (index, it)));
    }
    found
}

/// By the place of the variable.
pub(super) type FromElsewhere = BTreeMap<usize, Value>;

/// What a variable is.
pub(super) struct Value {
    /// The file that it was read from.
    pub(super) file: Option<PathBuf>,
    value: String,
}

/// Of what the schema allows.
pub(super) fn read(declared: declared::Grants, elsewhere: &FromElsewhere) -> Option<Grants> {
    let values = declared.env.into_iter().enumerate();
    let env = values
        .map(|(index, it)| Some((it.name, it.value.or_else(|| elsewhere.get(&index).map(|it| it.value.clone()))?)));
    let host_capabilities = HostCapabilities::new(declared.host_capabilities)?;
    Some(Grants { env: env.collect::<Option<_>>()?, log: declared.log, host_capabilities })
}

fn in_file(from: &Field<'_>, folder: &Path, report: &mut Report<'_>) -> Option<Value> {
    if let Some((_, field)) = reference(from) {
        field.error(report, ONLY_IN_A_CLUSTER);
    }
    let field = from.at("file")?;
    let path = folder.join(field.words()?);
    match from_file(&path) {
        Ok(value) => Some(Value { file: Some(path), value }),
        Err(message) => {
            field.error(report, message);
            None
        }
    }
}

/// What is wrong never repeats the value: it may be a secret.
fn from_file(path: &Path) -> Result<String, String> {
    let named = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let bytes = file::read(path, MAX_VARIABLE).map_err(|error| named(&error))?;
    let text = String::from_utf8(bytes).map_err(|_| named(&"it is not UTF-8"))?;
    let mut text = fitting(text).map_err(|why| named(&why))?;
    // Editors end files with a line break that nobody means.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn fitting(text: String) -> Result<String, String> {
    if text.contains('\0') {
        return Err("it holds a zero byte, which no environment variable can".to_owned());
    }
    if u64::try_from(text.len()).is_ok_and(|it| it > MAX_VARIABLE) {
        return Err(format!("it is larger than {MAX_VARIABLE} bytes"));
    }
    Ok(text)
}

/// Bytes of one environment variable.
const MAX_VARIABLE: u64 = 65_536;
