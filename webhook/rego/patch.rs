//! `json.patch`: the operations of RFC 6902 on Rego's values. Paths may also be lists of keys, and lead through sets.

use super::{Fault, Function, Outcome, function, number::Number, parse::MAX_DEPTH, value::Value, work::Work};

pub(super) const FUNCTIONS: &[Function] = &[function("json.patch", 2, patch)];

fn patch(arguments: &[Value], work: &mut Work) -> Outcome {
    let [target, operations] = arguments else { return Err(Fault::Undefined) };
    // None: removed.
    let mut root = Some(target.copied(work)?);
    for operation in operations.array()? {
        let Value::Object(operation) = operation else { return Err(Fault::Undefined) };
        let attribute = |name: &str| operation.get(&Value::string(name)).ok_or(Fault::Undefined);
        let path = path(attribute("path")?, work)?;
        match attribute("op")?.text()? {
            "add" => add(&mut root, &path, attribute("value")?.copied(work)?, work)?,
            "remove" => drop(remove(&mut root, &path, work)?),
            "replace" => {
                let value = attribute("value")?.copied(work)?;
                remove(&mut root, &path, work)?;
                add(&mut root, &path, value, work)?;
            }
            "move" => {
                let value = remove(&mut root, &self::path(attribute("from")?, work)?, work)?;
                add(&mut root, &path, value, work)?;
            }
            "copy" => {
                let from = self::path(attribute("from")?, work)?;
                let value = find(root.as_ref(), &from, work)?.copied(work)?;
                add(&mut root, &path, value, work)?;
            }
            "test" => {
                let value = attribute("value")?;
                value.weigh(work)?;
                if find(root.as_ref(), &path, work)? != value {
                    return Err(Fault::Undefined);
                }
            }
            _ => return Err(Fault::Undefined),
        }
    }
    root.ok_or(Fault::Undefined)
}

/// The keys of a path.
fn path(value: &Value, work: &mut Work) -> Result<Vec<Value>, Fault> {
    match value {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => {
            let mut keys = Vec::new();
            // Any number of slashes at the beginning is one to OPA.
            for part in text.trim_start_matches('/').split('/') {
                work.bytes(size_of::<Value>() + part.len())?;
                keys.push(Value::string(part.replace("~1", "/").replace("~0", "~")));
            }
            Ok(keys)
        }
        Value::Array(keys) => {
            value.weigh(work)?;
            Ok(keys.clone())
        }
        _ => Err(Fault::Undefined),
    }
}

fn add(root: &mut Option<Value>, path: &[Value], value: Value, work: &mut Work) -> Result<(), Fault> {
    // No operation makes more of a value than can be walked through.
    if path.len() + value.weigh(work)? > MAX_DEPTH {
        return Err(Fault::Undefined);
    }
    let Some((last, parents)) = path.split_last() else {
        *root = Some(value);
        return Ok(());
    };
    change(root.as_mut().ok_or(Fault::Undefined)?, parents, work, |parent, work| match parent {
        Value::Object(object) => {
            object.insert(last.clone(), value);
            Ok(())
        }
        Value::Set(set) if *last == value => {
            set.insert(value);
            Ok(())
        }
        Value::Array(values) => {
            let at = index(last, values.len()).filter(|at| *at <= values.len()).ok_or(Fault::Undefined)?;
            work.steps(values.len() - at)?;
            values.insert(at, value);
            Ok(())
        }
        _ => Err(Fault::Undefined),
    })
}

fn remove(root: &mut Option<Value>, path: &[Value], work: &mut Work) -> Outcome {
    let Some((last, parents)) = path.split_last() else { return root.take().ok_or(Fault::Undefined) };
    change(root.as_mut().ok_or(Fault::Undefined)?, parents, work, |parent, work| match parent {
        Value::Object(object) => object.remove(last).ok_or(Fault::Undefined),
        Value::Set(set) => set.take(last).ok_or(Fault::Undefined),
        Value::Array(values) => {
            let at = index(last, values.len()).filter(|at| *at < values.len()).ok_or(Fault::Undefined)?;
            work.steps(values.len() - at)?;
            Ok(values.remove(at))
        }
        _ => Err(Fault::Undefined),
    })
}

fn find<'v>(root: Option<&'v Value>, path: &[Value], work: &mut Work) -> Result<&'v Value, Fault> {
    let mut found = root;
    for key in path {
        work.steps(STEPS_A_KEY)?;
        found = match found {
            Some(Value::Object(object)) => object.get(key),
            Some(Value::Set(set)) => set.get(key),
            Some(Value::Array(values)) => index(key, values.len()).and_then(|at| values.get(at)),
            _ => None,
        };
    }
    found.ok_or(Fault::Undefined)
}

/// Lets `with` change what a path leads to. An element of a set finds a new place there.
fn change<T>(
    value: &mut Value,
    path: &[Value],
    work: &mut Work,
    with: impl FnOnce(&mut Value, &mut Work) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let Some((key, rest)) = path.split_first() else { return with(value, work) };
    work.steps(STEPS_A_KEY)?;
    match value {
        Value::Object(object) => change(object.get_mut(key).ok_or(Fault::Undefined)?, rest, work, with),
        Value::Array(values) => {
            let at = index(key, values.len()).ok_or(Fault::Undefined)?;
            change(values.get_mut(at).ok_or(Fault::Undefined)?, rest, work, with)
        }
        Value::Set(set) => {
            let mut element = set.take(key).ok_or(Fault::Undefined)?;
            let result = change(&mut element, rest, work, with)?;
            set.insert(element);
            Ok(result)
        }
        _ => Err(Fault::Undefined),
    }
}

/// Of an array; `-` is behind its end.
fn index(key: &Value, length: usize) -> Option<usize> {
    let index = match key {
        Value::Number(number) => number.int()?,
        Value::String(text) if **text == *"-" => return Some(length),
        Value::String(text) if text.len() > 1 && text.starts_with('0') => return None,
        Value::String(text) => Number::parse(text.strip_prefix('+').unwrap_or(text))?.int()?,
        _ => return None,
    };
    usize::try_from(index).ok()
}

const STEPS_A_KEY: usize = 20;
