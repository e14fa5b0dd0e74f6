//! What an expression must satisfy before a parser sees it: its length, and how deep its brackets nest.
//!
//! `cel`'s parser (ANTLR) recurses and looks ahead without bounds of its own; this pass does neither.

/// Bytes. Kubernetes has no limit of its own beyond the object's size; nobody writes conditions near this.
pub(super) const MAX_LENGTH: usize = 16 * 1024;
/// Open brackets of any kind at once.
pub(super) const MAX_NESTING: usize = 32;
/// Signs (`!`, `-`) or question marks in a row or in sum that the parser would recurse over.
const MAX_TERNARIES: usize = 64;
const MAX_SIGNS: usize = 16;

/// Err: words for the operator.
pub(super) fn check(expression: &str) -> Result<(), String> {
    if expression.len() > MAX_LENGTH {
        return Err(format!("the expression is {} bytes long, {MAX_LENGTH} is the most", expression.len()));
    }
    let bytes = expression.as_bytes();
    let (mut at, mut nesting, mut ternaries, mut signs) = (0, 0_usize, 0_usize, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        signs = match byte {
            b'!' | b'-' => signs + 1,
            byte if byte.is_ascii_whitespace() => signs,
            _ => 0,
        };
        match byte {
            b'(' | b'[' | b'{' => nesting += 1,
            b')' | b']' | b'}' => nesting = nesting.saturating_sub(1),
            b'?' => ternaries += 1,
            b'/' if bytes.get(at) == Some(&b'/') => {
                while bytes.get(at).is_some_and(|byte| *byte != b'\n') {
                    at += 1;
                }
            }
            b'"' | b'\'' => at = skip_string(bytes, at - 1, is_raw(&bytes[..at - 1])?),
            _ => {}
        }
        if nesting > MAX_NESTING {
            return Err(format!("brackets nest deeper than {MAX_NESTING} levels"));
        }
        if ternaries > MAX_TERNARIES {
            return Err(format!("more than {MAX_TERNARIES} question marks"));
        }
        if signs > MAX_SIGNS {
            return Err(format!("more than {MAX_SIGNS} signs in a row"));
        }
    }
    Ok(())
}

/// The offset behind the string literal whose first quote is at `start`; the end of the text if it is never closed.
/// A raw string, `r'…'`, has no escapes.
fn skip_string(bytes: &[u8], start: usize, raw: bool) -> usize {
    let quote = bytes[start];
    let triple = bytes[start..].starts_with(&[quote; 3]);
    let quotes = [quote; 3];
    let closing = if triple { &quotes[..] } else { &quotes[..1] };
    let mut at = start + closing.len();
    while at < bytes.len() {
        if bytes[at..].starts_with(closing) {
            return at + closing.len();
        }
        // An unclosed single-quoted string ends with its line: the rest must still be counted.
        if !triple && bytes[at] == b'\n' {
            return at;
        }
        at += if bytes[at] == b'\\' && !raw { 2 } else { 1 };
    }
    bytes.len()
}

/// Whether a quote behind `before` opens a raw string. What is neither a name nor a prefix is refused, so that this pass
/// and the parser cannot disagree on where a string ends.
fn is_raw(before: &[u8]) -> Result<bool, String> {
    let word = before.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    let prefix = before[before.len() - word..].to_ascii_lowercase();
    match &prefix[..] {
        b"r" | b"br" | b"rb" => Ok(true),
        b"" | b"b" | b"in" => Ok(false),
        _ => Err("a string literal follows a name or a number directly".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_and_comments_do_not_nest() {
        let many = "(".repeat(100);
        for expression in [
            format!("'{many}' == ''"),
            format!("\"\"\"\n{many}\"\"\" == ''"),
            format!("true // {many}"),
            format!(r"r'\' == '{many}'"),
        ] {
            assert_eq!(check(&expression), Ok(()), "{expression}");
        }
    }

    #[test]
    fn brackets_behind_strings_nest() {
        let many = "(".repeat(100);
        for expression in [many.clone(), format!(r"'\'' == {many}"), format!("'a\n{many}"), format!("r'\\'{many}")] {
            assert!(check(&expression).is_err(), "{expression}");
        }
    }
}
