//! Lists: Kubernetes' library and cel-go's, version 3.

use std::cmp::Ordering;

use super::{Function, function, operators, special};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::{Value, equal, order},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        &[
            "list(int).isSorted() -> bool",
            "list(uint).isSorted() -> bool",
            "list(double).isSorted() -> bool",
            "list(bool).isSorted() -> bool",
            "list(duration).isSorted() -> bool",
            "list(timestamp).isSorted() -> bool",
            "list(string).isSorted() -> bool",
            "list(bytes).isSorted() -> bool",
        ],
        is_sorted,
    ),
    function(
        &[
            "list(int).sum() -> int",
            "list(uint).sum() -> uint",
            "list(double).sum() -> double",
            "list(duration).sum() -> duration",
        ],
        sum,
    ),
    function(
        &[
            "list(int).min() -> int",
            "list(uint).min() -> uint",
            "list(double).min() -> double",
            "list(bool).min() -> bool",
            "list(duration).min() -> duration",
            "list(timestamp).min() -> timestamp",
            "list(string).min() -> string",
            "list(bytes).min() -> bytes",
        ],
        |args, budget| extreme(args, budget, Ordering::Less),
    ),
    function(
        &[
            "list(int).max() -> int",
            "list(uint).max() -> uint",
            "list(double).max() -> double",
            "list(bool).max() -> bool",
            "list(duration).max() -> duration",
            "list(timestamp).max() -> timestamp",
            "list(string).max() -> string",
            "list(bytes).max() -> bytes",
        ],
        |args, budget| extreme(args, budget, Ordering::Greater),
    ),
    function(&["list(A).indexOf(A) -> int"], |args, budget| find(args, budget, false)),
    function(&["list(A).lastIndexOf(A) -> int"], |args, budget| find(args, budget, true)),
    function(&["list(T).slice(int, int) -> list(T)"], slice),
    function(&["list(list(T)).flatten() -> list(T)"], flatten),
    function(&["list(dyn).flatten(int) -> list(dyn)"], flatten),
    function(&["list(T).distinct() -> list(T)"], distinct),
    function(&["list(T).reverse() -> list(T)"], reverse),
    function(
        &[
            "list(int).sort() -> list(int)",
            "list(uint).sort() -> list(uint)",
            "list(double).sort() -> list(double)",
            "list(bool).sort() -> list(bool)",
            "list(duration).sort() -> list(duration)",
            "list(timestamp).sort() -> list(timestamp)",
            "list(string).sort() -> list(string)",
            "list(bytes).sort() -> list(bytes)",
        ],
        sort,
    ),
    function(&["list(V).first() -> optional_type(V)"], |args, _| end(args, |items| items.first())),
    function(&["list(V).last() -> optional_type(V)"], |args, _| end(args, |items| items.last())),
    special(&[
        "list(T).@sortByAssociatedKeys(list(int)) -> list(T)",
        "list(T).@sortByAssociatedKeys(list(uint)) -> list(T)",
        "list(T).@sortByAssociatedKeys(list(double)) -> list(T)",
        "list(T).@sortByAssociatedKeys(list(bool)) -> list(T)",
        "list(T).@sortByAssociatedKeys(list(duration)) -> list(T)",
        "list(T).@sortByAssociatedKeys(list(timestamp)) -> list(T)",
        "list(T).@sortByAssociatedKeys(list(string)) -> list(T)",
        "list(T).@sortByAssociatedKeys(list(bytes)) -> list(T)",
    ]),
    function(&["lists.range(int) -> list(int)"], range),
];

/// `items` in the order of `keys`, each for each.
pub(in crate::cel) fn sort_by(items: Vec<Value>, keys: &[Value], budget: &mut Budget) -> Outcome {
    let pairs = keys.iter().cloned().zip(items).collect();
    Ok(Value::List(sorted(pairs, budget)?.into()))
}

fn is_sorted(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::List(items)] = args else { return Err(Fault::Overload) };
    if let Some(first) = items.first() {
        order(first, first, budget)?;
    }
    for pair in items.windows(2) {
        budget.charge(1)?;
        if order(&pair[0], &pair[1], budget)?.is_some_and(Ordering::is_gt) {
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
    let pairs = items.iter().map(|item| (item.clone(), item.clone())).collect();
    Ok(Value::List(sorted(pairs, budget)?.into()))
}

/// Stable. All keys must be of one comparable type.
///
/// All comparisons are paid before the first: a comparator that fails halfway has no total order, on which the standard
/// library's sort may panic. For the same reason not-a-number has a place here.
fn sorted(mut keyed: Vec<(Value, Value)>, budget: &mut Budget) -> Result<Vec<Value>, Fault> {
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
    keyed.sort_by(|(a, _), (b, _)| match (a, b) {
        (Value::Double(a), Value::Double(b)) => a.total_cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        // The order of all others is free.
        _ => order(a, b, budget).ok().flatten().unwrap_or(Ordering::Equal),
    });
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

fn end(args: &[Value], pick: fn(&[Value]) -> Option<&Value>) -> Outcome {
    let [Value::List(items)] = args else { return Err(Fault::Overload) };
    Ok(pick(items).map_or(Value::Optional(None), |item| Value::some(item.clone())))
}

fn range(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::Int(end)] = args else { return Err(Fault::Overload) };
    let length = usize::try_from(*end).unwrap_or(0);
    budget.memory(length.saturating_mul(size_of::<Value>()))?;
    budget.charge(length)?;
    Ok(Value::List((0..*end).map(Value::Int).collect()))
}
