//! `'%s and %d'.format([…])` of cel-go's strings library.

use std::fmt::Write;

use super::{Function, convert, function};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[function(&["string.format(list(dyn)) -> string"], print)];

fn print(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::String(template), Value::List(values)] = args else { return Err(Fault::Overload) };
    budget.bytes(template.len())?;
    let mut printed = String::new();
    let mut values = values.iter();
    let mut letters = template.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            printed.push(letter);
            continue;
        }
        if letters.next_if_eq(&'%').is_some() {
            printed.push('%');
            continue;
        }
        let mut precision = None;
        if letters.next_if_eq(&'.').is_some() {
            let mut digits = 0_usize;
            while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                digits = digits * 10 + digit.to_digit(10).unwrap_or(0) as usize;
                if digits > MAX_PRECISION {
                    return failed("format(): the precision is too large");
                }
            }
            precision = Some(digits);
        }
        let Some(verb) = letters.next() else { return failed("format(): the template ends in a clause") };
        let Some(value) = values.next() else { return failed("format(): fewer values than clauses") };
        let text = clause(verb, precision.unwrap_or(6), value, budget)?;
        budget.bytes(text.len())?;
        printed.push_str(&text);
    }
    Ok(Value::string(printed))
}

fn clause(verb: char, precision: usize, value: &Value, budget: &mut Budget) -> Result<String, Fault> {
    Ok(match (verb, value) {
        ('s', value) => {
            let mut text = String::new();
            show(value, &mut text, budget)?;
            text
        }
        ('d', Value::Int(_) | Value::Uint(_)) => convert::to_string(value, budget)?,
        ('f', Value::Double(number)) => format!("{number:.precision$}"),
        ('f', Value::Int(number)) => format!("{:.precision$}", *number as f64),
        ('f', Value::Uint(number)) => format!("{:.precision$}", *number as f64),
        ('e', Value::Double(number)) => scientific(*number, precision),
        ('e', Value::Int(number)) => scientific(*number as f64, precision),
        ('e', Value::Uint(number)) => scientific(*number as f64, precision),
        ('b', Value::Bool(flag)) => u8::from(*flag).to_string(),
        ('b' | 'o' | 'x' | 'X', Value::Int(number)) => {
            let sign = if *number < 0 { "-" } else { "" };
            format!("{sign}{}", radix(verb, number.unsigned_abs()))
        }
        ('b' | 'o' | 'x' | 'X', Value::Uint(number)) => radix(verb, *number),
        ('x' | 'X', Value::String(text)) => hex(text.as_bytes(), verb, budget)?,
        ('x' | 'X', Value::Bytes(bytes)) => hex(bytes, verb, budget)?,
        ('d' | 'f' | 'e' | 'b' | 'o' | 'x' | 'X', _) => return failed("format(): a value does not fit its clause"),
        _ => return failed("format(): unknown clause"),
    })
}

fn radix(verb: char, number: u64) -> String {
    match verb {
        'b' => format!("{number:b}"),
        'o' => format!("{number:o}"),
        'x' => format!("{number:x}"),
        _ => format!("{number:X}"),
    }
}

fn hex(bytes: &[u8], verb: char, budget: &mut Budget) -> Result<String, Fault> {
    budget.bytes(8 * bytes.len())?;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = if verb == 'x' { write!(text, "{byte:02x}") } else { write!(text, "{byte:02X}") };
    }
    Ok(text)
}

fn scientific(number: f64, precision: usize) -> String {
    let text = format!("{number:.precision$e}");
    match text.split_once('e').and_then(|(digits, exponent)| Some((digits, exponent.parse::<i32>().ok()?))) {
        Some((digits, exponent)) => {
            format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        None => text,
    }
}

/// As `%s` shows values; recursion as deep as the value.
fn show(value: &Value, text: &mut String, budget: &mut Budget) -> Result<(), Fault> {
    budget.charge(1)?;
    match value {
        Value::Null => text.push_str("null"),
        Value::List(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                show(item, text, budget)?;
            }
            text.push(']');
        }
        Value::Map(map) => {
            text.push('{');
            for (at, (key, value)) in map.iter().enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                show(&key.value(), text, budget)?;
                text.push_str(": ");
                show(value, text, budget)?;
            }
            text.push('}');
        }
        value => text.push_str(&convert::to_string(value, budget)?),
    }
    Ok(())
}

const MAX_PRECISION: usize = 100;
