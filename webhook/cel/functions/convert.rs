//! `size`, `type`, `dyn` and the conversions between types.

use super::{Function, function, operators::OVERFLOW, time};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(&["size(bytes) -> int", "size(list(A)) -> int", "size(map(A, B)) -> int", "size(string) -> int"], size),
    function(
        &["bytes.size() -> int", "list(A).size() -> int", "map(A, B).size() -> int", "string.size() -> int"],
        size,
    ),
    function(&["type(A) -> type(A)"], |args, _| match args {
        [value] => Ok(Value::Type(value.kind())),
        _ => Err(Fault::Overload),
    }),
    function(&["dyn(A) -> dyn"], |args, _| args.first().cloned().ok_or(Fault::Overload)),
    function(&["bool(bool) -> bool", "bool(string) -> bool"], to_bool),
    function(
        &[
            "int(int) -> int",
            "int(double) -> int",
            "int(duration) -> int",
            "int(string) -> int",
            "int(timestamp) -> int",
            "int(uint) -> int",
        ],
        to_int,
    ),
    function(&["uint(uint) -> uint", "uint(double) -> uint", "uint(int) -> uint", "uint(string) -> uint"], to_uint),
    function(
        &["double(double) -> double", "double(int) -> double", "double(string) -> double", "double(uint) -> double"],
        to_double,
    ),
    function(
        &[
            "string(string) -> string",
            "string(bool) -> string",
            "string(bytes) -> string",
            "string(double) -> string",
            "string(duration) -> string",
            "string(int) -> string",
            "string(timestamp) -> string",
            "string(uint) -> string",
            "string(net.IP) -> string",
            "string(net.CIDR) -> string",
        ],
        |args, budget| match args {
            [value] => to_string(value, budget).map(Value::string),
            _ => Err(Fault::Overload),
        },
    ),
    function(&["bytes(bytes) -> bytes", "bytes(string) -> bytes"], to_bytes),
];

fn size(args: &[Value], budget: &mut Budget) -> Outcome {
    let size = match args {
        [Value::String(text)] => {
            budget.bytes(text.len())?;
            text.chars().count()
        }
        [Value::Bytes(bytes)] => bytes.len(),
        [Value::List(items)] => items.len(),
        [Value::Map(map)] => map.len(),
        _ => return Err(Fault::Overload),
    };
    Ok(Value::Int(size as i64))
}

fn to_bool(args: &[Value], _: &mut Budget) -> Outcome {
    match args {
        [Value::Bool(flag)] => Ok(Value::Bool(*flag)),
        [Value::String(text)] => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            _ => failed("bool(): not a boolean"),
        },
        _ => Err(Fault::Overload),
    }
}

fn to_int(args: &[Value], budget: &mut Budget) -> Outcome {
    match args {
        [Value::Int(number)] => Ok(Value::Int(*number)),
        [Value::Uint(number)] => i64::try_from(*number).map(Value::Int).map_err(|_| OVERFLOW),
        // The ends themselves are excluded as in cel-go: as doubles they are already rounded.
        [Value::Double(number)] if number.abs() < TWO_TO_63 => Ok(Value::Int(*number as i64)),
        [Value::Double(_)] => Err(OVERFLOW),
        [Value::String(text)] => {
            budget.bytes(text.len())?;
            text.parse().map(Value::Int).or_else(|_| failed("int(): not an integer"))
        }
        [Value::Timestamp(instant)] => Ok(Value::Int(instant.unix_timestamp())),
        [Value::Duration(nanos)] => Ok(Value::Int(*nanos)),
        _ => Err(Fault::Overload),
    }
}

fn to_uint(args: &[Value], budget: &mut Budget) -> Outcome {
    match args {
        [Value::Uint(number)] => Ok(Value::Uint(*number)),
        [Value::Int(number)] => u64::try_from(*number).map(Value::Uint).map_err(|_| OVERFLOW),
        [Value::Double(number)] if *number >= 0.0 && *number < 2.0 * TWO_TO_63 => Ok(Value::Uint(*number as u64)),
        [Value::Double(_)] => Err(OVERFLOW),
        [Value::String(text)] => {
            budget.bytes(text.len())?;
            // Go lets no sign be.
            match text.parse() {
                Ok(number) if !text.starts_with('+') => Ok(Value::Uint(number)),
                _ => failed("uint(): not an unsigned integer"),
            }
        }
        _ => Err(Fault::Overload),
    }
}

fn to_double(args: &[Value], budget: &mut Budget) -> Outcome {
    match args {
        [Value::Double(number)] => Ok(Value::Double(*number)),
        [Value::Int(number)] => Ok(Value::Double(*number as f64)),
        [Value::Uint(number)] => Ok(Value::Double(*number as f64)),
        [Value::String(text)] => {
            budget.bytes(text.len())?;
            parse_double(text).map_or_else(|| failed("double(): not a number"), |number| Ok(Value::Double(number)))
        }
        _ => Err(Fault::Overload),
    }
}

/// As Go's strconv.ParseFloat, but for hexadecimal digits: underscores may stand between digits, NaN has no sign, and
/// what is too large is an error.
fn parse_double(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    for (at, _) in text.match_indices('_') {
        if !digit(at.checked_sub(1)) || !digit(Some(at + 1)) {
            return None;
        }
    }
    let number: f64 = text.replace('_', "").parse().ok()?;
    let too_large = number.is_infinite() && text.contains(|letter: char| letter.is_ascii_digit());
    (!too_large && (!number.is_nan() || text.len() == 3)).then_some(number)
}

pub(super) fn to_string(value: &Value, budget: &mut Budget) -> Result<String, Fault> {
    Ok(match value {
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Double(number) => shortest(*number),
        Value::String(text) => {
            budget.bytes(text.len())?;
            text.to_string()
        }
        Value::Bytes(bytes) => {
            budget.bytes(bytes.len())?;
            match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => return failed("string(): invalid UTF-8"),
            }
        }
        Value::Duration(nanos) => time::show_duration(*nanos),
        Value::Timestamp(instant) => time::show(*instant)?,
        Value::Ip(address) => address.to_string(),
        Value::Cidr(network) => network.to_string(),
        Value::Type(kind) => kind.name().to_owned(),
        _ => return Err(Fault::Overload),
    })
}

fn to_bytes(args: &[Value], budget: &mut Budget) -> Outcome {
    match args {
        [Value::Bytes(bytes)] => Ok(Value::Bytes(bytes.clone())),
        [Value::String(text)] => {
            budget.bytes(text.len())?;
            Ok(Value::Bytes(text.as_bytes().into()))
        }
        _ => Err(Fault::Overload),
    }
}

/// As Go's `%g` in its shortest form: `1.5`, `1e+06`.
fn shortest(number: f64) -> String {
    if !number.is_finite() {
        return if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        }
        .to_owned();
    }
    let scientific = format!("{number:e}");
    match scientific.split_once('e').and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?))) {
        Some((digits, exponent)) if !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => number.to_string(),
    }
}

const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
