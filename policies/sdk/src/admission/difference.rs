//! What a change of a typed object means for the object itself: a JSON Patch of what differs between the typed value
//! before and after. What the type does not have, and every number that nobody touched, is not in the patch.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::change::{Patch, push_segment};

/// The patch of an object for a change of what lies at `path` of it, a JSON Pointer, from `before` to `after`, which were read from
/// `original`, the text of that part.
pub(super) fn difference(original: &str, path: &str, before: &Value, after: &Value) -> Patch {
    let mut patch = Patch::new();
    let original = serde_json::from_str::<&RawValue>(original).ok();
    differ(&mut path.to_owned(), original, before, after, &mut patch);
    patch
}

fn differ(path: &mut String, original: Option<&RawValue>, before: &Value, after: &Value, patch: &mut Patch) {
    if before == after {
        return;
    }
    match (original.map(shape), before, after) {
        // The type has a default where the object has nothing.
        (None | Some(Shape::Null), _, _) => {
            patch.add(&*path, after.clone());
        }
        // In Kubernetes that is how to say "absent".
        (Some(_), _, Value::Null) => {
            patch.remove(&*path);
        }
        (Some(Shape::Object(original)), Value::Object(before), Value::Object(after)) => {
            for (name, after) in after {
                let member = original.get(&**name).copied();
                within(path, name, |path| match before.get(name) {
                    Some(before) => differ(path, member, before, after, patch),
                    None => {
                        patch.add(&*path, after.clone());
                    }
                });
            }
            for name in before.keys().filter(|name| !after.contains_key(*name) && original.contains_key(&***name)) {
                within(path, name, |path| {
                    patch.remove(&*path);
                });
            }
        }
        (Some(Shape::Array(original)), Value::Array(before), Value::Array(after)) if original.len() == before.len() => {
            differ_items(path, &original, before, after, patch);
        }
        _ => {
            patch.replace(&*path, after.clone());
        }
    }
}

/// Items that stay are told by their equality from both ends, and between by their `name`, as Kubernetes merges lists.
fn differ_items(path: &mut String, original: &[&RawValue], before: &[Value], after: &[Value], patch: &mut Patch) {
    let same = |pair: &(&Value, &Value)| pair.0 == pair.1;
    let head = before.iter().zip(after).take_while(same).count();
    let tail = before[head..].iter().rev().zip(after[head..].iter().rev()).take_while(same).count();
    let (old, new) = (head..before.len() - tail, head..after.len() - tail);
    // Which of the new ones each old one became.
    let kept: Vec<Option<usize>> = if old.len() == new.len() {
        new.clone().map(Some).collect()
    } else {
        old.clone().map(|index| new.clone().find(|it| is_named_alike(&before[index], &after[*it]))).collect()
    };
    let in_order = kept.iter().flatten().is_sorted_by(|one, other| one < other);
    let kept = if in_order { kept } else { vec![None; old.len()] };
    for (index, became) in old.clone().zip(&kept) {
        if let Some(became) = became {
            let original = original.get(index).copied();
            within(path, &index.to_string(), |path| differ(path, original, &before[index], &after[*became], patch));
        }
    }
    // From the end, so that no removal moves what is still to be removed.
    for (index, _) in old.zip(&kept).rev().filter(|(_, became)| became.is_none()) {
        within(path, &index.to_string(), |path| {
            patch.remove(&*path);
        });
    }
    for index in new.filter(|index| !kept.contains(&Some(*index))) {
        within(path, &index.to_string(), |path| {
            patch.add(&*path, after[index].clone());
        });
    }
}

fn is_named_alike(one: &Value, other: &Value) -> bool {
    let name = one.get("name").and_then(Value::as_str);
    name.is_some() && name == other.get("name").and_then(Value::as_str)
}

fn within(path: &mut String, segment: &str, act: impl FnOnce(&mut String)) {
    let length = path.len();
    push_segment(path, segment);
    act(path);
    path.truncate(length);
}

/// A value of the object as it came, one level deep.
enum Shape<'a> {
    Null,
    Object(BTreeMap<Cow<'a, str>, &'a RawValue>),
    Array(Vec<&'a RawValue>),
    Other,
}

fn shape(value: &RawValue) -> Shape<'_> {
    /// Names without escapes are not copied.
    #[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

    let text = value.get();
    let parsed = match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str::<BTreeMap<Name<'_>, &RawValue>>(text)
            .map(|members| Shape::Object(members.into_iter().map(|(name, value)| (name.0, value)).collect())),
        Some(b'[') => serde_json::from_str(text).map(Shape::Array),
        Some(b'n') => Ok(Shape::Null),
        _ => Ok(Shape::Other),
    };
    parsed.unwrap_or(Shape::Other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(original: &str, before: Value, after: Value) -> Value {
        difference(original, "", &before, &after).into_value()
    }

    #[test]
    fn only_what_changed_is_in_the_patch() {
        let original = r#"{"a": {"b": 1.0, "n": 12345678901234567890123, "t": "x"}, "s": 1e400}"#;
        assert_eq!(patch(original, json!({"a": {"t": "x"}}), json!({"a": {"t": "x"}})), json!([]));
        assert_eq!(
            patch(original, json!({"a": {"t": "x"}}), json!({"a": {"t": "y", "u~/": 1}})),
            json!([{"op": "replace", "path": "/a/t", "value": "y"}, {"op": "add", "path": "/a/u~0~1", "value": 1}])
        );
    }

    #[test]
    fn what_the_object_lacks_is_added_as_a_whole() {
        for original in [r#"{}"#, r#"{"labels": null}"#] {
            assert_eq!(
                patch(original, json!({"labels": {}, "more": null}), json!({"labels": {"a": "b"}, "more": null})),
                json!([{"op": "add", "path": "/labels", "value": {"a": "b"}}])
            );
        }
    }

    #[test]
    fn what_is_gone_is_removed_if_it_was_there() {
        let remove = json!([{"op": "remove", "path": "/a"}]);
        assert_eq!(patch(r#"{"a": 1}"#, json!({"a": 1}), json!({})), remove);
        assert_eq!(patch(r#"{"a": 1}"#, json!({"a": 1}), json!({"a": null})), remove);
        assert_eq!(patch(r#"{}"#, json!({"a": 1}), json!({})), json!([]));
    }

    #[test]
    fn items_keep_what_the_type_lacks() {
        let original = r#"[{"name": "a", "x": 1}, {"name": "b", "x": 2}, {"name": "c", "x": 3}]"#;
        let name = |name: &str| json!({"name": name});
        let before = json!([name("a"), name("b"), name("c")]);
        let changed = |after: Value| patch(original, before.clone(), after);
        assert_eq!(changed(json!([name("a"), name("c")])), json!([{"op": "remove", "path": "/1"}]));
        assert_eq!(
            changed(json!([name("a"), name("b"), name("c"), name("d")])),
            json!([{"op": "add", "path": "/3", "value": {"name": "d"}}])
        );
        let image = json!({"name": "b", "image": "i"});
        assert_eq!(
            changed(json!([name("a"), image, name("c")])),
            json!([{"op": "add", "path": "/1/image", "value": "i"}])
        );
        // One goes, another changes: the one that changes is known by its name.
        assert_eq!(
            changed(json!([image, name("d")])),
            json!([
                {"op": "add", "path": "/1/image", "value": "i"},
                {"op": "remove", "path": "/2"}, {"op": "remove", "path": "/0"},
                {"op": "add", "path": "/1", "value": {"name": "d"}},
            ])
        );
    }

    #[test]
    fn items_that_change_places_are_written_anew() {
        let before = json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]);
        let after = json!([{"name": "c"}, {"name": "a"}]);
        let operations = patch(&before.to_string(), before.clone(), after);
        assert_eq!(operations.as_array().unwrap().len(), 5);
    }

    #[test]
    fn a_value_of_another_type_is_replaced() {
        assert_eq!(
            patch(r#"{"a": [1, 1]}"#, json!({"a": [1]}), json!({"a": [2]})),
            json!([{"op": "replace", "path": "/a", "value": [2]}])
        );
    }
}
