//! The values of literals: numbers and the escapes of strings, as cel-go reads them.

use crate::cel::value::Value;

pub(super) fn int(text: &str, negative: bool) -> Result<Value, &'static str> {
    let (digits, radix) = split(text);
    let signed = if negative { format!("-{digits}") } else { digits.to_owned() };
    i64::from_str_radix(&signed, radix).map(Value::Int).map_err(|_| "invalid int literal")
}

pub(super) fn uint(text: &str) -> Result<Value, &'static str> {
    let (digits, radix) = split(text);
    u64::from_str_radix(digits, radix).map(Value::Uint).map_err(|_| "invalid uint literal")
}

pub(super) fn double(text: &str, negative: bool) -> Result<Value, &'static str> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Double(if negative { -number } else { number })),
        _ => Err("invalid double literal"),
    }
}

/// `text` with its quotes, and `r` before them if it is raw.
pub(super) fn string(text: &str) -> Result<String, &'static str> {
    unescape(text, false).and_then(|bytes| String::from_utf8(bytes).map_err(|_| "invalid unicode code point"))
}

/// The same; `\x` and octal escapes are bytes, and `\u` is not allowed.
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    unescape(text, true)
}

fn split(text: &str) -> (&str, u32) {
    text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16))
}

fn unescape(text: &str, bytes: bool) -> Result<Vec<u8>, &'static str> {
    let raw = text.starts_with(['r', 'R']);
    let text = &text[usize::from(raw)..];
    let quotes = if text.len() >= 6 && (text.starts_with("'''") || text.starts_with("\"\"\"")) { 3 } else { 1 };
    let text = text[quotes..text.len() - quotes].replace("\r\n", "\n").replace('\r', "\n");
    if raw {
        return Ok(text.into_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let mut escape = rest[at + 1..].chars();
        let letter = escape.next().ok_or(UNKNOWN)?;
        rest = escape.as_str();
        match letter {
            'a' => out.push(7),
            'b' => out.push(8),
            'f' => out.push(12),
            'n' => out.push(b'\n'),
            'r' => out.push(b'\r'),
            't' => out.push(b'\t'),
            'v' => out.push(11),
            '\\' | '\'' | '"' | '`' | '?' => out.push(letter as u8),
            'x' | 'X' => push(&mut out, digits(&mut rest, 2, 16)?, bytes)?,
            'u' if !bytes => push(&mut out, digits(&mut rest, 4, 16)?, false)?,
            'U' if !bytes => push(&mut out, digits(&mut rest, 8, 16)?, false)?,
            '0'..='3' => {
                let high = u32::from(letter as u8 - b'0') * 64;
                push(&mut out, high + digits(&mut rest, 2, 8)?, bytes)?;
            }
            _ => return Err(UNKNOWN),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

/// Reads `count` digits off the front.
fn digits(rest: &mut &str, count: usize, radix: u32) -> Result<u32, &'static str> {
    let (digits, behind) = rest.split_at_checked(count).ok_or(UNKNOWN)?;
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(UNKNOWN);
    }
    *rest = behind;
    u32::from_str_radix(digits, radix).map_err(|_| UNKNOWN)
}

/// One byte, or a code point in UTF-8.
fn push(out: &mut Vec<u8>, code: u32, byte: bool) -> Result<(), &'static str> {
    if byte {
        out.push(code as u8);
        return Ok(());
    }
    let letter = char::from_u32(code).ok_or("invalid unicode code point")?;
    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(())
}

const UNKNOWN: &str = "a string holds an unknown escape: \\\\ stands for a backslash";
