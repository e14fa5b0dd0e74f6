//! Values as text: for the guest, and as OPA prints them.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write};

use super::{
    value::Value,
    work::{Exhausted, Out, Work},
};
use crate::go;

/// For `opa_value_parse`: strings in JSON's spelling.
pub(super) fn guest(value: &Value, work: &mut Work) -> Result<Vec<u8>, Exhausted> {
    let mut out = Out::new(work);
    write(value, &mut out, JSON)?;
    Ok(out.finish().into_bytes())
}

/// The key of an object in JSON: what is no string is written as JSON.
pub(super) fn key<'v>(key: &'v Value, work: &mut Work) -> Result<Cow<'v, str>, Exhausted> {
    if let Value::String(text) = key {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Out::new(work);
    compact(key, &mut out)?;
    Ok(Cow::Owned(out.finish()))
}

/// As Go's `encoding/json` writes it: sets are lists.
fn compact(value: &Value, out: &mut Out) -> Result<(), Exhausted> {
    match value {
        Value::String(text) => html(text, out),
        Value::Array(values) => compact_list(values, out),
        Value::Set(values) => compact_list(values, out),
        Value::Object(object) => {
            let mut sorted = BTreeMap::new();
            for (name, value) in object {
                sorted.insert(key(name, out.work)?, value);
            }
            out.push("{")?;
            for (at, (name, value)) in sorted.iter().enumerate() {
                out.push(if at > 0 { "," } else { "" })?;
                html(name, out)?;
                out.push(":")?;
                compact(value, out)?;
            }
            out.push("}")
        }
        _ => write(value, out, JSON),
    }
}

fn compact_list<'v>(values: impl IntoIterator<Item = &'v Value>, out: &mut Out) -> Result<(), Exhausted> {
    out.push("[")?;
    for (at, value) in values.into_iter().enumerate() {
        out.push(if at > 0 { "," } else { "" })?;
        compact(value, out)?;
    }
    out.push("]")
}

/// A string without what has a meaning in HTML.
fn html(text: &str, out: &mut Out) -> Result<(), Exhausted> {
    let mut quoted = Out::new(out.work);
    json(text, &mut quoted)?;
    let quoted = quoted.finish();
    let mut rest = quoted.as_str();
    while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        out.push(&rest[..at])?;
        let letter = rest[at..].chars().next().unwrap_or_default();
        out.with(6, |out| {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(letter));
        })?;
        rest = &rest[at + letter.len_utf8()..];
    }
    out.push(rest)
}

/// As OPA prints it: strings in Go's spelling.
pub(super) fn print(value: &Value, out: &mut Out) -> Result<(), Exhausted> {
    // One byte can become four, a letter of two to four bytes six or ten.
    let rego = Style {
        string: |text, out| out.with(4 * text.len() + 2, |out| go::quote::quote(text, out)),
        number: |number, out| out.push(number),
    };
    write(value, out, rego)
}

/// How the parts of a value are spelt.
#[derive(Clone, Copy)]
struct Style {
    string: fn(&str, &mut Out) -> Result<(), Exhausted>,
    number: fn(&str, &mut Out) -> Result<(), Exhausted>,
}

fn write(value: &Value, out: &mut Out, style: Style) -> Result<(), Exhausted> {
    match value {
        Value::Null => out.push("null"),
        Value::Bool(true) => out.push("true"),
        Value::Bool(false) => out.push("false"),
        Value::Number(number) => (style.number)(&number.text(), out),
        Value::String(text) => (style.string)(text, out),
        Value::Array(values) => {
            out.push("[")?;
            list(values, out, style)?;
            out.push("]")
        }
        Value::Set(values) if values.is_empty() => out.push("set()"),
        Value::Set(values) => {
            out.push("{")?;
            list(values, out, style)?;
            out.push("}")
        }
        Value::Object(object) => {
            out.push("{")?;
            for (at, (key, value)) in object.iter().enumerate() {
                if at > 0 {
                    out.push(", ")?;
                }
                write(key, out, style)?;
                out.push(": ")?;
                write(value, out, style)?;
            }
            out.push("}")
        }
    }
}

fn list<'v>(values: impl IntoIterator<Item = &'v Value>, out: &mut Out, style: Style) -> Result<(), Exhausted> {
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            out.push(", ")?;
        }
        write(value, out, style)?;
    }
    Ok(())
}

const JSON: Style = Style {
    string: json,
    // Rego lets the zero before a point be left out, JSON does not.
    number: |number, out| match number.strip_prefix('-').unwrap_or(number).strip_prefix('.') {
        Some(fraction) => {
            out.push(if number.starts_with('-') { "-0." } else { "0." })?;
            out.push(fraction)
        }
        None => out.push(number),
    },
};

/// As the guest itself writes strings.
fn json(text: &str, out: &mut Out) -> Result<(), Exhausted> {
    out.push("\"")?;
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|letter| letter < b' ' || letter == b'"' || letter == b'\\') {
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
                _ => {
                    let _ = write!(out, "\\u{letter:04x}");
                }
            }
        })?;
        rest = &rest[at + 1..];
    }
    out.push(rest)?;
    out.push("\"")
}
