//! Changes of an object: applied to its text, and written as the one JSON Patch that kube-apiserver wants.
//!
//! The only place where objects are parsed to be changed. Numbers keep their spelling (serde_json's
//! `arbitrary_precision`); what a guest spelt otherwise without changing its value is put back.

use json_patch::{Patch, PatchOperation};
use serde_json::{Number, Value};

use super::admission::Change;

/// Why a change cannot be made; for the operator.
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
    let old = parse(object, "object")?;
    let mut new = old.clone();
    match change {
        Change::Unchanged => {}
        Change::JsonPatch(_) => {
            let patch: Patch = serde_json::from_str(text)
                .map_err(|error| PatchError(format!("the {name} is not an RFC 6902 patch: {error}")))?;
            apply_operations(&mut new, patch)?;
        }
        Change::MergePatch(_) => json_patch::merge(&mut new, &parse(text, name)?),
        Change::Full(_) => new = parse(text, name)?,
    }
    if !new.is_object() {
        return Err(PatchError(format!("the {name} leaves no JSON object")));
    }
    restore_numbers(&old, &mut new);
    if new == old {
        return Ok(None);
    }
    let text = new.to_string();
    if text.len() > MAX_OBJECT {
        return Err(too_large());
    }
    Ok(Some(text))
}

/// An RFC 6902 patch that turns `old` into exactly `new`; None when they are equal.
///
/// # Errors
/// One of them is not JSON, or nests too deeply.
pub fn between(old: &str, new: &str) -> Result<Option<String>, PatchError> {
    let patch = json_patch::diff(&parse(old, "object")?, &parse(new, "object")?);
    if patch.0.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(&patch).map(Some).map_err(|error| PatchError(error.to_string()))
}

/// serde_json refuses more than 128 levels, so that nothing here recurses deeper.
fn parse(text: &str, name: &str) -> Result<Value, PatchError> {
    serde_json::from_str(text).map_err(|error| PatchError(format!("the {name} cannot be read: {error}")))
}

/// One by one, since `copy` can double an object with each operation.
fn apply_operations(object: &mut Value, patch: Patch) -> Result<(), PatchError> {
    if patch.0.len() > MAX_OPERATIONS {
        return Err(PatchError(format!("the JSON Patch has more than {MAX_OPERATIONS} operations")));
    }
    let mut budget = MAX_COPIES;
    for (index, operation) in patch.0.into_iter().enumerate() {
        let copies = matches!(operation, PatchOperation::Copy(_));
        json_patch::patch(object, std::slice::from_ref(&operation)).map_err(|error| {
            PatchError(format!("operation {index} of the JSON Patch does not apply: {}", error.kind))
        })?;
        if copies {
            // Counting the whole object is the price of every copy, so it is paid from one budget.
            let size = measure(object, 0).ok_or_else(too_deep)?;
            budget = budget.checked_sub(size).ok_or_else(too_large)?;
        }
    }
    measure(object, 0).map(drop).ok_or_else(too_deep)
}

/// Roughly the bytes of memory that an object takes; None when it nests deeper than a reader takes.
fn measure(value: &Value, depth: usize) -> Option<usize> {
    if depth > MAX_DEPTH {
        return None;
    }
    Some(match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => VALUE,
        Value::String(text) => VALUE + text.len(),
        Value::Array(items) => items.iter().try_fold(VALUE, |sum, item| Some(sum + measure(item, depth + 1)?))?,
        Value::Object(fields) => {
            fields.iter().try_fold(VALUE, |sum, (key, field)| Some(sum + key.len() + measure(field, depth + 1)?))?
        }
    })
}

/// Puts back the old spelling of numbers that are the same value; languages with only doubles respell them.
fn restore_numbers(old: &Value, new: &mut Value) {
    match (old, new) {
        (Value::Number(old), Value::Number(new)) if same_number(old, new) => *new = old.clone(),
        (Value::Array(old), Value::Array(new)) => {
            for (old, new) in old.iter().zip(new) {
                restore_numbers(old, new);
            }
        }
        (Value::Object(old), Value::Object(new)) => {
            for (key, new) in new {
                if let Some(old) = old.get(key) {
                    restore_numbers(old, new);
                }
            }
        }
        _ => {}
    }
}

/// Two integers of 64 bits are compared as such; anything else as a double, which is all that a respelling kept.
fn same_number(old: &Number, new: &Number) -> bool {
    if let (Some(old), Some(new)) = (old.as_i128(), new.as_i128()) {
        let fits = |it: i128| (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&it);
        if fits(old) && fits(new) {
            return old == new;
        }
    }
    old.as_f64() == new.as_f64()
}

fn too_large() -> PatchError {
    PatchError(format!("the changed object is larger than {MAX_OBJECT} bytes"))
}

fn too_deep() -> PatchError {
    PatchError(format!("the changed object nests deeper than {MAX_DEPTH} levels"))
}

/// Bytes of a changed object; kube-apiserver takes 3 MiB from a user, which escaping can multiply.
const MAX_OBJECT: usize = 32 << 20;
const MAX_OPERATIONS: usize = 10_000;
/// Bytes that all copies of one patch may look at together.
const MAX_COPIES: usize = 128 << 20;
/// What serde_json's tree takes for one value.
const VALUE: usize = 72;
/// One less than the levels that serde_json reads.
const MAX_DEPTH: usize = 126;

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: &str =
        r#"{"data":{"a":"1"},"list":[1,2,3],"big":12345678901234567890123,"one":1.0,"exp":1e3,"id":9007199254740993}"#;

    fn json_patch(text: &str) -> Result<Option<String>, PatchError> {
        apply(OBJECT, &Change::JsonPatch(text.to_owned()))
    }

    #[test]
    fn respelt_numbers_are_not_changes() {
        let respelt = r#"{"data":{"a":"1"},"list":[1.0,2,3],"big":1.2345678901234568e22,"one":1,"exp":1000.0,"id":9007199254740993}"#;
        assert_eq!(apply(OBJECT, &Change::Full(respelt.into())).unwrap(), None);
        let changed = respelt.replace("\"1\"", "\"2\"");
        let new = apply(OBJECT, &Change::Full(changed)).unwrap().unwrap();
        assert_eq!(between(OBJECT, &new).unwrap().unwrap(), r#"[{"op":"replace","path":"/data/a","value":"2"}]"#);
    }

    #[test]
    fn integers_beyond_doubles_can_be_changed() {
        let changed = OBJECT.replace("9007199254740993", "9007199254740992");
        let new = apply(OBJECT, &Change::Full(changed)).unwrap().unwrap();
        assert_eq!(
            between(OBJECT, &new).unwrap().unwrap(),
            r#"[{"op":"replace","path":"/id","value":9007199254740992}]"#
        );
    }

    #[test]
    fn each_kind_of_change_applies() {
        let added = json_patch(r#"[{"op":"add","path":"/data/b~1c","value":"x"}]"#).unwrap().unwrap();
        assert!(added.contains(r#""b/c":"x""#));
        let merged = apply(OBJECT, &Change::MergePatch(r#"{"data":null,"new":{"x":1}}"#.into())).unwrap().unwrap();
        assert!(!merged.contains("data") && merged.contains(r#""new":{"x":1}"#));
        assert_eq!(json_patch("[]").unwrap(), None);
    }

    #[test]
    fn what_does_not_apply_is_told() {
        for (patch, words) in [
            ("nonsense", "the JSON Patch is not an RFC 6902 patch"),
            ("{}", "the JSON Patch is not an RFC 6902 patch"),
            (r#"[{"op":"destroy","path":"/a"}]"#, "the JSON Patch is not an RFC 6902 patch"),
            (r#"[{"op":"remove","path":"/missing"}]"#, "operation 0 of the JSON Patch does not apply"),
            (r#"[{"op":"test","path":"/data/a","value":"2"}]"#, "operation 0 of the JSON Patch does not apply"),
            (r#"[{"op":"replace","path":"","value":[]}]"#, "the JSON Patch leaves no JSON object"),
        ] {
            let error = json_patch(patch).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
        let full = apply(OBJECT, &Change::Full("nonsense".into())).unwrap_err().to_string();
        assert!(full.starts_with("the full object cannot be read"), "{full}");
    }

    #[test]
    fn copies_that_double_the_object_are_stopped() {
        let copies: Vec<String> =
            (0..60).map(|it| format!(r#"{{"op":"copy","from":"/data","path":"/data/c{it}"}}"#)).collect();
        let error = json_patch(&format!("[{}]", copies.join(","))).unwrap_err().to_string();
        assert!(error.contains("larger than") || error.contains("deeper than"), "{error}");
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(apply(OBJECT, &Change::Full(deep.clone())).is_err());
        assert!(apply(&deep, &Change::MergePatch("{}".into())).is_err());
    }

    #[test]
    fn a_difference_applied_gives_the_new_object() {
        let mut seed = 1;
        for _ in 0..500 {
            let (old, new) = (object(&mut seed), object(&mut seed));
            let Some(patch) = between(&old, &new).unwrap() else { continue };
            let applied = apply(&old, &Change::JsonPatch(patch.clone())).unwrap();
            let applied: Value = serde_json::from_str(&applied.unwrap_or_else(|| old.clone())).unwrap();
            assert_eq!(applied, serde_json::from_str::<Value>(&new).unwrap(), "{old} {patch}");
        }
    }

    fn object(seed: &mut u64) -> String {
        let mut fields = Vec::new();
        for key in ["a", "b/c", "d~e", "ü"] {
            if next(seed) % 3 > 0 {
                fields.push(format!("\"{key}\":{}", value(seed, 3)));
            }
        }
        format!("{{{}}}", fields.join(","))
    }

    fn value(seed: &mut u64, depth: u64) -> String {
        match next(seed) % if depth == 0 { 4 } else { 6 } {
            0 => "null".to_owned(),
            1 => (next(seed) % 5).to_string(),
            2 => format!("\"{}\"", next(seed) % 3),
            3 => "true".to_owned(),
            4 => object(seed),
            _ => {
                let items: Vec<String> = (0..next(seed) % 4).map(|_| value(seed, depth - 1)).collect();
                format!("[{}]", items.join(","))
            }
        }
    }

    /// Always the same numbers, so that a failure can be seen again.
    fn next(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    }
}
