//! Values as people read them, and the difference of two.

use std::time::Duration;

use serde_json::Value;
use similar::TextDiff;

/// As people read JSON.
pub(super) fn pretty(value: &Value) -> String {
    // Values with string keys can always be written.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// What has to change in `expected` to get `came`, with the lines around it.
pub(crate) fn difference(expected: &str, came: &str) -> String {
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
    fn a_difference_has_the_lines_around_it() {
        let text = difference("a\nb\nc\n", "a\nx\nc\n");
        assert!(text.contains("\n a\n-b\n+x\n c\n"), "{text}");
        assert!(difference(&"a\n".repeat(40_000), &"b\n".repeat(40_000)).ends_with("and more"));
    }
}
