//! Times, durations and time zones as Go reads them: more is let through than RFC 3339 has.

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// As Go's time.Parse with RFC 3339: hours may have one digit, a comma may begin the fraction.
pub(crate) fn timestamp(text: &str) -> Option<OffsetDateTime> {
    let mut rest = text;
    let year = digits(&mut rest, 4..=4)?;
    let month = digits(literal(&mut rest, "-")?, 2..=2)?;
    let day = digits(literal(&mut rest, "-")?, 2..=2)?;
    let hour = digits(literal(&mut rest, "T")?, 1..=2)?;
    let minute = digits(literal(&mut rest, ":")?, 2..=2)?;
    let second = digits(literal(&mut rest, ":")?, 2..=2)?;
    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let end = fraction.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(fraction.len());
        // What is below a nanosecond is cut off.
        let kept = &fraction[..end.min(9)];
        nanos = kept.parse::<u32>().ok()? * 10_u32.pow(9 - kept.len() as u32);
        rest = &fraction[end..];
    }
    let offset = match rest {
        "Z" => UtcOffset::UTC,
        _ => {
            let sign = match rest.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            rest = &rest[1..];
            let hours = i32::from(digits(&mut rest, 2..=2)?);
            let minutes = i32::from(digits(literal(&mut rest, ":")?, 2..=2)?);
            if !rest.is_empty() || hours > 24 || minutes > 60 {
                return None;
            }
            UtcOffset::from_whole_seconds(sign * (hours * 3600 + minutes * 60)).ok()?
        }
    };
    let month = u8::try_from(month).ok()?.try_into().ok()?;
    let date = Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    let [hour, minute, second] = [hour, minute, second].map(|number| u8::try_from(number).unwrap_or(u8::MAX));
    let time = Time::from_hms_nano(hour, minute, second, nanos).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_offset(offset))
}

/// What follows `expected`.
fn literal<'r, 't>(rest: &'r mut &'t str, expected: &str) -> Option<&'r mut &'t str> {
    *rest = rest.strip_prefix(expected)?;
    Some(rest)
}

/// The number at the beginning, of as many digits as `count` lets it have.
fn digits(rest: &mut &str, count: std::ops::RangeInclusive<usize>) -> Option<u16> {
    let found = rest.bytes().take(*count.end()).take_while(u8::is_ascii_digit).count();
    let (number, behind) = rest.split_at_checked(found)?;
    *rest = behind;
    if count.contains(&found) { number.parse().ok() } else { None }
}

/// What a clock in `zone` is ahead of UTC at `instant`, in seconds. None: there is no such zone.
pub(crate) fn seconds_east(zone: &str, instant: OffsetDateTime) -> Option<i64> {
    if let Some((hours, minutes)) = zone.split_once(':') {
        // Any number, as in cel-go; a sign counts for the minutes as well.
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        let minutes = if zone.starts_with('-') { minutes.checked_neg()? } else { minutes };
        return hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60);
    }
    // "Local" is the zone of the API server, which runs in UTC wherever nobody changed that.
    if matches!(zone, "" | "UTC" | "Local") {
        return Some(0);
    }
    let zone: Tz = zone.parse().ok()?;
    let utc = DateTime::from_timestamp(instant.unix_timestamp(), 0)?.naive_utc();
    Some(i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()))
}

/// As Go's time.ParseDuration, in nanoseconds.
pub(crate) fn duration(text: &str) -> Option<i64> {
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
