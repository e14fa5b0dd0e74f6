//! Text of guests and authors as people can safely read it, and the difference of two values.

use std::{fmt::Write as _, time::Duration};

use serde_json::Value;
use similar::TextDiff;

/// Several lines, in which nothing drives a terminal or hides what is said.
pub(crate) fn shown(text: &str) -> String {
    escaped(text, |it| it == '\n')
}

/// One line of it.
pub(super) fn line(text: &str) -> String {
    escaped(text, |_| false)
}

fn escaped(text: &str, kept: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hostile(character) && !kept(character) {
            // Writing to a String cannot fail.
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Controls, marks that turn the direction of text, line separators, and what XML cannot hold.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// As people read JSON.
pub(super) fn pretty(value: &Value) -> String {
    // Values with string keys can always be written.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// What has to change in `expected` to get `came`, with the lines around it.
pub(super) fn difference(expected: &str, came: &str) -> String {
    // The best difference of two long texts may take minutes to find.
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(expected, came);
    let mut unified = diff.unified_diff().context_radius(3).missing_newline_hint(false).to_string();
    if unified.len() > MAX_SHOWN {
        unified.truncate(unified.floor_char_boundary(MAX_SHOWN));
        unified.push_str("\n… and more");
    }
    unified
}

/// Bytes of a difference that are shown.
const MAX_SHOWN: usize = 16 << 10;
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_drives_it() {
        assert_eq!(shown("a\n\u{1b}[2Jb\rc\u{202e}d\u{9b}e"), "a\n\\u{1b}[2Jb\\rc\\u{202e}d\\u{9b}e");
        assert_eq!(line("a\nb"), "a\\nb");
        assert_eq!(line("grüße 中"), "grüße 中");
    }

    #[test]
    fn a_difference_has_the_lines_around_it() {
        let text = difference("a\nb\nc\n", "a\nx\nc\n");
        assert!(text.contains("\n a\n-b\n+x\n c\n"), "{text}");
        assert!(difference(&"a\n".repeat(40_000), &"b\n".repeat(40_000)).ends_with("and more"));
    }
}
