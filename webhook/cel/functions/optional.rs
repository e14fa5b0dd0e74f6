//! Optional values; `or`, `orValue`, `optMap` and `optFlatMap` are macros: they run only what is needed.

use super::{Function, global, member};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::{Kind, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    global("optional.of", 1, Some(Kind::Optional), |args, _| match args {
        [value] => Ok(Value::some(value.clone())),
        _ => Err(Fault::Overload),
    }),
    global("optional.none", 0, Some(Kind::Optional), |_, _| Ok(Value::Optional(None))),
    global("optional.ofNonZeroValue", 1, Some(Kind::Optional), |args, _| match args {
        [value] if value.is_zero() => Ok(Value::Optional(None)),
        [value] => Ok(Value::some(value.clone())),
        _ => Err(Fault::Overload),
    }),
    global("optional.unwrap", 1, Some(Kind::List), unwrap),
    member("unwrapOpt", 1, Some(Kind::List), unwrap),
    member("hasValue", 1, Some(Kind::Bool), |args, _| match args {
        [Value::Optional(inner)] => Ok(Value::Bool(inner.is_some())),
        _ => Err(Fault::Overload),
    }),
    member("value", 1, None, |args, _| match args {
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
