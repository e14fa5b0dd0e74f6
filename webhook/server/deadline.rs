//! When the caller must have its answer: `?timeout=` as kube-apiserver sends it, less a margin, and never beyond the server's own maximum.

use std::time::Duration;

/// How long the answer may take.
///
/// `query` is the raw query of the request; without `timeout=` in it, it is `longest`. The margin is a tenth of the timeout, at least 20 ms,
/// at most 500 ms, and never more than half of the timeout: the answer has to travel, and to be read.
///
/// # Errors
/// The words for the caller, if the value is not a positive Go duration.
pub(crate) fn allowance(query: Option<&str>, longest: Duration) -> Result<Duration, String> {
    let Some(asked) = query.and_then(|query| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "timeout").map(|(_, value)| value)
    }) else {
        return Ok(longest);
    };
    let asked = parse(&asked)
        .filter(|asked| !asked.is_zero())
        .ok_or("timeout is not a positive duration such as 10s or 1m30s")?;
    let margin = (asked / 10).clamp(LEAST_MARGIN, MOST_MARGIN).min(asked / 2);
    Ok((asked - margin).min(longest))
}

/// A duration in the syntax of Go's time.ParseDuration, without a minus sign: `300ms`, `1.5h`, `1m30s`, `0`.
fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() || text.len() > LONGEST_TEXT {
        return None;
    }
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let unit: u128 = match &after[..end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        rest = &after[end..];
        // At most 64 digits were let in; what does not fit 128 bits is refused like what does not fit Go's 64.
        let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        nanoseconds = nanoseconds.checked_add(whole.checked_mul(unit)?)?;
        let mut weight = unit;
        for digit in fraction.bytes() {
            weight /= 10;
            nanoseconds = nanoseconds.checked_add(u128::from(digit - b'0') * weight)?;
        }
    }
    i64::try_from(nanoseconds).ok()?;
    Some(Duration::from_nanos(u64::try_from(nanoseconds).ok()?))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

const LEAST_MARGIN: Duration = Duration::from_millis(20);
const MOST_MARGIN: Duration = Duration::from_millis(500);
const LONGEST_TEXT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        let good = [
            ("0", 0),
            ("0s", 0),
            ("10s", 10_000_000_000),
            ("+5ms", 5_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("3µs", 3_000),
            ("3μs", 3_000),
            ("7ns", 7),
            ("0.0000000001s", 0),
        ];
        for (text, nanoseconds) in good {
            assert_eq!(parse(text), Some(Duration::from_nanos(nanoseconds)), "{text}");
        }
        for text in [
            "",
            "+",
            "-1s",
            "10",
            "s",
            ".s",
            "1 s",
            "10S",
            "1d",
            "1e3s",
            "1..5s",
            "١s",
            "9223372037s",
            "99999999999999999999999999999999999999999999h",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"1".repeat(65)), None);
    }

    #[test]
    fn the_margin_is_left_to_the_caller() {
        let longest = Duration::from_secs(30);
        let allow = |query| allowance(Some(query), longest);
        let ms = |ms| Ok(Duration::from_millis(ms));
        assert_eq!(allowance(None, longest), Ok(longest));
        assert_eq!(allow(""), Ok(longest));
        assert_eq!(allow("other=1s"), Ok(longest));
        assert_eq!(allow("timeout=10s"), ms(9_500));
        assert_eq!(allow("a=b&timeout=1s"), ms(900));
        assert_eq!(allow("timeout=100ms"), ms(80));
        assert_eq!(allow("timeout=10ms"), ms(5));
        assert_eq!(allow("timeout=1m30s"), Ok(longest));
        assert_eq!(allow("timeout=500%C2%B5s"), Ok(Duration::from_micros(250)));
    }

    #[test]
    fn what_is_no_positive_duration_is_refused() {
        for query in ["timeout=", "timeout", "timeout=0", "timeout=-1s", "timeout=soon", "timeout=5"] {
            assert!(allowance(Some(query), Duration::from_secs(30)).is_err(), "{query}");
        }
    }
}
