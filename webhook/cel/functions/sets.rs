//! Lists as sets, from cel-go.

use super::{Function, function};
use crate::cel::{
    budget::{Budget, Fault, Outcome},
    value::{Value, equal},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(&["sets.contains(list(T), list(T)) -> bool"], |args, budget| {
        let [Value::List(all), Value::List(part)] = args else { return Err(Fault::Overload) };
        Ok(Value::Bool(covers(all, part, budget)?))
    }),
    function(&["sets.equivalent(list(T), list(T)) -> bool"], |args, budget| {
        let [Value::List(a), Value::List(b)] = args else { return Err(Fault::Overload) };
        Ok(Value::Bool(covers(a, b, budget)? && covers(b, a, budget)?))
    }),
    function(&["sets.intersects(list(T), list(T)) -> bool"], intersects),
];

fn covers(all: &[Value], part: &[Value], budget: &mut Budget) -> Result<bool, Fault> {
    for wanted in part {
        if !holds(all, wanted, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn intersects(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::List(a), Value::List(b)] = args else { return Err(Fault::Overload) };
    for item in a.iter() {
        if holds(b, item, budget)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn holds(items: &[Value], wanted: &Value, budget: &mut Budget) -> Result<bool, Fault> {
    budget.charge(1)?;
    for item in items {
        if equal(item, wanted, budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}
