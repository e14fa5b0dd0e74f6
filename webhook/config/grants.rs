//! `spec.grants`: environment variables, written or from files, and whether what an authenticator prints is kept.

use std::{collections::BTreeMap, path::Path};

use super::{
    document::Place,
    fields::{Field, Object, Report},
    yaml::Value,
};
use crate::{loader::file, spec::Grants};

/// `grants` of a spec.
pub(super) fn grants(spec: &Object<'_>, place: &Place<'_>, report: &mut Report<'_>) -> Grants {
    let mut grants = Grants::default();
    let field = spec.optional("grants");
    let Some(object) = field.and_then(|field| field.object(&["env", "log"], report)) else {
        return grants;
    };
    if let Some(field) = object.optional("log") {
        grants.log = field.boolean(report).unwrap_or_default();
    }
    if let Some(field) = object.optional("env") {
        grants.env = environment(field, place, report);
    }
    grants
}

fn environment(field: &Field<'_>, place: &Place<'_>, report: &mut Report<'_>) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for item in field.list(report) {
        // Nothing of what came is repeated: where the shape is wrong, it may be a secret.
        let Value::Map(_) = &item.node.value else {
            item.expected_secret(report, "a mapping with name, and value or valueFrom");
            continue;
        };
        let Some(object) = item.object(&["name", "value", "valueFrom"], report) else { continue };
        let value = variable(&item, &object, place, report);
        let Some(named) = object.required("name", report) else { continue };
        let Some(name) = named.text(report) else { continue };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=') {
            named.error(report, "the name of an environment variable has printable ASCII characters, and no '='");
        } else if let Some(text) = value
            && environment.insert(name.to_owned(), text).is_some()
        {
            named.error(report, "is the name of another variable");
        }
    }
    environment
}

/// What is wrong never repeats the value: it may be a secret.
fn variable(item: &Field<'_>, object: &Object<'_>, place: &Place<'_>, report: &mut Report<'_>) -> Option<String> {
    let (field, text) = match (object.given("value"), object.optional("valueFrom")) {
        (Some(field), None) => match &field.node.value {
            Value::Text(text) => (field, text.clone()),
            _ => {
                field.expected_secret(report, "a string (in quotes)");
                return None;
            }
        },
        (None, Some(field)) => {
            let file = field.object(&["file"], report)?;
            let file = file.required("file", report)?;
            match from_file(&place.folder.join(file.text(report)?)) {
                Ok(text) => (field, text),
                Err(message) => {
                    file.error(report, message);
                    return None;
                }
            }
        }
        _ => {
            item.error(report, "expected either value or valueFrom");
            return None;
        }
    };
    if text.len() as u64 > MAX_VARIABLE || text.contains('\0') {
        field.error(report, "a value has at most 65536 bytes, none of them zero");
        return None;
    }
    Some(text)
}

fn from_file(path: &Path) -> Result<String, String> {
    let named = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let bytes = file::read(path, MAX_VARIABLE).map_err(|error| named(&error))?;
    let mut text = String::from_utf8(bytes).map_err(|_| named(&"it is not UTF-8"))?;
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
