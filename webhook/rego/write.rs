//! Values as text: for the guest, and as OPA prints them.

use std::fmt::Write;

use super::{
    value::Value,
    work::{Exhausted, Out, Work},
};
use crate::go;

/// For `opa_value_parse`: strings in JSON's spelling.
pub(super) fn guest(value: &Value, work: &mut Work) -> Result<Vec<u8>, Exhausted> {
    let mut out = Out::new(work);
    write(value, &mut out, json)?;
    Ok(out.finish().into_bytes())
}

/// As OPA prints it: strings in Go's spelling.
pub(super) fn print(value: &Value, out: &mut Out) -> Result<(), Exhausted> {
    // One byte can become four, a letter of two to four bytes six or ten.
    write(value, out, |text, out| out.with(4 * text.len() + 2, |out| go::quote::quote(text, out)))
}

type Quote = fn(&str, &mut Out) -> Result<(), Exhausted>;

fn write(value: &Value, out: &mut Out, quote: Quote) -> Result<(), Exhausted> {
    match value {
        Value::Null => out.push("null"),
        Value::Bool(true) => out.push("true"),
        Value::Bool(false) => out.push("false"),
        Value::Number(number) => out.push(&number.text()),
        Value::String(text) => quote(text, out),
        Value::Array(values) => {
            out.push("[")?;
            list(values, out, quote)?;
            out.push("]")
        }
        Value::Set(values) if values.is_empty() => out.push("set()"),
        Value::Set(values) => {
            out.push("{")?;
            list(values, out, quote)?;
            out.push("}")
        }
        Value::Object(object) => {
            out.push("{")?;
            for (at, (key, value)) in object.iter().enumerate() {
                if at > 0 {
                    out.push(", ")?;
                }
                write(key, out, quote)?;
                out.push(": ")?;
                write(value, out, quote)?;
            }
            out.push("}")
        }
    }
}

fn list<'v>(values: impl IntoIterator<Item = &'v Value>, out: &mut Out, quote: Quote) -> Result<(), Exhausted> {
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            out.push(", ")?;
        }
        write(value, out, quote)?;
    }
    Ok(())
}

/// As the guest itself writes strings.
pub(super) fn json(text: &str, out: &mut Out) -> Result<(), Exhausted> {
    out.push("\"")?;
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter < ' ' || letter == '"' || letter == '\\') {
        out.push(&rest[..at])?;
        let letter = rest.as_bytes()[at];
        out.with(6, |out| {
            match letter {
                b'"' => out.push_str("\\\""),
                b'\\' => out.push_str("\\\\"),
                b'\n' => out.push_str("\\n"),
                b'\r' => out.push_str("\\r"),
                b'\t' => out.push_str("\\t"),
                // Writing to a String cannot fail.
                _ => drop(write!(out, "\\u{letter:04x}")),
            }
        })?;
        rest = &rest[at + 1..];
    }
    out.push(rest)?;
    out.push("\"")
}
