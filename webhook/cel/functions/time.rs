//! Timestamps and durations, with Go's spelling of durations.
//!
//! Time zones are offsets or names of the IANA database, which the binary holds.

use std::ops::RangeInclusive;

use time::{Duration as Span, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::{Function, function, operators::OVERFLOW};
use crate::{
    cel::{
        budget::{Budget, Fault, Outcome, failed},
        value::Value,
    },
    go,
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

/// CEL's range: the years 1 to 9999 in UTC. The offset that it was written with is kept, and string() shows it.
pub(super) fn checked(instant: OffsetDateTime) -> Outcome {
    if YEARS.contains(&instant.unix_timestamp()) { Ok(Value::Timestamp(instant)) } else { Err(OVERFLOW) }
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
            match go::time::duration(text) {
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
            match go::time::timestamp(text) {
                Some(instant) => checked(instant),
                None => failed("timestamp(): not a time in RFC 3339"),
            }
        }
        _ => Err(Fault::Overload),
    }
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
    let (instant, zone) = match args {
        [Value::Timestamp(instant)] => (instant, ""),
        [Value::Timestamp(instant), Value::String(zone)] => (instant, &**zone),
        _ => return Err(Fault::Overload),
    };
    let instant = instant.to_offset(UtcOffset::UTC);
    let Some(east) = go::time::seconds_east(zone, instant) else {
        return failed("the time zone is neither an offset such as +02:00 nor a name such as Europe/Berlin");
    };
    let instant = instant.checked_add(Span::seconds(east)).ok_or(OVERFLOW)?;
    Ok(Value::Int(of(instant)))
}

const NANOS: u64 = 1_000_000_000;
/// In seconds since 1970.
const YEARS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
