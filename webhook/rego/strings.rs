//! `trace` and `glob.quote_meta`, and what strings have beyond the functions that OPA compiles into a module.

use super::{
    Fault, Function, Outcome, function,
    value::Value,
    work::{Out, Work},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("glob.quote_meta", 1, glob_quote_meta),
    function("indexof_n", 2, indexof_n),
    function("strings.any_prefix_match", 2, |arguments, work| {
        any(arguments, work, |text, part| text.starts_with(part))
    }),
    function("strings.any_suffix_match", 2, |arguments, work| any(arguments, work, |text, part| text.ends_with(part))),
    function("strings.count", 2, count),
    function("strings.split_n", 3, split_n),
    function("trace", 1, trace),
];

/// A note for whoever debugs with OPA's own tools; true for everybody else.
fn trace(arguments: &[Value], _: &mut Work) -> Outcome {
    let [Value::String(_)] = arguments else { return Err(Fault::Undefined) };
    Ok(Value::Bool(true))
}

fn glob_quote_meta(arguments: &[Value], work: &mut Work) -> Outcome {
    let [Value::String(text)] = arguments else { return Err(Fault::Undefined) };
    let mut out = Out::new(work);
    out.with(2 * text.len(), |out| {
        for letter in text.chars() {
            if matches!(letter, '*' | '?' | '\\' | '[' | ']' | '{' | '}') {
                out.push('\\');
            }
            out.push(letter);
        }
    })?;
    Ok(Value::string(out.finish()))
}

/// Whether one of the texts begins, or ends, with one of the parts.
fn any(arguments: &[Value], work: &mut Work, holds: fn(&str, &str) -> bool) -> Outcome {
    let [texts, parts] = arguments else { return Err(Fault::Undefined) };
    let (texts, parts) = (texts_of(texts)?, texts_of(parts)?);
    for text in &texts {
        for part in &parts {
            work.steps(1 + part.len() / 32)?;
            if holds(text, part) {
                return Ok(Value::Bool(true));
            }
        }
    }
    Ok(Value::Bool(false))
}

/// Of a string, or of an array or set of strings.
fn texts_of(value: &Value) -> Result<Vec<&str>, Fault> {
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(values) => values.iter().map(Value::text).collect(),
        Value::Set(values) => values.iter().map(Value::text).collect(),
        _ => Err(Fault::Undefined),
    }
}

/// How often the second is in the first, without those that overlap; an empty one lies between all letters.
fn count(arguments: &[Value], work: &mut Work) -> Outcome {
    let [text, part] = arguments else { return Err(Fault::Undefined) };
    let (text, part) = (text.text()?, part.text()?);
    work.steps(text.len() + part.len())?;
    Ok(Value::int(i64::try_from(text.matches(part).count()).unwrap_or(i64::MAX)))
}

/// Where the second begins in the first, in letters, those that overlap included.
fn indexof_n(arguments: &[Value], work: &mut Work) -> Outcome {
    let [text, part] = arguments else { return Err(Fault::Undefined) };
    let (text, part) = (text.text()?, part.text()?);
    if part.is_empty() {
        return Err(Fault::Undefined);
    }
    let mut places = Vec::new();
    for (at, (byte, _)) in text.char_indices().enumerate() {
        work.steps(1 + part.len() / 32)?;
        if text[byte..].starts_with(part) {
            work.bytes(size_of::<Value>())?;
            places.push(Value::int(i64::try_from(at).unwrap_or(i64::MAX)));
        }
    }
    Ok(Value::Array(places))
}

/// The first parts of a text between delimiters, or the last ones: as many as the number says. Without a delimiter each
/// letter is one.
fn split_n(arguments: &[Value], work: &mut Work) -> Outcome {
    let [text, delimiter, count] = arguments else { return Err(Fault::Undefined) };
    let (text, delimiter, count) = (text.text()?, delimiter.text()?, count.integer()?);
    work.steps(text.len())?;
    let most = text.len() / delimiter.len().max(1) + 1;
    work.bytes(most * size_of::<Value>())?;
    let parts: Vec<&str> = if delimiter.is_empty() {
        let end = |(at, letter): (usize, char)| &text[at..at + letter.len_utf8()];
        text.char_indices().map(end).collect()
    } else {
        text.split(delimiter).collect()
    };
    let kept = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX).min(parts.len());
    let parts = if count < 0 { &parts[parts.len() - kept..] } else { &parts[..kept] };
    work.bytes(text.len())?;
    Ok(Value::Array(parts.iter().map(|it| Value::string(*it)).collect()))
}
