//! Changes of an object: applied to its text, and written as the one JSON Patch that kube-apiserver wants.
//!
//! The only place where objects are parsed to be changed. Both the object and the change are hostile: sizes, the number
//! of values and nesting are bounded before anything is built, and the work of a patch is bounded as it goes. Numbers
//! keep their spelling, except that serde_json reads `1E5` as `1e+5`; what a guest spelt otherwise without changing its
//! value is put back.

mod diff;
mod numbers;
mod operations;
mod tree;

use serde_json::Value;

use super::admission::Change;
pub use tree::parse;

/// Why a change cannot be made; for the operator. Quotes at most a path of what the policy said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatchError(String);

/// The object after `change`, or None when nothing changes.
///
/// # Errors
/// The change is not JSON, does not apply, is too large, or makes something else of the object.
pub fn apply(object: &str, change: &Change) -> Result<Option<String>, PatchError> {
    let (text, name) = match change {
        Change::Unchanged => return Ok(None),
        Change::JsonPatch(text) => (text, "JSON Patch"),
        Change::MergePatch(text) => (text, "JSON Merge Patch"),
        Change::Full(text) => (text, "full object"),
    };
    let old = tree::parse(object, "object")?;
    let said = tree::parse(text, name)?;
    let mut new = match change {
        Change::Unchanged => return Ok(None),
        Change::JsonPatch(_) => {
            let mut new = old.clone();
            operations::apply(&mut new, said)?;
            new
        }
        Change::MergePatch(_) => {
            let mut new = old.clone();
            json_patch::merge(&mut new, &said);
            new
        }
        Change::Full(_) => said,
    };
    if !new.is_object() {
        return Err(PatchError(format!("the {name} leaves no JSON object")));
    }
    numbers::restore(&old, &mut new);
    if new == old {
        return Ok(None);
    }
    let text = new.to_string();
    if text.len() > MAX_OBJECT {
        return Err(too_large());
    }
    Ok(Some(text))
}

/// An RFC 6902 patch that turns `old` into `new`; None when they are equal. Numbers of the same value are equal.
///
/// The patch is never much larger than the two objects: where many small changes would be, a part is replaced whole.
///
/// # Errors
/// One of them is no JSON object, is too large or nests too deeply.
pub fn between(old: &str, new: &str) -> Result<Option<String>, PatchError> {
    let old = tree::parse(old, "object")?;
    let mut new = tree::parse(new, "changed object")?;
    let (Value::Object(_), Value::Object(_)) = (&old, &new) else {
        return Err(PatchError("the object is not a JSON object".to_owned()));
    };
    numbers::restore(&old, &mut new);
    Ok(diff::between(&old, &new))
}

fn too_large() -> PatchError {
    PatchError(format!("the changed object is larger than {MAX_OBJECT} bytes"))
}

/// Bytes of an object or a change, before and after. kube-apiserver takes 3 MiB from a user, which escaping can multiply.
pub const MAX_OBJECT: usize = 32 << 20;
/// Operations of one JSON Patch.
pub const MAX_OPERATIONS: usize = 10_000;
/// Levels of arrays and objects: what serde_json reads back, so that nothing recurses deeper.
pub const MAX_DEPTH: usize = 127;

#[cfg(test)]
mod tests;
