//! RFC 6902, applied one operation at a time so that none can cost more than it should.
//!
//! The algorithms are json-patch's. Here is what it does not know: an object must not grow by copying, must not become
//! deeper than a reader takes, and no patch may spend its time on moving the items of long arrays.

use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchErrorKind, PatchOperation, RemoveOperation, ReplaceOperation,
    TestOperation,
    jsonptr::{Pointer, PointerBuf},
};
use serde_json::{Map, Value};

use super::{MAX_DEPTH, MAX_OBJECT, MAX_OPERATIONS, PatchError, numbers, too_large, tree::measure};

/// Applies `patch` to `object`, which is of no use after an error.
pub(super) fn apply(object: &mut Value, patch: Value) -> Result<(), PatchError> {
    let Value::Array(operations) = patch else {
        return Err(PatchError("the JSON Patch is not an RFC 6902 patch: it is not an array".to_owned()));
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError(format!("the JSON Patch has more than {MAX_OPERATIONS} operations")));
    }
    let mut budget = Budget { copied: MAX_OBJECT, shifted: MAX_SHIFTED };
    for (index, operation) in operations.into_iter().enumerate() {
        let operation = read(operation).map_err(|wrong| {
            PatchError(format!("the JSON Patch is not an RFC 6902 patch: operation {index} {wrong}"))
        })?;
        budget.pay(object, &operation)?;
        apply_one(object, &operation).map_err(|kind| {
            PatchError(format!(
                "operation {index} of the JSON Patch does not apply at {}: {}",
                shown(operation.path()),
                words(&kind)
            ))
        })?;
    }
    Ok(())
}

fn apply_one(object: &mut Value, operation: &PatchOperation) -> Result<(), PatchErrorKind> {
    match operation {
        // RFC 6902 compares numbers by value.
        PatchOperation::Test(test) => match object.pointer(test.path.as_str()) {
            Some(found) if numbers::equal(found, &test.value) => Ok(()),
            Some(_) => Err(PatchErrorKind::TestFailed),
            None => Err(PatchErrorKind::InvalidPointer),
        },
        other => json_patch::patch_unsafe(object, std::slice::from_ref(other)).map_err(|error| error.kind),
    }
}

/// By hand, because serde's tagged enums do not keep serde_json's numbers apart from objects.
fn read(operation: Value) -> Result<PatchOperation, &'static str> {
    let Value::Object(mut fields) = operation else { return Err("is not an object") };
    let Some(Value::String(op)) = fields.remove("op") else { return Err("has no op") };
    let path = pointer(&mut fields, "path").ok_or("has no valid path")?;
    let mut from = || pointer(&mut fields, "from").ok_or("has no valid from");
    Ok(match op.as_str() {
        "remove" => PatchOperation::Remove(RemoveOperation { path }),
        "move" => PatchOperation::Move(MoveOperation { from: from()?, path }),
        "copy" => PatchOperation::Copy(CopyOperation { from: from()?, path }),
        "add" => PatchOperation::Add(AddOperation { path, value: value(&mut fields)? }),
        "replace" => PatchOperation::Replace(ReplaceOperation { path, value: value(&mut fields)? }),
        "test" => PatchOperation::Test(TestOperation { path, value: value(&mut fields)? }),
        _ => return Err("has an unknown op"),
    })
}

fn value(fields: &mut Map<String, Value>) -> Result<Value, &'static str> {
    fields.remove("value").ok_or("has no value")
}

fn pointer(fields: &mut Map<String, Value>, name: &str) -> Option<PointerBuf> {
    match fields.remove(name)? {
        Value::String(text) => PointerBuf::parse(text).ok(),
        _ => None,
    }
}

/// What one patch may still spend.
struct Budget {
    /// Bytes of what is copied or moved.
    copied: usize,
    /// Items of arrays that make room or close up.
    shifted: usize,
}

impl Budget {
    /// Pays for `operation` before it is applied. Paths that lead nowhere cost nothing: they will not apply.
    fn pay(&mut self, object: &Value, operation: &PatchOperation) -> Result<(), PatchError> {
        let path = operation.path();
        let deep = match operation {
            PatchOperation::Add(AddOperation { value, .. }) => {
                self.shift(object, path)?;
                measure(value).1
            }
            PatchOperation::Replace(ReplaceOperation { value, .. }) => measure(value).1,
            PatchOperation::Copy(CopyOperation { from, .. }) => {
                self.shift(object, path)?;
                self.copy(object, from)?
            }
            PatchOperation::Move(MoveOperation { from, .. }) => {
                self.shift(object, from)?;
                self.shift(object, path)?;
                self.copy(object, from)?
            }
            PatchOperation::Remove(_) => {
                self.shift(object, path)?;
                return Ok(());
            }
            PatchOperation::Test(_) => return Ok(()),
        };
        if path.count() + deep > MAX_DEPTH {
            return Err(PatchError(format!("the changed object nests deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    fn copy(&mut self, object: &Value, from: &Pointer) -> Result<usize, PatchError> {
        let Some(source) = object.pointer(from.as_str()) else { return Ok(0) };
        let (size, deep) = measure(source);
        self.copied = self.copied.checked_sub(size).ok_or_else(too_large)?;
        Ok(deep)
    }

    fn shift(&mut self, object: &Value, path: &Pointer) -> Result<(), PatchError> {
        let array = path.parent().and_then(|parent| object.pointer(parent.as_str())).and_then(Value::as_array);
        let items = array.map_or(0, Vec::len);
        self.shifted = self
            .shifted
            .checked_sub(items)
            .ok_or_else(|| PatchError("the JSON Patch changes long arrays too often".to_owned()))?;
        Ok(())
    }
}

fn words(kind: &PatchErrorKind) -> &'static str {
    match kind {
        PatchErrorKind::TestFailed => "the test failed",
        PatchErrorKind::InvalidFromPointer => "there is nothing at its from",
        PatchErrorKind::CannotMoveInsideItself => "a value cannot move into itself",
        _ => "the path does not exist",
    }
}

/// At most 200 characters of a path, escaped.
fn shown(path: &Pointer) -> String {
    const SHOWN: usize = 200;
    let text = path.as_str();
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
    }
}

/// Some tenths of a second of moving memory.
const MAX_SHIFTED: usize = 1 << 26;
