//! Lists: Kubernetes' library and cel-go's, version 3.

use std::cmp::Ordering;

use super::{Function, global, member, operators};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::{Kind, Value, equal, order},
};

pub(super) const FUNCTIONS: &[Function] = &[
    member("isSorted", 1, Some(Kind::Bool), is_sorted),
    member("sum", 1, None, sum),
    member("min", 1, None, |args, budget| extreme(args, budget, Ordering::Less)),
    member("max", 1, None, |args, budget| extreme(args, budget, Ordering::Greater)),
    member("indexOf", 2, Some(Kind::Int), |args, budget| find(args, budget, false)),
    member("lastIndexOf", 2, Some(Kind::Int), |args, budget| find(args, budget, true)),
    member("slice", 3, Some(Kind::List), slice),
    member("flatten", 1, Some(Kind::List), flatten),
    member("flatten", 2, Some(Kind::List), flatten),
    member("distinct", 1, Some(Kind::List), distinct),
    member("reverse", 1, Some(Kind::List), reverse),
    member("sort", 1, Some(Kind::List), sort),
    member("first", 1, Some(Kind::Optional), |args, _| end(args, |items| items.first())),
    member("last", 1, Some(Kind::Optional), |args, _| end(args, |items| items.last())),
    global("lists.range", 1, Some(Kind::List), range),
];

/// Sorts `[key, value]` pairs by key and answers the values.
pub(in crate::cel) fn sort_pairs(pairs: &[Value], budget: &mut Budget) -> Outcome {
    let key = |pair: &Value| match pair {
        Value::List(pair) => pair.first().cloned().unwrap_or(Value::Null),
        _ => Value::Null,
    };
    let sorted = sorted(pairs.to_vec(), key, budget)?;
    let values = sorted.iter().filter_map(|pair| match pair {
        Value::List(pair) => pair.get(1).cloned(),
        _ => None,
    });
    Ok(Value::List(values.collect()))
}

fn is_sorted(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::List(items)] = args else { return Err(Fault::Overload) };
    for pair in items.windows(2) {
        budget.charge(1)?;
        if order(&pair[0], &pair[1], budget)?.is_none_or(Ordering::is_gt) {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

fn sum(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::List(items)] = args else { return Err(Fault::Overload) };
    let Some((first, rest)) = items.split_first() else { return Ok(Value::Int(0)) };
    if !matches!(first, Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_)) {
        return Err(Fault::Overload);
    }
    rest.iter().try_fold(first.clone(), |sum, item| {
        budget.charge(1)?;
        operators::add(&[sum, item.clone()], budget)
    })
}

fn extreme(args: &[Value], budget: &mut Budget, wanted: Ordering) -> Outcome {
    let [Value::List(items)] = args else { return Err(Fault::Overload) };
    let Some((first, rest)) = items.split_first() else { return failed("min() or max() of an empty list") };
    order(first, first, budget)?;
    rest.iter().try_fold(first.clone(), |best, item| {
        budget.charge(1)?;
        Ok(if order(item, &best, budget)? == Some(wanted) { item.clone() } else { best })
    })
}

fn find(args: &[Value], budget: &mut Budget, last: bool) -> Outcome {
    let [Value::List(items), wanted] = args else { return Err(Fault::Overload) };
    let mut found = -1;
    for (at, item) in items.iter().enumerate() {
        if equal(item, wanted, budget)? {
            found = at as i64;
            if !last {
                break;
            }
        }
    }
    Ok(Value::Int(found))
}

fn slice(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::List(items), Value::Int(start), Value::Int(end)] = args else { return Err(Fault::Overload) };
    let range = usize::try_from(*start).ok().zip(usize::try_from(*end).ok());
    match range.and_then(|(start, end)| items.get(start..end)) {
        Some(part) => {
            budget.charge(part.len())?;
            Ok(Value::List(part.into()))
        }
        None => failed("slice(): the range is not within the list"),
    }
}

fn flatten(args: &[Value], budget: &mut Budget) -> Outcome {
    let (items, depth) = match args {
        [Value::List(items)] => (items, 1),
        [Value::List(items), Value::Int(depth)] if *depth >= 0 => (items, *depth),
        [Value::List(_), Value::Int(_)] => return failed("flatten(): the level is negative"),
        _ => return Err(Fault::Overload),
    };
    let mut flat = Vec::new();
    flatten_into(items, depth, &mut flat, budget)?;
    Ok(Value::List(flat.into()))
}

/// Recursion as deep as the value.
fn flatten_into(items: &[Value], depth: i64, flat: &mut Vec<Value>, budget: &mut Budget) -> Result<(), Fault> {
    for item in items {
        budget.charge(1)?;
        match item {
            Value::List(inner) if depth > 0 => flatten_into(inner, depth - 1, flat, budget)?,
            item => flat.push(item.clone()),
        }
    }
    Ok(())
}

fn distinct(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::List(items)] = args else { return Err(Fault::Overload) };
    let mut kept: Vec<Value> = Vec::new();
    'items: for item in items.iter() {
        budget.charge(1)?;
        for other in &kept {
            if equal(item, other, budget)? {
                continue 'items;
            }
        }
        kept.push(item.clone());
    }
    Ok(Value::List(kept.into()))
}

fn reverse(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::List(items)] = args else { return Err(Fault::Overload) };
    budget.charge(items.len())?;
    Ok(Value::List(items.iter().rev().cloned().collect()))
}

fn sort(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::List(items)] = args else { return Err(Fault::Overload) };
    budget.charge(items.len())?;
    Ok(Value::List(sorted(items.to_vec(), Value::clone, budget)?.into()))
}

/// Stable. All keys must be of one comparable type.
///
/// All comparisons are paid before the first: a comparator that fails halfway has no total order, on which the standard
/// library's sort may panic. For the same reason not-a-number has a place here.
fn sorted(items: Vec<Value>, key: impl Fn(&Value) -> Value, budget: &mut Budget) -> Result<Vec<Value>, Fault> {
    let mut keyed: Vec<(Value, Value)> = items.into_iter().map(|item| (key(&item), item)).collect();
    let Some((first, _)) = keyed.first() else { return Ok(Vec::new()) };
    order(first, first, budget)?;
    let rounds = keyed.len().ilog2() as usize + 1;
    for (key, _) in &keyed {
        if key.kind() != first.kind() {
            return failed("sort: the elements are of different types");
        }
        let length = match key {
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        budget.bytes(length)?;
        budget.charge(rounds.saturating_mul(length / 32 + 1))?;
    }
    let mut paid = Budget::new(u64::MAX);
    keyed.sort_by(|(a, _), (b, _)| match (a, b) {
        (Value::Double(a), Value::Double(b)) => a.total_cmp(b),
        _ => order(a, b, &mut paid).ok().flatten().unwrap_or(Ordering::Equal),
    });
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

fn end(args: &[Value], pick: fn(&[Value]) -> Option<&Value>) -> Outcome {
    let [Value::List(items)] = args else { return Err(Fault::Overload) };
    Ok(pick(items).map_or(Value::Optional(None), |item| Value::some(item.clone())))
}

fn range(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::Int(end)] = args else { return Err(Fault::Overload) };
    budget.charge(usize::try_from(*end).unwrap_or(0))?;
    Ok(Value::List((0..*end).map(Value::Int).collect()))
}
