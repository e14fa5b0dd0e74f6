//! `base64url.encode_no_pad`, `hex`, `urlquery`: texts as letters that are safe elsewhere.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    Fault, Function, Outcome, function,
    value::Value,
    work::{Exhausted, Out, Work},
    write,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("base64url.encode_no_pad", 1, base64url_encode_no_pad),
    function("hex.decode", 1, hex_decode),
    function("hex.encode", 1, hex_encode),
    function("urlquery.decode", 1, urlquery_decode),
    function("urlquery.decode_object", 1, urlquery_decode_object),
    function("urlquery.encode", 1, urlquery_encode),
    function("urlquery.encode_object", 1, urlquery_encode_object),
];

fn base64url_encode_no_pad(arguments: &[Value], work: &mut Work) -> Outcome {
    let text = text(arguments)?;
    work.bytes(text.len() / 3 * 4 + 4)?;
    Ok(Value::string(URL_SAFE_NO_PAD.encode(text)))
}

fn hex_encode(arguments: &[Value], work: &mut Work) -> Outcome {
    let text = text(arguments)?;
    let mut out = Out::new(work);
    out.with(2 * text.len(), |out| {
        for byte in text.bytes() {
            out.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or_default()));
        }
    })?;
    Ok(Value::string(out.finish()))
}

fn hex_decode(arguments: &[Value], work: &mut Work) -> Outcome {
    let text = text(arguments)?;
    work.bytes(text.len() / 2)?;
    work.steps(text.len() / 2)?;
    let digit = |letter: u8| char::from(letter).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
    Ok(Value::String(readable(bytes.ok_or(Fault::Undefined)?, work)?))
}

fn urlquery_encode(arguments: &[Value], work: &mut Work) -> Outcome {
    let mut out = Out::new(work);
    escape(text(arguments)?, &mut out)?;
    Ok(Value::string(out.finish()))
}

fn urlquery_decode(arguments: &[Value], work: &mut Work) -> Outcome {
    Ok(Value::String(unescape(text(arguments)?, work)?.ok_or(Fault::Undefined)?))
}

/// Of an object whose values are a string or several.
fn urlquery_encode_object(arguments: &[Value], work: &mut Work) -> Outcome {
    let [Value::Object(object)] = arguments else { return Err(Fault::Undefined) };
    // In the order of their texts.
    let mut sorted = BTreeMap::new();
    for (key, values) in object {
        sorted.insert(write::key(key, work)?, values);
    }
    let mut out = Out::new(work);
    let mut first = true;
    for (key, values) in &sorted {
        let values: Vec<&Value> = match values {
            Value::String(_) => vec![values],
            Value::Array(values) => values.iter().collect(),
            Value::Set(values) => values.iter().collect(),
            _ => return Err(Fault::Undefined),
        };
        for value in values {
            if !std::mem::take(&mut first) {
                out.push("&")?;
            }
            escape(key, &mut out)?;
            out.push("=")?;
            escape(value.text()?, &mut out)?;
        }
    }
    Ok(Value::string(out.finish()))
}

fn urlquery_decode_object(arguments: &[Value], work: &mut Work) -> Outcome {
    let mut object = BTreeMap::new();
    for pair in text(arguments)?.split('&').filter(|it| !it.is_empty()) {
        work.bytes(2 * size_of::<Value>())?;
        // Go refuses them since they once separated pairs.
        if pair.contains(';') {
            return Err(Fault::Undefined);
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = unescape(key, work)?.ok_or(Fault::Undefined)?;
        let value = unescape(value, work)?.ok_or(Fault::Undefined)?;
        if let Value::Array(values) = object.entry(Value::String(key)).or_insert_with(|| Value::Array(Vec::new())) {
            values.push(Value::String(value));
        }
    }
    Ok(Value::Object(object))
}

/// As Go's `url.QueryEscape`.
fn escape(text: &str, out: &mut Out) -> Result<(), Exhausted> {
    out.with(3 * text.len(), |out| {
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
                b' ' => out.push('+'),
                _ => {
                    let digits = [byte >> 4, byte & 15].map(|it| char::from_digit(it.into(), 16).unwrap_or_default());
                    out.push('%');
                    out.extend(digits.map(|it| it.to_ascii_uppercase()));
                }
            }
        }
    })
}

/// As Go's `url.QueryUnescape`. None: a percent sign without two digits.
fn unescape(text: &str, work: &mut Work) -> Result<Option<Box<str>>, Exhausted> {
    work.bytes(text.len())?;
    work.steps(text.len() / 4)?;
    let mut bytes = Vec::with_capacity(text.len());
    let mut letters = text.bytes();
    while let Some(letter) = letters.next() {
        bytes.push(match letter {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(letters.next()?).to_digit(16);
                match (digit(), digit()) {
                    (Some(high), Some(low)) => (high * 16 + low) as u8,
                    _ => return Ok(None),
                }
            }
            letter => letter,
        });
    }
    readable(bytes, work).map(Some)
}

/// Each byte that is not UTF-8 as U+FFFD.
pub(super) fn readable(bytes: Vec<u8>, work: &mut Work) -> Result<Box<str>, Exhausted> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            work.bytes(3 * error.as_bytes().len())?;
            let mut text = String::new();
            for chunk in error.as_bytes().utf8_chunks() {
                text.push_str(chunk.valid());
                text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
            }
            Ok(text.into())
        }
    }
}

fn text(arguments: &[Value]) -> Result<&str, Fault> {
    let [value] = arguments else { return Err(Fault::Undefined) };
    value.text()
}
