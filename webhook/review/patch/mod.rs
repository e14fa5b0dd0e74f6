//! Changes of an object: applied to its text, and written as the one JSON Patch that kube-apiserver wants.
//!
//! The only place where objects are parsed to be changed. Both the object and the change are hostile: sizes, the number
//! of values and nesting are bounded before anything is built, the work grows with the sizes and not with the depth, and it
//! ends at a deadline. Numbers keep their spelling, except that serde_json reads `1E5` as `1e+5`; what a guest spelt
//! otherwise without changing its value is put back.

mod diff;
mod error;
mod node;
mod numbers;
mod operations;
mod reader;
mod work;

use serde_json::Value;

use super::admission::Change;
pub use error::{Invalid, PatchError, PatchText, Stuck, TooLarge, WrongOperation};
use node::{Node, weigh};
pub use work::Work;

/// The object after `change`, or None when nothing changes.
///
/// # Errors
/// The change is not JSON, does not apply, is too large, makes something else of the object, or takes too long.
pub fn apply(object: &str, change: &Change, work: &mut Work) -> Result<Option<String>, PatchError> {
    Ok(changed(object, change, work)?.map(|(_, _, text)| text))
}

/// The same, with the patch from `object` to it, as [`between`] gives it: neither needs to be read again for that. No patch: it takes too
/// long.
///
/// # Errors
/// As of [`apply`].
pub fn apply_and_patch(
    object: &str,
    change: &Change,
    work: &mut Work,
) -> Result<Option<(String, Option<String>)>, PatchError> {
    let Some((old, new, text)) = changed(object, change, work)? else { return Ok(None) };
    let patch = diff::between(&old, &new, work).ok().flatten();
    Ok(Some((text, patch)))
}

/// The object before and after, with its text then.
fn changed<'t>(
    object: &'t str,
    change: &'t Change,
    work: &mut Work,
) -> Result<Option<(Node<'t>, Node<'t>, String)>, PatchError> {
    let Some((text, name)) = named(change) else { return Ok(None) };
    let old = read(object, PatchText::Object, work)?;
    let said = read(text, name, work)?;
    let mut new = match change {
        Change::Full(_) => said,
        _ => {
            let mut new = old.clone();
            match change {
                Change::JsonPatch(_) => operations::apply(&mut new, said, work)?,
                _ => operations::merge(&mut new, said, work)?,
            }
            new
        }
    };
    if !matches!(new, Node::Object(_)) {
        return Err(Invalid::LeavesNoObject(name).into());
    }
    numbers::restore(&old, &mut new, work)?;
    if numbers::identical(&old, &new, work)? {
        return Ok(None);
    }
    let mut text = String::new();
    new.write(&mut text);
    if text.len() > MAX_OBJECT {
        return Err(TooLarge::Bytes(PatchText::Changed).into());
    }
    Ok(Some((old, new, text)))
}

/// An RFC 6902 patch that turns `old` into `new`; None when they are equal. Numbers of the same value are equal.
///
/// The patch is never much larger than the two objects: where many small changes would be, a part is replaced whole.
///
/// # Errors
/// One of them is no JSON object, is too large or nests too deeply, or it takes too long.
pub fn between(old: &str, new: &str, work: &mut Work) -> Result<Option<String>, PatchError> {
    let old = read(old, PatchText::Object, work)?;
    let mut new = read(new, PatchText::Changed, work)?;
    let (Node::Object(_), Node::Object(_)) = (&old, &new) else {
        return Err(Invalid::NoObject.into());
    };
    numbers::restore(&old, &mut new, work)?;
    diff::between(&old, &new, work)
}

/// Bytes of memory that [`apply`] takes at most, and [`apply_and_patch`] twice as many.
pub fn room_to_apply(object: &str, change: &Change) -> usize {
    let Some((text, _)) = named(change) else { return 0 };
    let (object, said) = (weigh(object), weigh(text));
    let values = match change {
        Change::Unchanged => 0,
        Change::Full(_) => object.values + said.values,
        Change::MergePatch(_) => 2 * object.values + said.values,
        // What it copies is no more than the object.
        Change::JsonPatch(_) => 3 * object.values + said.values + MAX_OPERATIONS,
    };
    values * VALUE + object.bytes + said.bytes
}

/// Bytes of memory that [`between`] takes at most.
pub fn room_between(old: &str, new: &str) -> usize {
    let (old, new) = (weigh(old), weigh(new));
    // Each value may be a change that is noted.
    (old.values + new.values) * 2 * VALUE + old.bytes + new.bytes
}

/// Reads one document that a user or a guest wrote; `name` says in errors which it is. Whoever looks into an object
/// reads it with this.
///
/// # Errors
/// It is not JSON, is longer than [`MAX_OBJECT`], has too many values, or nests deeper than [`MAX_DEPTH`] levels.
pub fn parse(text: &str, name: PatchText) -> Result<Value, PatchError> {
    let size = node::check(text, name)?;
    if size.values + size.objects * OBJECT > MAX_WEIGHT {
        return Err(TooLarge::Weight(name).into());
    }
    Ok(node::read(text, name)?.into_value())
}

fn read<'t>(text: &'t str, name: PatchText, work: &mut Work) -> Result<Node<'t>, PatchError> {
    work.pay(node::check(text, name)?.values)?;
    Ok(node::read(text, name)?)
}

/// What a change says, and what to call it.
fn named(change: &Change) -> Option<(&str, PatchText)> {
    match change {
        Change::Unchanged => None,
        Change::JsonPatch(text) => Some((text, PatchText::JsonPatch)),
        Change::MergePatch(text) => Some((text, PatchText::MergePatch)),
        Change::Full(text) => Some((text, PatchText::Full)),
    }
}

/// Bytes of an object or a change, before and after. kube-apiserver takes 3 MiB from a user, which escaping can multiply.
pub const MAX_OBJECT: usize = 32 << 20;
/// Operations of one JSON Patch.
pub const MAX_OPERATIONS: usize = 10_000;
/// Levels of arrays and objects: what serde_json reads back, so that nothing recurses deeper.
pub const MAX_DEPTH: usize = 127;
/// Values of one document; the densest of 3 MiB has three quarters of this.
pub const MAX_VALUES: usize = 2_000_000;
/// Of a `Value`, some 64 bytes each: what [`parse`] gives takes at most about 256 MiB.
const MAX_WEIGHT: usize = 4_000_000;
/// What a `Value`'s object weighs beyond one value, since a map of one key takes as much memory as one of eleven.
const OBJECT: usize = 10;
/// Bytes of memory for one value, with what a growing array has to spare.
const VALUE: usize = 64;

#[cfg(test)]
mod tests;
