//! Strings: the standard functions and cel-go's strings library. Positions count code points, not bytes.

use std::sync::Arc;

use super::{Function, function};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(&["string.startsWith(string) -> bool"], |args, budget| {
        test(args, budget, |text, part| text.starts_with(part))
    }),
    function(&["string.endsWith(string) -> bool"], |args, budget| {
        test(args, budget, |text, part| text.ends_with(part))
    }),
    function(&["string.contains(string) -> bool"], |args, budget| test(args, budget, |text, part| text.contains(part))),
    function(&["string.charAt(int) -> string"], char_at),
    function(&["string.indexOf(string) -> int"], index_of),
    function(&["string.indexOf(string, int) -> int"], index_of),
    function(&["string.lastIndexOf(string) -> int"], last_index_of),
    function(&["string.lastIndexOf(string, int) -> int"], last_index_of),
    function(&["list(string).join() -> string"], join),
    function(&["list(string).join(string) -> string"], join),
    function(&["string.lowerAscii() -> string"], |args, budget| change(args, budget, str::to_ascii_lowercase)),
    function(&["string.upperAscii() -> string"], |args, budget| change(args, budget, str::to_ascii_uppercase)),
    function(&["string.trim() -> string"], |args, budget| change(args, budget, |text| text.trim().to_owned())),
    function(&["string.replace(string, string) -> string"], replace),
    function(&["string.replace(string, string, int) -> string"], replace),
    function(&["string.split(string) -> list(string)"], split),
    function(&["string.split(string, int) -> list(string)"], split),
    function(&["string.substring(int) -> string"], substring),
    function(&["string.substring(int, int) -> string"], substring),
    function(&["strings.quote(string) -> string"], quote),
];

fn test(args: &[Value], budget: &mut Budget, holds: fn(&str, &str) -> bool) -> Outcome {
    let [Value::String(text), Value::String(part)] = args else { return Err(Fault::Overload) };
    budget.bytes(text.len() + part.len())?;
    Ok(Value::Bool(holds(text, part)))
}

fn change(args: &[Value], budget: &mut Budget, changed: fn(&str) -> String) -> Outcome {
    let [Value::String(text)] = args else { return Err(Fault::Overload) };
    budget.bytes(text.len())?;
    Ok(Value::string(changed(text)))
}

fn char_at(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::String(text), Value::Int(at)] = args else { return Err(Fault::Overload) };
    budget.bytes(text.len())?;
    let end = byte_at(text, *at)?;
    Ok(Value::string(text[end..].chars().next().map(String::from).unwrap_or_default()))
}

fn index_of(args: &[Value], budget: &mut Budget) -> Outcome {
    let (text, part, from) = match args {
        [Value::String(text), Value::String(part)] => (text, part, 0),
        [Value::String(text), Value::String(part), Value::Int(from)] => (text, part, *from),
        _ => return Err(Fault::Overload),
    };
    budget.bytes(text.len() + part.len())?;
    if part.is_empty() {
        return Ok(Value::Int(from));
    }
    Ok(Value::Int(match place(text, from)? {
        Some(from) => text[from..].find(&**part).map_or(-1, |at| characters(&text[..from + at])),
        None => -1,
    }))
}

fn last_index_of(args: &[Value], budget: &mut Budget) -> Outcome {
    let (text, part, until) = match args {
        [Value::String(text), Value::String(part)] => (text, part, None),
        [Value::String(text), Value::String(part), Value::Int(until)] => (text, part, Some(*until)),
        _ => return Err(Fault::Overload),
    };
    budget.bytes(text.len() + part.len())?;
    // The last match may begin at `until`, so it ends with its own length behind it.
    let end = match until {
        Some(until) if part.is_empty() => return Ok(Value::Int(until)),
        Some(until) => match place(text, until)? {
            Some(until) => {
                let behind = text[until..].char_indices().map(|(at, _)| until + at);
                behind.chain([text.len()]).nth(part.chars().count()).unwrap_or(text.len())
            }
            None => return Ok(Value::Int(-1)),
        },
        None => text.len(),
    };
    Ok(Value::Int(text[..end].rfind(&**part).map_or(-1, |at| characters(&text[..at]))))
}

/// The byte where the code point number `at` begins. None: the text is not that long.
fn place(text: &str, at: i64) -> Result<Option<usize>, Fault> {
    match usize::try_from(at) {
        Ok(at) => Ok(text.char_indices().nth(at).map(|(byte, _)| byte)),
        Err(_) => failed("index out of range of the string"),
    }
}

fn join(args: &[Value], budget: &mut Budget) -> Outcome {
    let (items, separator) = match args {
        [Value::List(items)] => (items, ""),
        [Value::List(items), Value::String(separator)] => (items, &**separator),
        _ => return Err(Fault::Overload),
    };
    let mut joined = String::new();
    for (at, item) in items.iter().enumerate() {
        let Value::String(text) = item else { return Err(Fault::Overload) };
        budget.bytes(text.len() + separator.len())?;
        budget.memory(text.len() + separator.len())?;
        if at > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
    }
    Ok(Value::string(joined))
}

fn replace(args: &[Value], budget: &mut Budget) -> Outcome {
    let (text, old, new, most) = match args {
        [Value::String(text), Value::String(old), Value::String(new)] => (text, old, new, usize::MAX),
        [Value::String(text), Value::String(old), Value::String(new), Value::Int(most)] => {
            (text, old, new, usize::try_from(*most).unwrap_or(usize::MAX))
        }
        _ => return Err(Fault::Overload),
    };
    budget.bytes(text.len() + old.len())?;
    let matches = text.matches(&**old).take(most).count();
    budget.memory(text.len().saturating_add(matches.saturating_mul(new.len())))?;
    Ok(Value::string(text.replacen(&**old, new, most)))
}

fn split(args: &[Value], budget: &mut Budget) -> Outcome {
    let (text, separator, most) = match args {
        [Value::String(text), Value::String(separator)] => (text, separator, -1),
        [Value::String(text), Value::String(separator), Value::Int(most)] => (text, separator, *most),
        _ => return Err(Fault::Overload),
    };
    budget.bytes(text.len() + separator.len())?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut pieces = Vec::new();
    if most == 0 {
        return Ok(Value::List(pieces.into()));
    }
    let mut rest = &**text;
    while pieces.len() + 1 < most {
        let cut = if separator.is_empty() {
            // Into characters; the last one is the rest.
            rest.char_indices().nth(1).map(|(at, _)| (at, at))
        } else {
            rest.find(&**separator).map(|at| (at, at + separator.len()))
        };
        let Some((end, next)) = cut else { break };
        budget.charge(1)?;
        pieces.push(Value::string(&rest[..end]));
        rest = &rest[next..];
    }
    if !(separator.is_empty() && text.is_empty()) {
        pieces.push(Value::string(rest));
    }
    Ok(Value::List(pieces.into()))
}

fn substring(args: &[Value], budget: &mut Budget) -> Outcome {
    let (text, start, end): (&Arc<str>, i64, Option<i64>) = match args {
        [Value::String(text), Value::Int(start)] => (text, *start, None),
        [Value::String(text), Value::Int(start), Value::Int(end)] => (text, *start, Some(*end)),
        _ => return Err(Fault::Overload),
    };
    budget.bytes(text.len())?;
    let start = byte_at(text, start)?;
    let end = end.map_or(Ok(text.len()), |end| byte_at(text, end))?;
    match text.get(start..end) {
        Some(part) => Ok(Value::string(part)),
        None => failed("substring(): the range ends before it starts"),
    }
}

fn quote(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::String(text)] = args else { return Err(Fault::Overload) };
    budget.bytes(2 * text.len())?;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    Ok(Value::string(quoted))
}

fn characters(text: &str) -> i64 {
    text.chars().count() as i64
}

/// The byte where the code point number `at` begins; the end is a position too.
fn byte_at(text: &str, at: i64) -> Result<usize, Fault> {
    let out = || failed("index out of range of the string");
    let Ok(at) = usize::try_from(at) else { return out() };
    let ends = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(at);
    ends.map_or_else(out, Ok)
}
