//! Timestamps and durations, with Go's spelling of durations.
//!
//! Time zones are offsets or UTC: there is no zone database here.

use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::{Function, function, operators::OVERFLOW};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        &["duration(duration) -> duration", "duration(int) -> duration", "duration(string) -> duration"],
        to_duration,
    ),
    function(
        &["timestamp(timestamp) -> timestamp", "timestamp(int) -> timestamp", "timestamp(string) -> timestamp"],
        to_timestamp,
    ),
    function(&["timestamp.getFullYear() -> int"], full_year),
    function(&["timestamp.getFullYear(string) -> int"], full_year),
    function(&["timestamp.getMonth() -> int"], month),
    function(&["timestamp.getMonth(string) -> int"], month),
    function(&["timestamp.getDate() -> int"], date),
    function(&["timestamp.getDate(string) -> int"], date),
    function(&["timestamp.getDayOfMonth() -> int"], day_of_month),
    function(&["timestamp.getDayOfMonth(string) -> int"], day_of_month),
    function(&["timestamp.getDayOfWeek() -> int"], day_of_week),
    function(&["timestamp.getDayOfWeek(string) -> int"], day_of_week),
    function(&["timestamp.getDayOfYear() -> int"], day_of_year),
    function(&["timestamp.getDayOfYear(string) -> int"], day_of_year),
    function(&["timestamp.getHours() -> int", "duration.getHours() -> int"], hours),
    function(&["timestamp.getHours(string) -> int"], hours),
    function(&["timestamp.getMinutes() -> int", "duration.getMinutes() -> int"], minutes),
    function(&["timestamp.getMinutes(string) -> int"], minutes),
    function(&["timestamp.getSeconds() -> int", "duration.getSeconds() -> int"], seconds),
    function(&["timestamp.getSeconds(string) -> int"], seconds),
    function(&["timestamp.getMilliseconds() -> int", "duration.getMilliseconds() -> int"], milliseconds),
    function(&["timestamp.getMilliseconds(string) -> int"], milliseconds),
];

/// CEL's range: the years 1 to 9999.
pub(super) fn checked(instant: OffsetDateTime) -> Outcome {
    match instant.year() {
        1..=9999 => Ok(Value::Timestamp(instant)),
        _ => Err(OVERFLOW),
    }
}

pub(super) fn show(instant: OffsetDateTime) -> Result<String, Fault> {
    instant.format(&Rfc3339).map_err(|_| OVERFLOW)
}

pub(super) fn show_duration(nanos: i64) -> String {
    let (seconds, rest) = (nanos.unsigned_abs() / NANOS, nanos.unsigned_abs() % NANOS);
    let sign = if nanos < 0 { "-" } else { "" };
    let fraction = if rest == 0 { String::new() } else { format!(".{rest:09}") };
    format!("{sign}{seconds}{}s", fraction.trim_end_matches('0'))
}

fn to_duration(args: &[Value], budget: &mut Budget) -> Outcome {
    match args {
        [Value::Duration(nanos)] => Ok(Value::Duration(*nanos)),
        [Value::String(text)] => {
            budget.bytes(text.len())?;
            match parse_duration(text) {
                Some(nanos) => Ok(Value::Duration(nanos)),
                None => failed("duration(): not a duration such as 1h30m"),
            }
        }
        _ => Err(Fault::Overload),
    }
}

fn to_timestamp(args: &[Value], budget: &mut Budget) -> Outcome {
    match args {
        [Value::Timestamp(instant)] => Ok(Value::Timestamp(*instant)),
        [Value::Int(seconds)] => OffsetDateTime::from_unix_timestamp(*seconds).map_err(|_| OVERFLOW).and_then(checked),
        [Value::String(text)] => {
            budget.bytes(text.len())?;
            match OffsetDateTime::parse(text, &Rfc3339) {
                Ok(instant) => instant.checked_to_offset(UtcOffset::UTC).ok_or(OVERFLOW).and_then(checked),
                Err(_) => failed("timestamp(): not a time in RFC 3339"),
            }
        }
        _ => Err(Fault::Overload),
    }
}

fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').filter(|end| *end > 0)?;
        let (number, behind) = rest.split_at(end);
        let unit_end = behind.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(behind.len());
        let (unit, next) = behind.split_at(unit_end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        // Digits beyond the eighteenth are below a nanosecond even for hours.
        let fraction = &fraction[..fraction.len().min(18)];
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let parts: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        let scale = 10_i128.pow(fraction.len() as u32);
        total = total.checked_add(whole.checked_mul(unit)?)?.checked_add(parts.checked_mul(unit)? / scale)?;
        rest = next;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

fn full_year(args: &[Value], _: &mut Budget) -> Outcome {
    part(args, |instant| i64::from(instant.year()))
}

fn month(args: &[Value], _: &mut Budget) -> Outcome {
    part(args, |instant| i64::from(u8::from(instant.month())) - 1)
}

fn date(args: &[Value], _: &mut Budget) -> Outcome {
    part(args, |instant| i64::from(instant.day()))
}

fn day_of_month(args: &[Value], _: &mut Budget) -> Outcome {
    part(args, |instant| i64::from(instant.day()) - 1)
}

fn day_of_week(args: &[Value], _: &mut Budget) -> Outcome {
    part(args, |instant| i64::from(instant.weekday().number_days_from_sunday()))
}

fn day_of_year(args: &[Value], _: &mut Budget) -> Outcome {
    part(args, |instant| i64::from(instant.ordinal()) - 1)
}

fn hours(args: &[Value], _: &mut Budget) -> Outcome {
    part_or_total(args, 3_600_000_000_000, |instant| i64::from(instant.hour()))
}

fn minutes(args: &[Value], _: &mut Budget) -> Outcome {
    part_or_total(args, 60_000_000_000, |instant| i64::from(instant.minute()))
}

fn seconds(args: &[Value], _: &mut Budget) -> Outcome {
    part_or_total(args, 1_000_000_000, |instant| i64::from(instant.second()))
}

fn milliseconds(args: &[Value], _: &mut Budget) -> Outcome {
    part_or_total(args, 1_000_000, |instant| i64::from(instant.millisecond()))
}

/// Of a timestamp its part, of a duration the whole of it in units of `nanos`.
fn part_or_total(args: &[Value], nanos: i64, of: fn(OffsetDateTime) -> i64) -> Outcome {
    match args {
        [Value::Duration(duration)] => Ok(Value::Int(duration / nanos)),
        _ => part(args, of),
    }
}

fn part(args: &[Value], of: fn(OffsetDateTime) -> i64) -> Outcome {
    let instant = match args {
        [Value::Timestamp(instant)] => *instant,
        [Value::Timestamp(instant), Value::String(zone)] => {
            let Some(offset) = parse_zone(zone) else {
                return failed("the time zone is not an offset such as +02:00: there is no zone database here");
            };
            instant.checked_to_offset(offset).ok_or(OVERFLOW)?
        }
        _ => return Err(Fault::Overload),
    };
    Ok(Value::Int(of(instant)))
}

fn parse_zone(zone: &str) -> Option<UtcOffset> {
    if zone.is_empty() || zone == "UTC" {
        return Some(UtcOffset::UTC);
    }
    let (sign, rest) = match zone.as_bytes().first()? {
        b'-' => (-1, &zone[1..]),
        b'+' => (1, &zone[1..]),
        _ => (1, zone),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let digits = |text: &str| text.parse::<i8>().ok().filter(|_| text.len() == 2 && !text.starts_with(['-', '+']));
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

const NANOS: u64 = 1_000_000_000;
