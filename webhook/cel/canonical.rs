//! One spelling for each value, in which types are distinguished and maps are sorted: `1`, `1u`, `1e0`, `"1"`.
//!
//! Values of a review can be tokens: this is for comparing and for trying expressions, never for a log or an error.

use std::fmt::Write;

use time::{UtcOffset, format_description::well_known::Rfc3339};

use super::value::Value;

/// Recursion as deep as the value.
pub(super) fn write(value: &Value, text: &mut String) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Null => write!(text, "null"),
        Value::Bool(flag) => write!(text, "{flag}"),
        Value::Int(number) => write!(text, "{number}"),
        Value::Uint(number) => write!(text, "{number}u"),
        Value::Double(number) => write!(text, "{number:e}"),
        Value::String(string) => return quote(string, text),
        Value::Pattern(pattern) => return quote(pattern.source(), text),
        Value::Bytes(bytes) => {
            text.push_str("bytes(");
            for byte in bytes.iter() {
                let _ = write!(text, "{byte:02x}");
            }
            write!(text, ")")
        }
        Value::List(items) => return sequence('[', ']', items.iter().map(canonical), text),
        Value::Map(map) => {
            let mut entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", canonical(&key.value()), canonical(value))).collect();
            entries.sort_unstable();
            return sequence('{', '}', entries.into_iter(), text);
        }
        Value::Duration(nanos) => write!(text, "duration({nanos}ns)"),
        Value::Timestamp(instant) => {
            write!(text, "timestamp({})", instant.to_offset(UtcOffset::UTC).format(&Rfc3339).unwrap_or_default())
        }
        Value::Type(kind) => write!(text, "type({})", kind.name()),
        Value::Optional(None) => write!(text, "optional.none()"),
        Value::Optional(Some(inner)) => write!(text, "optional.of({})", canonical(inner)),
        Value::Url(url) => write!(text, "url({url})"),
        Value::Ip(address) => write!(text, "ip({address})"),
        Value::Cidr(network) => write!(text, "cidr({network})"),
        Value::Quantity(quantity) => write!(text, "quantity({quantity})"),
        Value::Semver(version) => write!(text, "semver({version})"),
        Value::Format(format) => write!(text, "format({})", format.name),
    };
}

fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn sequence(open: char, close: char, items: impl Iterator<Item = String>, text: &mut String) {
    text.push(open);
    for (at, item) in items.enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        text.push_str(&item);
    }
    text.push(close);
}

/// Control characters, quotes and backslashes by their number; all else as it is.
fn quote(string: &str, text: &mut String) {
    text.push('"');
    for letter in string.chars() {
        if letter.is_ascii_control() || letter == '"' || letter == '\\' {
            let _ = write!(text, "\\{:02x}", u32::from(letter));
        } else {
            text.push(letter);
        }
    }
    text.push('"');
}
