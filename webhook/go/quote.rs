//! Quoted texts as Go's `strconv` writes them.

use std::{fmt::Write, sync::LazyLock};

use ::regex::Regex;

/// As `strconv.Quote` writes it, behind what `out` already holds. At most ten bytes for each one of the text.
pub(crate) fn quote(text: &str, out: &mut String) {
    out.push('"');
    // Most of a text is written as it is.
    let mut rest = text;
    while let Some(found) = UNUSUAL.as_ref().and_then(|unusual| unusual.find(rest)) {
        out.push_str(&rest[..found.start()]);
        for letter in found.as_str().chars() {
            escape(letter, '"', false, out);
        }
        rest = &rest[found.end()..];
    }
    out.push_str(rest);
    out.push('"');
}

/// As `strconv.QuoteToASCII`.
pub(crate) fn quote_to_ascii(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        escape(letter, '"', true, out);
    }
    out.push('"');
}

/// As `strconv.QuoteRune`, or `strconv.QuoteRuneToASCII`.
pub(crate) fn quote_letter(letter: char, ascii: bool, out: &mut String) {
    out.push('\'');
    escape(letter, '\'', ascii, out);
    out.push('\'');
}

/// As `strconv.CanBackquote`.
pub(crate) fn can_backquote(text: &str) -> bool {
    !text.contains(|letter| matches!(letter, '\0'..='\x08' | '\n'..='\x1f' | '`' | '\x7f' | '\u{feff}'))
}

/// As `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the space of ASCII.
pub(crate) fn is_printable(letter: char) -> bool {
    match letter {
        ' '..='~' => true,
        '\0'..='\x7f' => false,
        _ => !UNPRINTABLE.as_ref().is_some_and(|unprintable| unprintable.is_match(letter.encode_utf8(&mut [0; 4]))),
    }
}

fn escape(letter: char, quote: char, ascii: bool, out: &mut String) {
    if letter == quote || letter == '\\' {
        out.extend(['\\', letter]);
        return;
    }
    if (letter.is_ascii() || !ascii) && is_printable(letter) {
        out.push(letter);
        return;
    }
    let short = match letter {
        '\x07' => 'a',
        '\x08' => 'b',
        '\x0c' => 'f',
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        '\x0b' => 'v',
        _ => {
            let number = u32::from(letter);
            // Writing to a String cannot fail.
            let _ = match number {
                ..0x20 | 0x7f => write!(out, "\\x{number:02x}"),
                ..0x1_0000 => write!(out, "\\u{number:04x}"),
                _ => write!(out, "\\U{number:08x}"),
            };
            return;
        }
    };
    out.extend(['\\', short]);
}

/// None cannot be: both are constants, which a test compiles.
static UNUSUAL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+|["\\]+"#).ok());
static UNPRINTABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[^\p{L}\p{M}\p{N}\p{P}\p{S}]").ok());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_go_would_write() {
        let quoted = |text: &str| {
            let mut out = String::new();
            quote(text, &mut out);
            out
        };
        assert_eq!(
            quoted("a\"\\\n\x07\x01\x7f\u{a0}ä\u{200b}\u{e0001}世"),
            r#""a\"\\\n\a\x01\x7f\u00a0ä\u200b\U000e0001世""#
        );
        assert!(is_printable('ä') && !is_printable('\u{a0}') && !is_printable('\n'));
        let mut out = String::new();
        quote_to_ascii("ä\t", &mut out);
        quote_letter('\'', false, &mut out);
        assert_eq!(out, r#""\u00e4\t"'\''"#);
        assert!(can_backquote("a\t") && !can_backquote("`"));
    }
}
