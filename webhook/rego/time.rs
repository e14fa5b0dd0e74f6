//! `time`: nanoseconds since 1970, and what a calendar and a clock say of them in a time zone. `Local` is UTC.

use chrono::{DateTime, Datelike as _, NaiveDateTime, TimeZone as _, Timelike as _, Utc};
use chrono_tz::Tz;

use super::{Fault, Function, Outcome, function, value::Value, work::Work};
use crate::go;

pub(super) const FUNCTIONS: &[Function] = &[
    function("time.clock", 1, clock),
    function("time.date", 1, date),
    function("time.now_ns", 0, now_ns),
    function("time.parse_rfc3339_ns", 1, parse_rfc3339_ns),
    function("time.weekday", 1, weekday),
];

/// The same throughout a review.
fn now_ns(_: &[Value], work: &mut Work) -> Outcome {
    Ok(Value::int(work.now()))
}

fn parse_rfc3339_ns(arguments: &[Value], work: &mut Work) -> Outcome {
    let [Value::String(text)] = arguments else { return Err(Fault::Undefined) };
    work.steps(text.len())?;
    let time = go::time::timestamp(text).ok_or(Fault::Undefined)?;
    i64::try_from(time.unix_timestamp_nanos()).map(Value::int).map_err(|_| Fault::Undefined)
}

fn date(arguments: &[Value], work: &mut Work) -> Outcome {
    let time = local(arguments, work)?;
    Ok(numbers([i64::from(time.year()), i64::from(time.month()), i64::from(time.day())]))
}

fn clock(arguments: &[Value], work: &mut Work) -> Outcome {
    let time = local(arguments, work)?;
    Ok(numbers([time.hour(), time.minute(), time.second()].map(i64::from)))
}

fn weekday(arguments: &[Value], work: &mut Work) -> Outcome {
    const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let day = local(arguments, work)?.weekday().num_days_from_sunday();
    DAYS.get(day as usize).map(|it| Value::string(*it)).ok_or(Fault::Undefined)
}

/// What clocks show at a time: nanoseconds, or a list of nanoseconds, a zone and a layout, which counts only elsewhere.
fn local(arguments: &[Value], work: &mut Work) -> Result<NaiveDateTime, Fault> {
    work.steps(STEPS_A_TIME)?;
    let [time] = arguments else { return Err(Fault::Undefined) };
    let (time, zone) = match time {
        Value::Array(parts) => match parts.as_slice() {
            [time] => (time, ""),
            [time, zone] => (time, zone.text()?),
            [time, zone, layout, ..] => {
                layout.text()?;
                (time, zone.text()?)
            }
            [] => return Err(Fault::Undefined),
        },
        time => (time, ""),
    };
    let Value::Number(time) = time else { return Err(Fault::Undefined) };
    let time = time.whole().and_then(|it| i64::try_from(it).ok()).ok_or(Fault::Undefined)?;
    let time: DateTime<Utc> = DateTime::from_timestamp_nanos(time);
    if matches!(zone, "" | "UTC" | "Local") {
        return Ok(time.naive_utc());
    }
    let zone: Tz = zone.parse().map_err(|_| Fault::Undefined)?;
    Ok(zone.from_utc_datetime(&time.naive_utc()).naive_local())
}

fn numbers<const N: usize>(numbers: [i64; N]) -> Value {
    Value::Array(numbers.map(Value::int).into())
}

/// With a look into the database of zones.
const STEPS_A_TIME: usize = 100;
