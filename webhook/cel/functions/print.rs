//! `'%s and %d'.format([…])` of cel-go's strings library, in the American English that Kubernetes prints.

use std::{fmt::Write, sync::LazyLock};

use ::regex::Regex;

use super::{Function, convert, function};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::{Key, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[function(&["string.format(list(dyn)) -> string"], print)];

/// Values beyond those that the template names are ignored here; at load they are refused.
fn print(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::String(template), Value::List(values)] = args else { return Err(Fault::Overload) };
    budget.bytes(template.len())?;
    let mut printed = String::new();
    let mut values = values.iter();
    let mut rest = &**template;
    while let Some(at) = rest.find('%') {
        printed.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('%') {
            printed.push('%');
            rest = behind;
            continue;
        }
        let Some(value) = values.next() else { return failed("format(): fewer values than clauses") };
        let precision = match rest.strip_prefix('.') {
            Some(behind) => {
                let end = behind.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(behind.len());
                rest = &behind[end..];
                match behind[..end].parse() {
                    Ok(precision) if precision <= MAX_PRECISION => Some(precision),
                    _ => return failed("format(): the precision is no number up to 10000"),
                }
            }
            None => None,
        };
        let mut letters = rest.chars();
        let Some(verb) = letters.next() else { return failed("format(): the template ends in a clause") };
        rest = letters.as_str();
        let text = clause(verb, precision.unwrap_or(DEFAULT_PRECISION), value, budget)?;
        budget.bytes(text.len())?;
        budget.memory(text.len())?;
        printed.push_str(&text);
    }
    printed.push_str(rest);
    Ok(Value::string(printed))
}

fn clause(verb: char, precision: usize, value: &Value, budget: &mut Budget) -> Result<String, Fault> {
    Ok(match (verb, value) {
        ('s', Value::List(_) | Value::Map(_)) => {
            let mut text = String::new();
            show(value, &mut text, budget)?;
            text
        }
        ('s', Value::Null) => "null".to_owned(),
        ('s', value) if is_printable(value) => convert::to_string(value, budget)?,
        ('d', Value::Int(_) | Value::Uint(_)) => convert::to_string(value, budget)?,
        ('f' | 'e', value) => match (number(value), verb) {
            (Some(number), 'f') => fixed(number, precision),
            (Some(number), _) => scientific(number, precision),
            (None, _) => return misfit(),
        },
        ('b', Value::Bool(flag)) => u8::from(*flag).to_string(),
        ('b' | 'o' | 'x' | 'X', Value::Int(number)) => {
            let sign = if *number < 0 { "-" } else { "" };
            format!("{sign}{}", radix(verb, number.unsigned_abs()))
        }
        ('b' | 'o' | 'x' | 'X', Value::Uint(number)) => radix(verb, *number),
        ('x' | 'X', Value::String(text)) => hex(text.as_bytes(), verb, budget)?,
        ('x' | 'X', Value::Bytes(bytes)) => hex(bytes, verb, budget)?,
        ('s' | 'd' | 'b' | 'o' | 'x' | 'X', _) => return misfit(),
        _ => return failed("format(): unknown clause"),
    })
}

fn misfit<T>() -> Result<T, Fault> {
    failed("format(): a value does not fit its clause")
}

/// What `%s` prints beside lists, maps and null. Addresses and networks have string() but are not among them.
fn is_printable(value: &Value) -> bool {
    !matches!(value, Value::Ip(_) | Value::Cidr(_))
}

/// What `%f` and `%e` print. Integers are not among it.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        Value::String(text) => match &**text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
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
    budget.memory(2 * bytes.len())?;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = if verb == 'x' { write!(text, "{byte:02x}") } else { write!(text, "{byte:02X}") };
    }
    Ok(text)
}

/// With a comma after each three digits of the whole part.
fn fixed(number: f64, precision: usize) -> String {
    if let Some(text) = beyond_numbers(number) {
        return text.to_owned();
    }
    // A negative zero has no sign, a small negative number has one.
    let sign = if number < 0.0 { "-" } else { "" };
    let digits = format!("{:.precision$}", number.abs());
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut text = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

/// `1.500000×10⁰³`: always six digits; the precision that was asked for is taken for a width.
fn scientific(number: f64, width: usize) -> String {
    let text = match beyond_numbers(number) {
        Some(text) => text.to_owned(),
        None => {
            let text = format!("{:.6e}", if number == 0.0 { 0.0 } else { number });
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(("", exponent), |exponent| ("⁻", exponent));
            let small = |digit: char| digit.to_digit(10).and_then(|digit| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit as usize));
            let exponent: String = format!("{exponent:0>2}").chars().filter_map(small).collect();
            format!("{digits}×10{sign}{exponent}")
        }
    };
    format!("{text:>width$}")
}

fn beyond_numbers(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        Some("NaN")
    } else if number == f64::INFINITY {
        Some("∞")
    } else if number == f64::NEG_INFINITY {
        Some("-∞")
    } else {
        None
    }
}

/// Lists, maps and what is in them, nearly as an expression would write it; recursion as deep as the value.
fn show(value: &Value, text: &mut String, budget: &mut Budget) -> Result<(), Fault> {
    let before = text.len();
    budget.charge(1)?;
    match value {
        Value::List(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                show(item, text, budget)?;
            }
            text.push(']');
            return Ok(());
        }
        Value::Map(map) => {
            let mut entries = Vec::with_capacity(map.len());
            for (key, value) in map.iter() {
                let (mut printed_key, mut printed) = (String::new(), String::new());
                show_key(key, &mut printed_key, budget)?;
                show(value, &mut printed, budget)?;
                entries.push((printed_key, printed));
            }
            entries.sort_by(|(one, _), (other, _)| one.cmp(other));
            text.push('{');
            for (at, (key, value)) in entries.iter().enumerate() {
                let comma = if at > 0 { ", " } else { "" };
                // Writing to a String cannot fail.
                let _ = write!(text, "{comma}{key}:{value}");
            }
            text.push('}');
            return Ok(());
        }
        Value::Null => text.push_str("null"),
        Value::String(string) => quote(string, text, budget)?,
        Value::Bytes(_) => {
            text.push('b');
            quote(&convert::to_string(value, budget)?, text, budget)?;
        }
        Value::Double(number) if number.is_finite() => {
            let _ = write!(text, "{number:.DEFAULT_PRECISION$}");
        }
        Value::Double(_) => {
            let _ = write!(text, "\"{}\"", convert::to_string(value, budget)?);
        }
        Value::Duration(_) => {
            let _ = write!(text, "duration(\"{}\")", convert::to_string(value, budget)?);
        }
        Value::Timestamp(_) => {
            let _ = write!(text, "timestamp(\"{}\")", convert::to_string(value, budget)?);
        }
        Value::Int(_) | Value::Uint(_) | Value::Bool(_) | Value::Type(_) => {
            text.push_str(&convert::to_string(value, budget)?);
        }
        _ => return misfit(),
    }
    budget.memory(text.len() - before)
}

fn show_key(key: &Key, text: &mut String, budget: &mut Budget) -> Result<(), Fault> {
    match key.value() {
        value @ (Value::String(_) | Value::Bool(_) | Value::Int(_) | Value::Uint(_)) => show(&value, text, budget),
        _ => misfit(),
    }
}

/// As Go's `%q`.
fn quote(string: &str, text: &mut String, budget: &mut Budget) -> Result<(), Fault> {
    budget.bytes(4 * string.len())?;
    text.push('"');
    let mut buffer = [0; 4];
    for letter in string.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            ' '..='~' => text.push(letter),
            '\u{7}' => text.push_str("\\a"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{b}' => text.push_str("\\v"),
            _ if VISIBLE.is_match(letter.encode_utf8(&mut buffer)) => text.push(letter),
            _ => {
                let number = u32::from(letter);
                // Writing to a String cannot fail.
                let _ = match number {
                    0..=0x7f => write!(text, "\\x{number:02x}"),
                    0x80..=0xffff => write!(text, "\\u{number:04x}"),
                    _ => write!(text, "\\U{number:08x}"),
                };
            }
        }
    }
    text.push('"');
    Ok(())
}

/// Letters, marks, numbers, punctuation and symbols: what Go's unicode.IsPrint lets through beside the space.
#[allow(clippy::expect_used, reason = "the pattern is constant, and a test compiles it")]
static VISIBLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\pL\pM\pN\pP\pS]$").expect("a good regular expression"));

const DEFAULT_PRECISION: usize = 6;
const MAX_PRECISION: usize = 10_000;
