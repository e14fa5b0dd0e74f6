//! The causes of a denial as lines of its message.
//!
//! kubectl shows causes only of an Invalid (k8s.io/kubectl, pkg/cmd/util/helpers.go), and of one only where a command
//! names a single object; the events of a controller, such as a ReplicaSet's, never have them. There the message is all
//! that users see, and where kubectl does show causes it leaves the message out: so no user reads a cause twice.

use std::collections::HashSet;

use super::admission::Cause;
use crate::text::{plain_line, shorten};

/// What `causes` say beyond `message`: one line each, none twice, those with a field first.
pub fn lines(message: &str, causes: &[Cause]) -> Vec<String> {
    let (with_field, without): (Vec<&Cause>, Vec<&Cause>) = causes.iter().partition(|it| !it.field.is_empty());
    let mut seen = HashSet::new();
    let all: Vec<String> = with_field
        .into_iter()
        .chain(without)
        .filter_map(|it| line(message, it))
        .filter(|it| seen.insert(it.clone()))
        .collect();
    let mut left = MAX_TEXT;
    let kept: Vec<String> = all
        .iter()
        .take(MAX_LINES)
        .map_while(|it| {
            left = left.checked_sub(it.chars().count())?;
            Some(it.clone())
        })
        .collect();
    let more = all.len() - kept.len();
    kept.into_iter().chain((more > 0).then(|| format!("and {more} more"))).collect()
}

/// The message and below it the lines of the causes, as kubectl lists them.
pub fn with_lines(message: &str, causes: &[Cause]) -> String {
    lines(message, causes).iter().fold(message.to_owned(), |all, line| all + "\n* " + line)
}

/// None: the message says it already.
fn line(message: &str, cause: &Cause) -> Option<String> {
    let field = &cause.field;
    let said = cause.message.is_empty() || names(message, &cause.message);
    let line = match (field.is_empty(), said) {
        (true, true) => return None,
        (false, true) if names(message, field) => return None,
        (true, false) => plain_line(&cause.message),
        (false, true) => field.clone(),
        (false, false) => format!("{field}: {}", plain_line(&cause.message)),
    };
    Some(shorten(&line, MAX_LINE))
}

/// Whether `part` stands in `text` by itself: `spec.a` does not stand in `spec.ab` or in `spec.a.b`.
fn names(text: &str, part: &str) -> bool {
    let goes_on = |it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '/');
    text.match_indices(part).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + part.len()..]);
        let mut next = after.chars();
        let longer = match next.next() {
            Some('[') => true,
            Some('.') => next.next().is_some_and(goes_on),
            Some(it) => goes_on(it),
            None => false,
        };
        !longer && !before.ends_with(|it| goes_on(it) || it == '.')
    })
}

const MAX_LINES: usize = 32;
/// Characters of one line.
const MAX_LINE: usize = 512;
/// Characters of all lines of one denial.
const MAX_TEXT: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(field: &str, message: &str) -> Cause {
        Cause { field: field.to_owned(), message: message.to_owned(), ..Cause::default() }
    }

    #[test]
    fn each_cause_is_told_once_and_fields_come_first() {
        let causes = [
            cause("", "ask the platform team"),
            cause("spec.volumes[0]", "hostPath is restricted"),
            cause("spec.volumes[1]", "hostPath is\nrestricted"),
            cause("spec.volumes[0]", "hostPath is restricted"),
        ];
        assert_eq!(
            with_lines("volumes are restricted", &causes),
            "volumes are restricted\n* spec.volumes[0]: hostPath is restricted\n* spec.volumes[1]: hostPath is restricted\n* ask the platform team"
        );
    }

    #[test]
    fn what_the_message_says_already_is_not_told_again() {
        for (message, field, its, expected) in [
            ("no", "", "no", &[][..]),
            ("spec.a: no", "spec.a", "no", &[]),
            ("no: spec.a.", "spec.a", "no", &[]),
            ("no", "spec.a", "no", &["spec.a"]),
            ("no", "spec.a", "", &["spec.a"]),
            ("spec.ab: no", "spec.a", "no", &["spec.a"]),
            ("spec.a[0]: no", "spec.a", "no", &["spec.a"]),
            ("spec.a.b: no", "spec.a", "no", &["spec.a"]),
            ("not this", "spec.a", "no", &["spec.a: no"]),
        ] {
            assert_eq!(lines(message, &[cause(field, its)]), expected, "{message} {field} {its}");
        }
    }

    #[test]
    fn many_and_long_causes_are_counted() {
        let many: Vec<Cause> = (0..256).map(|it| cause(&format!("spec.a[{it}]"), "no")).collect();
        let told = lines("denied", &many);
        assert_eq!((told.len(), told[31].as_str(), told[32].as_str()), (33, "spec.a[31]: no", "and 224 more"));
        let long: Vec<Cause> = (0..32).map(|it| cause(&format!("spec.a[{it}]"), &"x".repeat(1024))).collect();
        let told = lines("denied", &long);
        assert_eq!((told.len(), told[8].as_str()), (9, "and 24 more"));
        assert!(with_lines("denied", &long).chars().count() < 4300);
    }
}
