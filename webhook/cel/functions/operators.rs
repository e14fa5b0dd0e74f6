//! Operators, `in`, indexes and fields. Overflow and division by zero are failures, as in CEL.

use std::cmp::Ordering;

use ::time::Duration as Span;

use super::{Function, function, special, time};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    list::List,
    value::{Key, Value, equal, order},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(&["!_(bool) -> bool"], not),
    function(&["-_(double) -> double", "-_(int) -> int"], negate),
    function(
        &[
            "_+_(bytes, bytes) -> bytes",
            "_+_(double, double) -> double",
            "_+_(duration, duration) -> duration",
            "_+_(duration, timestamp) -> timestamp",
            "_+_(timestamp, duration) -> timestamp",
            "_+_(int, int) -> int",
            "_+_(list(A), list(A)) -> list(A)",
            "_+_(string, string) -> string",
            "_+_(uint, uint) -> uint",
        ],
        add,
    ),
    function(
        &[
            "_-_(double, double) -> double",
            "_-_(duration, duration) -> duration",
            "_-_(int, int) -> int",
            "_-_(timestamp, duration) -> timestamp",
            "_-_(timestamp, timestamp) -> duration",
            "_-_(uint, uint) -> uint",
        ],
        subtract,
    ),
    function(&["_*_(double, double) -> double", "_*_(int, int) -> int", "_*_(uint, uint) -> uint"], multiply),
    function(&["_/_(double, double) -> double", "_/_(int, int) -> int", "_/_(uint, uint) -> uint"], divide),
    function(&["_%_(int, int) -> int", "_%_(uint, uint) -> uint"], remainder),
    function(&["_==_(A, A) -> bool"], |args, budget| Ok(Value::Bool(same(args, budget)?))),
    function(&["_!=_(A, A) -> bool"], |args, budget| Ok(Value::Bool(!same(args, budget)?))),
    function(
        &[
            "_<_(bool, bool) -> bool",
            "_<_(int, int) -> bool",
            "_<_(int, double) -> bool",
            "_<_(int, uint) -> bool",
            "_<_(uint, uint) -> bool",
            "_<_(uint, double) -> bool",
            "_<_(uint, int) -> bool",
            "_<_(double, double) -> bool",
            "_<_(double, int) -> bool",
            "_<_(double, uint) -> bool",
            "_<_(string, string) -> bool",
            "_<_(bytes, bytes) -> bool",
            "_<_(timestamp, timestamp) -> bool",
            "_<_(duration, duration) -> bool",
        ],
        |args, budget| compare(args, budget, Ordering::is_lt),
    ),
    function(
        &[
            "_<=_(bool, bool) -> bool",
            "_<=_(int, int) -> bool",
            "_<=_(int, double) -> bool",
            "_<=_(int, uint) -> bool",
            "_<=_(uint, uint) -> bool",
            "_<=_(uint, double) -> bool",
            "_<=_(uint, int) -> bool",
            "_<=_(double, double) -> bool",
            "_<=_(double, int) -> bool",
            "_<=_(double, uint) -> bool",
            "_<=_(string, string) -> bool",
            "_<=_(bytes, bytes) -> bool",
            "_<=_(timestamp, timestamp) -> bool",
            "_<=_(duration, duration) -> bool",
        ],
        |args, budget| compare(args, budget, Ordering::is_le),
    ),
    function(
        &[
            "_>_(bool, bool) -> bool",
            "_>_(int, int) -> bool",
            "_>_(int, double) -> bool",
            "_>_(int, uint) -> bool",
            "_>_(uint, uint) -> bool",
            "_>_(uint, double) -> bool",
            "_>_(uint, int) -> bool",
            "_>_(double, double) -> bool",
            "_>_(double, int) -> bool",
            "_>_(double, uint) -> bool",
            "_>_(string, string) -> bool",
            "_>_(bytes, bytes) -> bool",
            "_>_(timestamp, timestamp) -> bool",
            "_>_(duration, duration) -> bool",
        ],
        |args, budget| compare(args, budget, Ordering::is_gt),
    ),
    function(
        &[
            "_>=_(bool, bool) -> bool",
            "_>=_(int, int) -> bool",
            "_>=_(int, double) -> bool",
            "_>=_(int, uint) -> bool",
            "_>=_(uint, uint) -> bool",
            "_>=_(uint, double) -> bool",
            "_>=_(uint, int) -> bool",
            "_>=_(double, double) -> bool",
            "_>=_(double, int) -> bool",
            "_>=_(double, uint) -> bool",
            "_>=_(string, string) -> bool",
            "_>=_(bytes, bytes) -> bool",
            "_>=_(timestamp, timestamp) -> bool",
            "_>=_(duration, duration) -> bool",
        ],
        |args, budget| compare(args, budget, Ordering::is_ge),
    ),
    function(&["@in(A, list(A)) -> bool", "@in(A, map(A, B)) -> bool"], contains),
    special(&[
        "_[_](list(A), int) -> A",
        "_[_](map(A, B), A) -> B",
        "_[_](optional_type(list(V)), int) -> optional_type(V)",
        "_[_](optional_type(map(K, V)), K) -> optional_type(V)",
    ]),
    special(&[
        "_[?_](list(V), int) -> optional_type(V)",
        "_[?_](optional_type(list(V)), int) -> optional_type(V)",
        "_[?_](map(K, V), K) -> optional_type(V)",
        "_[?_](optional_type(map(K, V)), K) -> optional_type(V)",
    ]),
    special(&["_?_:_(bool, A, A) -> A"]),
];

/// `value.name`. None: it has no such field, as null and what is neither a map nor a list have none.
pub(in crate::cel) fn field(value: &Value, name: &Key) -> Result<Option<Value>, Fault> {
    match value {
        Value::Map(map) => Ok(map.get(name).cloned()),
        Value::List(_) => failed("a list has no fields"),
        _ => Ok(None),
    }
}

/// `value[index]`. None: there is nothing at it.
pub(in crate::cel) fn at(value: &Value, index: &Value) -> Result<Option<Value>, Fault> {
    match value {
        Value::List(items) => match Key::of(index) {
            Some(Key::Int(at)) => Ok(usize::try_from(at).ok().and_then(|at| items.at(at)).cloned()),
            Some(Key::Uint(at)) => Ok(usize::try_from(at).ok().and_then(|at| items.at(at)).cloned()),
            _ => failed("the index of a list is not a whole number"),
        },
        Value::Map(map) => Ok(Key::of(index).and_then(|key| map.get(&key).cloned())),
        _ => Ok(None),
    }
}

fn contains(args: &[Value], budget: &mut Budget) -> Outcome {
    match args {
        [wanted, Value::List(items)] => {
            for item in items.iter() {
                if equal(wanted, item, budget)? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        [key, Value::Map(map)] => Ok(Value::Bool(Key::of(key).is_some_and(|key| map.contains_key(&key)))),
        _ => Err(Fault::Overload),
    }
}

fn same(args: &[Value], budget: &mut Budget) -> Result<bool, Fault> {
    match args {
        [left, right] => equal(left, right, budget),
        _ => Err(Fault::Overload),
    }
}

fn compare(args: &[Value], budget: &mut Budget, fits: fn(Ordering) -> bool) -> Outcome {
    match args {
        [left, right] => match order(left, right, budget)? {
            Some(order) => Ok(Value::Bool(fits(order))),
            None => failed("NaN has no order"),
        },
        _ => Err(Fault::Overload),
    }
}

fn not(args: &[Value], _: &mut Budget) -> Outcome {
    match args {
        [Value::Bool(flag)] => Ok(Value::Bool(!flag)),
        _ => Err(Fault::Overload),
    }
}

fn negate(args: &[Value], _: &mut Budget) -> Outcome {
    match args {
        [Value::Int(number)] => number.checked_neg().map(Value::Int).ok_or(OVERFLOW),
        [Value::Double(number)] => Ok(Value::Double(-number)),
        [Value::Duration(nanos)] => nanos.checked_neg().map(Value::Duration).ok_or(OVERFLOW),
        _ => Err(Fault::Overload),
    }
}

pub(super) fn add(args: &[Value], budget: &mut Budget) -> Outcome {
    match args {
        [Value::Int(a), Value::Int(b)] => a.checked_add(*b).map(Value::Int).ok_or(OVERFLOW),
        [Value::Uint(a), Value::Uint(b)] => a.checked_add(*b).map(Value::Uint).ok_or(OVERFLOW),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a + b)),
        [Value::String(a), Value::String(b)] => {
            budget.bytes(a.len() + b.len())?;
            budget.memory(a.len() + b.len())?;
            Ok(Value::string([&**a, &**b].concat()))
        }
        [Value::Bytes(a), Value::Bytes(b)] => {
            budget.bytes(a.len() + b.len())?;
            budget.memory(a.len() + b.len())?;
            Ok(Value::Bytes([&**a, &**b].concat().into()))
        }
        [Value::List(a), Value::List(b)] => {
            budget.memory(JOINED)?;
            Ok(Value::List(List::join(a, b, budget.rows())))
        }
        [Value::Duration(a), Value::Duration(b)] => a.checked_add(*b).map(Value::Duration).ok_or(OVERFLOW),
        [Value::Timestamp(instant), Value::Duration(nanos)] | [Value::Duration(nanos), Value::Timestamp(instant)] => {
            instant.checked_add(Span::nanoseconds(*nanos)).ok_or(OVERFLOW).and_then(time::checked)
        }
        _ => Err(Fault::Overload),
    }
}

fn subtract(args: &[Value], _: &mut Budget) -> Outcome {
    match args {
        [Value::Int(a), Value::Int(b)] => a.checked_sub(*b).map(Value::Int).ok_or(OVERFLOW),
        [Value::Uint(a), Value::Uint(b)] => a.checked_sub(*b).map(Value::Uint).ok_or(OVERFLOW),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a - b)),
        [Value::Duration(a), Value::Duration(b)] => a.checked_sub(*b).map(Value::Duration).ok_or(OVERFLOW),
        [Value::Timestamp(instant), Value::Duration(nanos)] => {
            instant.checked_sub(Span::nanoseconds(*nanos)).ok_or(OVERFLOW).and_then(time::checked)
        }
        [Value::Timestamp(a), Value::Timestamp(b)] => {
            i64::try_from((*a - *b).whole_nanoseconds()).map(Value::Duration).map_err(|_| OVERFLOW)
        }
        _ => Err(Fault::Overload),
    }
}

fn multiply(args: &[Value], _: &mut Budget) -> Outcome {
    match args {
        [Value::Int(a), Value::Int(b)] => a.checked_mul(*b).map(Value::Int).ok_or(OVERFLOW),
        [Value::Uint(a), Value::Uint(b)] => a.checked_mul(*b).map(Value::Uint).ok_or(OVERFLOW),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a * b)),
        _ => Err(Fault::Overload),
    }
}

fn divide(args: &[Value], _: &mut Budget) -> Outcome {
    match args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => failed("division by zero"),
        [Value::Int(a), Value::Int(b)] => a.checked_div(*b).map(Value::Int).ok_or(OVERFLOW),
        [Value::Uint(a), Value::Uint(b)] => a.checked_div(*b).map(Value::Uint).ok_or(OVERFLOW),
        [Value::Double(a), Value::Double(b)] => Ok(Value::Double(a / b)),
        _ => Err(Fault::Overload),
    }
}

fn remainder(args: &[Value], _: &mut Budget) -> Outcome {
    match args {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => failed("modulus by zero"),
        [Value::Int(a), Value::Int(b)] => a.checked_rem(*b).map(Value::Int).ok_or(OVERFLOW),
        [Value::Uint(a), Value::Uint(b)] => a.checked_rem(*b).map(Value::Uint).ok_or(OVERFLOW),
        _ => Err(Fault::Overload),
    }
}

pub(super) const OVERFLOW: Fault = Fault::Failed(std::borrow::Cow::Borrowed("a number or a time overflows"));

/// Bytes of a joined list without its elements, about.
const JOINED: usize = 128;
