//! `object.subset` and `numbers.range_step`.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Fault, Function, Outcome, function,
    number::Number,
    value::Value,
    work::{Exhausted, Work},
};

pub(super) const FUNCTIONS: &[Function] =
    &[function("numbers.range_step", 3, range_step), function("object.subset", 2, subset)];

/// From the first number to the second, both included, in steps of the third.
fn range_step(arguments: &[Value], work: &mut Work) -> Outcome {
    let [Value::Number(from), Value::Number(to), Value::Number(step)] = arguments else { return Err(Fault::Undefined) };
    let (Some(from), Some(to), Some(step)) = (from.whole(), to.whole(), step.whole()) else {
        return Err(Fault::Undefined);
    };
    if step <= 0 {
        return Err(Fault::Undefined);
    }
    let count = (from.abs_diff(to) / step.unsigned_abs()).checked_add(1).ok_or(Exhausted)?;
    let count = usize::try_from(count).map_err(|_| Exhausted)?;
    work.bytes(count.checked_mul(2 * size_of::<Value>()).ok_or(Exhausted)?)?;
    let step = if from <= to { step } else { -step };
    let mut number = from;
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        values.push(Value::whole(number));
        number = number.saturating_add(step);
    }
    Ok(Value::Array(values))
}

/// Whether all of the second is in the first, on every level.
fn subset(arguments: &[Value], work: &mut Work) -> Outcome {
    let [whole, part] = arguments else { return Err(Fault::Undefined) };
    let holds = match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => object(whole, part, work)?,
        (Value::Set(whole), Value::Set(part)) => set(whole, part, work)?,
        (Value::Array(whole), Value::Array(part)) => array(whole, part, work)?,
        (Value::Array(whole), Value::Set(part)) => array_of_set(whole, part, work)?,
        _ => return Err(Fault::Undefined),
    };
    Ok(Value::Bool(holds))
}

fn object(whole: &BTreeMap<Value, Value>, part: &BTreeMap<Value, Value>, work: &mut Work) -> Result<bool, Exhausted> {
    for (key, part) in part {
        work.steps(STEPS_A_LOOK_UP)?;
        let Some(whole) = whole.get(key) else { return Ok(false) };
        let holds = match (whole, part) {
            (Value::Object(whole), Value::Object(part)) => object(whole, part, work)?,
            (Value::Set(whole), Value::Set(part)) => set(whole, part, work)?,
            (Value::Array(whole), Value::Array(part)) => array(whole, part, work)?,
            (whole, part) => whole == part,
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

fn set(whole: &BTreeSet<Value>, part: &BTreeSet<Value>, work: &mut Work) -> Result<bool, Exhausted> {
    work.steps(part.len() * STEPS_A_LOOK_UP)?;
    Ok(part.iter().all(|it| whole.contains(it)))
}

/// The second without gaps somewhere in the first.
fn array(whole: &[Value], part: &[Value], work: &mut Work) -> Result<bool, Exhausted> {
    if part.is_empty() {
        return Ok(true);
    }
    let size = part.iter().try_fold(0, |sum, it| size(it, work).map(|size| sum + size))?;
    for window in whole.windows(part.len()) {
        work.steps(size)?;
        if window == part {
            return Ok(true);
        }
    }
    Ok(false)
}

fn array_of_set(whole: &[Value], part: &BTreeSet<Value>, work: &mut Work) -> Result<bool, Exhausted> {
    work.steps((whole.len() + 1) * STEPS_A_LOOK_UP)?;
    // OPA counts what it finds, each time that it is there.
    let found = whole.iter().filter(|it| part.contains(it)).count();
    Ok(!whole.is_empty() && (found >= part.len()))
}

/// At least the steps that a comparison with it takes.
fn size(value: &Value, work: &mut Work) -> Result<usize, Exhausted> {
    work.steps(1)?;
    Ok(1 + match value {
        Value::Null | Value::Bool(_) | Value::Number(Number::Int(_)) => 1,
        Value::Number(Number::Text(text)) => text.len(),
        Value::String(text) => text.len() / 16,
        Value::Array(values) => values.iter().try_fold(0, |sum, it| size(it, work).map(|size| sum + size))?,
        Value::Set(values) => values.iter().try_fold(0, |sum, it| size(it, work).map(|size| sum + size))?,
        Value::Object(object) => {
            object.iter().try_fold(0, |sum, (key, value)| Ok(sum + size(key, work)? + size(value, work)?))?
        }
    })
}

const STEPS_A_LOOK_UP: usize = 20;
