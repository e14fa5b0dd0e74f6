//! One way to clean hostile text for a log, a terminal, a page, a header.
//!
//! Guests, callers, authors and file names write what they like. Characters that end a line, drive a terminal, turn the
//! direction of text or cannot be seen would let them forge lines, or show other words than they wrote. Operators and
//! authors see such a character escaped ([`line`], [`lines`], [`json`]), so that nothing is hidden from them; users see it
//! left out ([`plain_line`], [`plain_lines`]). Cleaning what is clean changes nothing.

use std::fmt::Write as _;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// On one line, with hostile characters escaped: `\n`, `\u{1b}`.
pub fn line(text: &str) -> String {
    escaped(text, |_| false)
}

/// As [`line`], but several lines stay several lines.
pub fn lines(text: &str) -> String {
    escaped(text, |it| it == '\n')
}

/// On one line: what ends a line or moves in it becomes a space, other hostile characters go, and so does white space at
/// the ends.
pub fn plain_line(text: &str) -> String {
    let spaced = text.chars().map(|it| if it.is_control() || is_line_end(it) { ' ' } else { it });
    let kept: String = spaced.filter(|it| !is_hostile(*it)).collect();
    kept.trim().to_owned()
}

/// Without hostile characters but `\n`, and without white space at the ends.
pub fn plain_lines(text: &str) -> String {
    let ended = text.chars().map(|it| if is_line_end(it) { '\n' } else { it });
    let kept: String = ended.filter(|it| *it == '\n' || !is_hostile(*it)).collect();
    kept.trim().to_owned()
}

/// JSON text that means the same, with hostile characters in its strings escaped as JSON escapes: `\u202e`.
pub fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // Outside strings JSON has no such characters but white space, which is no part of what is said.
        if is_hostile(character) && !matches!(character, '\n' | '\t' | '\r') {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A value as people write YAML. Numbers beyond 128 bits lose digits.
///
/// # Errors
/// The writer's, which no JSON value is known to cause.
pub fn yaml(value: &Value) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&Yaml(value))
}

/// Without the way in which serde_json tells itself a number of any length.
struct Yaml<'v>(&'v Value);

impl Serialize for Yaml<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Number(number) => match (number.as_i128(), number.as_u128(), number.as_f64()) {
                (Some(whole), _, _) => serializer.serialize_i128(whole),
                (_, Some(whole), _) => serializer.serialize_u128(whole),
                (_, _, Some(real)) => serializer.serialize_f64(real),
                _ => serializer.collect_str(number),
            },
            Value::Array(items) => serializer.collect_seq(items.iter().map(Yaml)),
            Value::Object(entries) => serializer.collect_map(entries.iter().map(|(key, value)| (key, Yaml(value)))),
            other => other.serialize(serializer),
        }
    }
}

/// At most `max` characters, the last one an ellipsis where something is cut.
pub fn shorten(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max.saturating_sub(1)).chain((max > 0).then_some('…')).collect(),
    }
}

/// Without `secret`: a token must not be seen, whoever repeats it, as it is, in JSON or in base64.
pub fn without(text: &str, secret: &str) -> String {
    let mut text = text.to_owned();
    // What is that short is no secret, and is found in many words.
    if secret.len() < SECRET {
        return text;
    }
    let (standard, url_safe) = (STANDARD_NO_PAD.encode(secret), URL_SAFE_NO_PAD.encode(secret));
    let in_json = Value::from(secret).to_string();
    for form in [in_json.trim_matches('"'), secret, &standard, &url_safe] {
        if text.contains(form) {
            text = text.replace(form, "[redacted]");
        }
    }
    text
}

const SECRET: usize = 8;

/// Whether a character can forge, drive, turn or hide: control characters, ends of lines, marks of direction, what cannot
/// be seen, and what XML cannot hold.
///
/// What cannot be seen is Unicode 17's Default_Ignorable_Code_Point and what may become that, without the two selectors
/// that choose how an emoji looks; and the interlinear marks.
pub fn is_hostile(character: char) -> bool {
    character.is_control()
        || is_line_end(character)
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fdd0}'..='\u{fdef}'
                | '\u{fe00}'..='\u{fe0d}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
        || (u32::from(character) & 0xfffe) == 0xfffe
}

/// Ends of lines that are no control characters; the others are controls.
fn is_line_end(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}')
}

fn escaped(text: &str, kept: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hostile(character) && !kept(character) {
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind that can forge, drive, turn or hide.
    const HOSTILE: [char; 26] = [
        '\0',
        '\n',
        '\r',
        '\t',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{ad}',
        '\u{61c}',
        '\u{200b}',
        '\u{200d}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{feff}',
        '\u{fff9}',
        '\u{ffff}',
        '\u{e0001}',
        '\u{e007f}',
    ];

    #[test]
    fn nothing_hostile_is_left_and_cleaning_again_changes_nothing() {
        for character in HOSTILE {
            assert!(is_hostile(character), "{character:?}");
            let text = format!("a{character}b");
            for clean in [line, plain_line] {
                let cleaned = clean(&text);
                assert!(!cleaned.contains(is_hostile), "{cleaned:?}");
                assert_eq!(clean(&cleaned), cleaned);
            }
            for clean in [lines, plain_lines] {
                let cleaned = clean(&text);
                assert!(!cleaned.contains(|it| it != '\n' && is_hostile(it)), "{cleaned:?}");
                assert_eq!(clean(&cleaned), cleaned);
            }
            let written = json(&serde_json::to_string(&text).unwrap());
            assert!(!written.contains(is_hostile), "{written:?}");
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }

    #[test]
    fn a_secret_is_found_in_every_form() {
        let secret = "tok?en~\u{fc}>\"\\";
        for form in [
            secret.to_owned(),
            "tok?en~\u{fc}>\\\"\\\\".to_owned(),
            STANDARD_NO_PAD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
        ] {
            assert_eq!(without(&format!("a {form} b"), secret), "a [redacted] b");
        }
        assert_eq!(without("a trap", "t"), "a trap");
    }

    #[test]
    fn words_of_any_language_stay() {
        for text in ["grüße", "中文", "नमस्ते", "سلام", "⚠\u{fe0f} 🚀", "a \\n b", "zero\u{a0}width"]
        {
            for clean in [line, lines, plain_line, plain_lines, json] {
                assert_eq!(clean(text), text);
            }
        }
    }

    #[test]
    fn operators_see_what_was_there_and_users_do_not() {
        assert_eq!(lines("a\n\u{1b}[2Jb\rc\u{202e}d\u{9b}e"), "a\n\\u{1b}[2Jb\\rc\\u{202e}d\\u{9b}e");
        assert_eq!(line("a\nb"), "a\\nb");
        assert_eq!(plain_line("a\nb\u{2028}c\u{202e}d\u{1b}[31m\t"), "a b cd [31m");
        assert_eq!(plain_lines(" a\r\nb\u{2028}c\u{202e}d"), "a\nb\ncd");
    }

    #[test]
    fn json_as_yaml_keeps_its_numbers() {
        let value: Value =
            serde_json::from_str(r#"{"a": 1, "b": [12345678901234567890123, -1.50], "c": "yes", "d": null}"#).unwrap();
        assert_eq!(yaml(&value).unwrap(), "a: 1\nb:\n- 12345678901234567890123\n- -1.5\nc: \"yes\"\nd: null\n");
    }

    #[test]
    fn what_is_cut_ends_with_an_ellipsis() {
        assert_eq!(shorten("grüße", 5), "grüße");
        assert_eq!(shorten("grüße", 4), "grü…");
        assert_eq!(shorten("grüße", 0), "");
    }
}
