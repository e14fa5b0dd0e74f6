//! From what a policy said to what kube-apiserver takes: lengths, characters, codes and keys.
//!
//! Nothing here fails: what does not fit is shortened, replaced or left out.

use sha2::{Digest, Sha256};

use super::{
    admission::{Cause, Denial},
    verdict::Denied,
};
use crate::text::{plain_line, plain_lines, shorten};

/// One warning as kubectl shows it: one line of at most [`MAX_WARNING`] characters. None if nothing is left.
pub fn warning(text: &str) -> Option<String> {
    let line = line(text, MAX_WARNING);
    (!line.is_empty()).then_some(line)
}

/// One line of at most `max` characters.
pub fn line(text: &str, max: usize) -> String {
    shorten(&plain_line(text), max)
}

/// The value of an audit annotation, of several lines.
pub(super) fn annotation_value(value: &str) -> String {
    text(value, MAX_ANNOTATION_VALUE)
}

/// The key of an audit annotation: `<policy>.<key>` as a qualified name's part. Where anything had to be changed, or
/// another policy's key could read the same, a hash keeps different keys apart.
pub fn annotation_key(policy: &str, key: &str) -> String {
    let whole = format!("{policy}.{key}");
    let fits = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.');
    let ends = |it: Option<&u8>| it.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = whole.as_bytes();
    let plain = bytes.len() <= MAX_KEY && bytes.iter().copied().all(fits) && ends(bytes.first()) && ends(bytes.last());
    if plain && !policy.contains('.') {
        return whole;
    }
    // The lengths tell policy `a.b` with key `c` from policy `a` with key `b.c`.
    let digest = Sha256::digest(format!("{}.{whole}", policy.len()));
    let hash: String = digest[..HASHED].iter().map(|it| format!("{it:02x}")).collect();
    let kept: String =
        whole.bytes().take(MAX_KEY - 1 - hash.len()).map(|it| if fits(it) { char::from(it) } else { '-' }).collect();
    let kept = kept.trim_start_matches(|it: char| !it.is_ascii_alphanumeric());
    if kept.is_empty() { hash } else { format!("{kept}.{hash}") }
}

/// A denial that kube-apiserver passes on as it was meant.
pub fn denied(denial: Denial) -> Denied {
    let retry_after = denial.retry_after.map(|it| it.clamp(1, MAX_RETRY_AFTER));
    let default = if retry_after.is_some() { 429 } else { 403 };
    let code = denial.code.filter(|it| (400..=599).contains(it)).unwrap_or(default);
    let reason = if is_reason(&denial.reason) { denial.reason } else { reason_of(code).to_owned() };
    let message = text(&denial.message, MAX_MESSAGE);
    let message = if message.is_empty() { "denied without a message".to_owned() } else { message };
    let mut causes: Vec<Cause> = denial
        .causes
        .into_iter()
        .take(MAX_CAUSES)
        .map(|cause| Cause {
            field: line(&cause.field, MAX_FIELD),
            reason: if is_reason(&cause.reason) { cause.reason } else { String::new() },
            message: text(&cause.message, MAX_CAUSE),
        })
        .filter(|cause| *cause != Cause::default())
        .collect();
    // Of an Invalid kubectl shows nothing else.
    if reason == INVALID && causes.is_empty() {
        causes.push(Cause { message: message.clone(), ..Cause::default() });
    }
    Denied { message, code, reason, causes, retry_after }
}

/// Several lines of at most `max` characters together.
fn text(text: &str, max: usize) -> String {
    shorten(&plain_lines(text), max)
}

/// meta.k8s.io/v1 StatusReason: one word in camel case.
fn is_reason(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|it: char| it.is_ascii_uppercase())
        && text.bytes().all(|it| it.is_ascii_alphanumeric())
}

pub(super) fn reason_of(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        404 => "NotFound",
        409 => "Conflict",
        413 => "RequestEntityTooLarge",
        422 => INVALID,
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        500.. => "InternalError",
        _ => "Forbidden",
    }
}

/// The reason of which kubectl shows the causes, and then no message.
pub(super) const INVALID: &str = "Invalid";
/// Characters of a warning; above 4096 in all, kube-apiserver cuts each to this.
pub const MAX_WARNING: usize = 256;
/// Characters of a denial's message.
pub const MAX_MESSAGE: usize = 8192;
/// Characters of a reason that goes to the user in one line.
pub const MAX_REASON: usize = 1024;
/// Causes of one denial, and of several together.
pub(super) const MAX_CAUSES: usize = 256;
const MAX_CAUSE: usize = 1024;
/// Seconds: clients wait as long as they are told, with their connection open.
const MAX_RETRY_AFTER: u32 = 60;
const MAX_FIELD: usize = 512;
/// Bytes of a qualified name's part.
const MAX_KEY: usize = 63;
/// Bytes of a hash in a key: enough that no policy can find another's.
const HASHED: usize = 8;
/// Characters of an audit annotation's value.
pub(super) const MAX_ANNOTATION_VALUE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_one_short_line() {
        assert_eq!(warning("a\nb\u{1b}[31m\tc").unwrap(), "a b [31m c");
        for nothing in ["", " \n", "\u{1b}", "\u{202e}"] {
            assert_eq!(warning(nothing), None);
        }
        assert_eq!(warning("a\u{2028}b\u{202e}c").unwrap(), "a bc");
        let long = warning(&"é".repeat(300)).unwrap();
        assert_eq!(long.chars().count(), 256);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn bad_annotation_keys_become_good_ones_that_differ() {
        assert_eq!(annotation_key("policy", "key"), "policy.key");
        let namespaced = annotation_key("team-a/labels", "denied");
        assert!(namespaced.starts_with("team-a-labels.denied.") && !namespaced.contains('/'), "{namespaced}");
        let mut seen = std::collections::BTreeSet::new();
        for key in ["", "a/b", "a b", "ü", &"x".repeat(500), &"x".repeat(501), "ends-", "\n"] {
            let made = annotation_key("policy", key);
            assert!(made.len() <= 63, "{made}");
            assert!(made.starts_with("policy.") && made.ends_with(|it: char| it.is_ascii_alphanumeric()), "{made}");
            assert!(made.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it)), "{made}");
            assert!(seen.insert(made));
        }
        assert_ne!(annotation_key(&"p".repeat(63), "a"), annotation_key(&"p".repeat(63), "b"));
    }

    #[test]
    fn no_policy_has_the_keys_of_another() {
        for ((policy, key), (other, its)) in [
            (("a", "b.c"), ("a.b", "c")),
            (("a.b", "c.d"), ("a.b.c", "d")),
            (("a", "b-c"), ("a", "b c")),
            (("a", "b c"), ("a", "b/c")),
            // Of namespaced policies: NAMESPACE/NAME.
            (("a/b", "c"), ("a", "b.c")),
            (("a/b", "c"), ("a-b", "c")),
            (("a/b-c", "d"), ("a-b/c", "d")),
        ] {
            assert_ne!(annotation_key(policy, key), annotation_key(other, its), "{policy} {key}, {other} {its}");
        }
    }

    #[test]
    fn a_denial_always_has_a_code_a_reason_and_words() {
        for (code, reason, expected) in [
            (None, "", (403, "Forbidden")),
            (Some(200), "", (403, "Forbidden")),
            (Some(9999), "", (403, "Forbidden")),
            (Some(422), "", (422, "Invalid")),
            (Some(502), "", (502, "InternalError")),
            (Some(418), "", (418, "Forbidden")),
            (Some(404), "Mine", (404, "Mine")),
            (Some(500), "not a word", (500, "InternalError")),
        ] {
            let denial = Denial { code, reason: reason.into(), ..Denial::default() };
            let denied = denied(denial);
            assert_eq!((denied.code, denied.reason.as_str()), expected);
            assert_eq!(denied.message, "denied without a message");
            assert_eq!(denied.retry_after, None);
        }
    }

    #[test]
    fn who_may_come_again_is_told_when_within_a_minute() {
        for (retry_after, code, expected) in [
            (0, None, (429, "TooManyRequests", 1)),
            (30, None, (429, "TooManyRequests", 30)),
            (u32::MAX, Some(503), (503, "ServiceUnavailable", 60)),
            (7, Some(200), (429, "TooManyRequests", 7)),
        ] {
            let denied = denied(Denial { retry_after: Some(retry_after), code, ..Denial::default() });
            assert_eq!((denied.code, denied.reason.as_str(), denied.retry_after.unwrap()), expected);
        }
    }

    #[test]
    fn an_invalid_without_causes_gets_one() {
        let denied = denied(Denial {
            message: "bad\r\nworse".into(),
            reason: "Invalid".into(),
            causes: vec![Cause::default()],
            ..Denial::default()
        });
        assert_eq!(denied.message, "bad\nworse");
        assert_eq!(denied.causes[0].message, "bad\nworse");
    }
}
