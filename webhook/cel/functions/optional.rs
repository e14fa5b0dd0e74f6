//! Optional values; `or`, `orValue`, `optMap` and `optFlatMap` are macros: they run only what is needed.

use super::{Function, function, special};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(&["optional.of(V) -> optional_type(V)"], |args, _| match args {
        [value] => Ok(Value::some(value.clone())),
        _ => Err(Fault::Overload),
    }),
    function(&["optional.none() -> optional_type(V)"], |_, _| Ok(Value::Optional(None))),
    function(&["optional.ofNonZeroValue(V) -> optional_type(V)"], |args, _| match args {
        [value] if value.is_zero() => Ok(Value::Optional(None)),
        [value] => Ok(Value::some(value.clone())),
        _ => Err(Fault::Overload),
    }),
    function(&["optional.unwrap(list(optional_type(V))) -> list(V)"], unwrap),
    function(&["list(optional_type(V)).unwrapOpt() -> list(V)"], unwrap),
    function(&["optional_type(V).hasValue() -> bool"], |args, _| match args {
        [Value::Optional(inner)] => Ok(Value::Bool(inner.is_some())),
        _ => Err(Fault::Overload),
    }),
    special(&["optional_type(V).or(optional_type(V)) -> optional_type(V)", "optional_type(V).orValue(V) -> V"]),
    function(&["optional_type(V).value() -> V"], |args, _| match args {
        [Value::Optional(Some(inner))] => Ok(Value::clone(inner)),
        [Value::Optional(None)] => failed("value() of an optional value that has none"),
        _ => Err(Fault::Overload),
    }),
];

fn unwrap(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::List(items)] = args else { return Err(Fault::Overload) };
    budget.charge(items.len())?;
    let values = items.iter().filter_map(|item| match item {
        Value::Optional(None) => None,
        Value::Optional(Some(inner)) => Some(Ok(Value::clone(inner))),
        _ => Some(Err(Fault::Overload)),
    });
    Ok(Value::List(values.collect::<Result<_, _>>()?))
}
