//! When the caller must have its answer: `?timeout=` as kube-apiserver sends it, less a margin, and never beyond the server's own maximum.

use std::time::Duration;

use crate::go;

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

/// In the syntax of Go's time.ParseDuration, without a minus sign: `300ms`, `1.5h`, `1m30s`, `0`.
fn parse(text: &str) -> Option<Duration> {
    go::time::duration(text).and_then(|it| u64::try_from(it).ok()).map(Duration::from_nanos)
}

const LEAST_MARGIN: Duration = Duration::from_millis(20);
const MOST_MARGIN: Duration = Duration::from_millis(500);

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
