//! What a plain scalar means.

use crate::rego::{number::Number, sprintf::float, value::Value};

/// With a type that a plain text gives by itself.
#[derive(Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    /// Of 64 bits, with or without a sign.
    Int(i128),
    Float(f64),
    /// The text itself.
    Text,
    /// A text, but written in quotes so that nobody takes it for a time.
    Time,
}

impl Scalar {
    /// Of what is not quoted.
    pub(super) fn of(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return Self::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Self::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Self::Float(f64::NEG_INFINITY),
            _ => {}
        }
        match text.as_bytes()[0] {
            b'.' => float(text).map_or(Self::Text, Self::Float),
            b'0'..=b'9' | b'+' | b'-' => {
                if is_time(text) {
                    return Self::Time;
                }
                let plain = text.replace('_', "");
                match int(&plain) {
                    Some(number) => Self::Int(number),
                    None => float(&plain).map_or(Self::Text, Self::Float),
                }
            }
            _ => Self::Text,
        }
    }

    /// None: a number that JSON does not have.
    pub(super) fn value(&self, text: &str) -> Option<Value> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(number) => Value::whole(*number),
            Self::Float(number) if number.is_finite() => Value::Number(Number::parse(&float::json(*number))?),
            Self::Float(_) => return None,
            Self::Text | Self::Time => Value::string(text),
        })
    }

    /// None: it cannot be one.
    pub(super) fn key(&self, text: &str) -> Option<String> {
        Some(match self {
            Self::Null => return None,
            Self::Bool(value) => value.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) if number.is_nan() => ".nan".to_owned(),
            Self::Float(number) => float::shortest_of_32_bits(*number),
            Self::Text | Self::Time => text.to_owned(),
        })
    }
}

/// As Go's `strconv.ParseInt` with any base, or `ParseUint`.
fn int(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let is_prefix = |prefix: &str| digits.get(..2).is_some_and(|it| it.eq_ignore_ascii_case(prefix));
    let (digits, base) = if is_prefix("0x") {
        (&digits[2..], 16)
    } else if is_prefix("0o") {
        (&digits[2..], 8)
    } else if is_prefix("0b") {
        (&digits[2..], 2)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (&digits[1..], 8)
    } else {
        (digits, 10)
    };
    // A second sign is none.
    if !digits.starts_with(|it: char| it.is_ascii_hexdigit()) {
        return None;
    }
    let number = i128::from_str_radix(digits.trim_start_matches('0'), base);
    let number = if digits.bytes().all(|it| it == b'0') { 0 } else { number.ok()? * sign };
    let most = if text.starts_with(['+', '-']) { i128::from(i64::MAX) } else { i128::from(u64::MAX) };
    (i128::from(i64::MIN)..=most).contains(&number).then_some(number)
}

/// Decimal; none that is beyond all bounds.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_float = unsigned.bytes().all(|it| matches!(it, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
        && unsigned.starts_with(|it: char| it.is_ascii_digit() || it == '.');
    if !is_float {
        return None;
    }
    text.parse().ok().filter(|it: &f64| it.is_finite())
}

/// Whether yaml.v3 takes it for a time: a date, and perhaps a clock behind it.
fn is_time(text: &str) -> bool {
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    if year != 4 || !text[4..].starts_with('-') {
        return false;
    }
    let (date, clock) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    };
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let fits = digits.contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
        fits.then(|| text.parse::<u32>().ok())?
    };
    let mut parts = date.split('-');
    let (Some(year), Some(month), Some(day), None) = (
        parts.next().and_then(|it| it.parse().ok()),
        parts.next().and_then(|it| number(it, 1..=2)),
        parts.next().and_then(|it| number(it, 1..=2)),
        parts.next(),
    ) else {
        return false;
    };
    if chrono::NaiveDate::from_ymd_opt(year, month, day).is_none() {
        return false;
    }
    let Some(clock) = clock else { return true };
    let (clock, zone) = if let Some(clock) = clock.strip_prefix(' ') {
        (clock, "Z")
    } else {
        let clock = &clock[1..];
        clock.split_at(clock.find(['Z', '+', '-']).unwrap_or(clock.len()))
    };
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let mut part = |most| parts.next().and_then(|it| number(it, 1..=2)).is_some_and(|it| it <= most);
    let holds = part(23) && part(59) && part(59) && parts.next().is_none();
    let offset = |text: &str| {
        let (hours, minutes) = text.split_once(':').unwrap_or((text, ""));
        number(hours, 2..=2).is_some_and(|it| it <= 24) && number(minutes, 2..=2).is_some_and(|it| it <= 60)
    };
    holds
        && !fraction.is_empty()
        && fraction.bytes().all(|it| it.is_ascii_digit())
        && (zone == "Z" || zone.strip_prefix(['+', '-']).is_some_and(offset))
}
