//! From text to tokens: the longest that fits, as ANTLR's lexer for `CEL.g4` takes it.

use std::fmt;

use super::Mistake;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    End,
    /// An operator or a bracket; `in` too.
    Sign(&'a str),
    Identifier(&'a str),
    /// A name in backticks.
    Escaped,
    /// `true`, `false` or `null`.
    Keyword(&'a str),
    Int(&'a str),
    /// Without its `u`.
    Uint(&'a str),
    Float(&'a str),
    /// With quotes and the `r` of a raw string.
    String(&'a str),
    /// The same, without the `b`.
    Bytes(&'a str),
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => out.write_str("the end"),
            Self::Sign(text) | Self::Identifier(text) | Self::Keyword(text) => write!(out, "'{text}'"),
            Self::Escaped => out.write_str("a name in backticks"),
            Self::Int(_) | Self::Uint(_) | Self::Float(_) => out.write_str("a number"),
            Self::String(_) | Self::Bytes(_) => out.write_str("a string"),
        }
    }
}

pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next token and where it begins.
    pub(super) fn next(&mut self) -> Result<(usize, Token<'a>), Mistake> {
        self.skip_blanks();
        let start = self.at;
        let rest = &self.text[start..];
        let Some(first) = rest.bytes().next() else { return Ok((start, Token::End)) };
        let token = if let Some((prefix, length)) = quoted(rest)? {
            let text = &rest[prefix..length];
            self.at += length;
            return Ok((start, if prefix == 0 { Token::String(text) } else { Token::Bytes(text) }));
        } else if first.is_ascii_digit() || first == b'.' && rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
            self.number(rest)
        } else if first.is_ascii_alphabetic() || first == b'_' {
            let word = &rest[..length(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'_')];
            self.at += word.len();
            match word {
                "in" => Token::Sign(word),
                "true" | "false" | "null" => Token::Keyword(word),
                _ => Token::Identifier(word),
            }
        } else if first == b'`' {
            let name = length(&rest[1..], |byte| byte.is_ascii_alphanumeric() || b"_.-/ ".contains(&byte));
            if name == 0 || rest.as_bytes().get(name + 1) != Some(&b'`') {
                return Err(Mistake::new(start, "a name in backticks is empty, not closed or has other letters"));
            }
            self.at += name + 2;
            Token::Escaped
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            self.at += sign.len();
            Token::Sign(sign)
        } else {
            let letter = rest.chars().next().unwrap_or_default();
            return Err(Mistake::new(start, format!("syntax error: unexpected {letter:?}")));
        };
        Ok((start, token))
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            self.at += length(rest, |byte| b" \t\r\n\x0c".contains(&byte));
            let rest = &self.text[self.at..];
            if !rest.starts_with("//") {
                return;
            }
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    /// `rest` begins with a digit, or with a dot and a digit.
    fn number(&mut self, rest: &'a str) -> Token<'a> {
        let bytes = rest.as_bytes();
        let unsigned = |end: usize| bytes.get(end).is_some_and(|byte| b"uU".contains(byte));
        if let Some(hex) = rest.strip_prefix("0x") {
            let end = 2 + length(hex, |byte| byte.is_ascii_hexdigit());
            if end > 2 {
                return self.integer(rest, end, unsigned(end));
            }
        }
        let digits = |from: usize| from + length(&rest[from..], |byte| byte.is_ascii_digit());
        let mut end = digits(0);
        let mut float = false;
        if bytes.get(end) == Some(&b'.') && digits(end + 1) > end + 1 {
            (end, float) = (digits(end + 1), true);
        }
        if bytes.get(end).is_some_and(|byte| b"eE".contains(byte)) {
            let from = end + 1 + usize::from(bytes.get(end + 1).is_some_and(|byte| b"+-".contains(byte)));
            if rest.is_char_boundary(from) && from <= rest.len() && digits(from) > from {
                (end, float) = (digits(from), true);
            }
        }
        if float {
            self.at += end;
            return Token::Float(&rest[..end]);
        }
        self.integer(rest, end, unsigned(end))
    }

    fn integer(&mut self, rest: &'a str, end: usize, unsigned: bool) -> Token<'a> {
        self.at += end + usize::from(unsigned);
        if unsigned { Token::Uint(&rest[..end]) } else { Token::Int(&rest[..end]) }
    }
}

/// Of a string or bytes at the beginning of `rest`: the length of its `b`, and its whole length.
fn quoted(rest: &str) -> Result<Option<(usize, usize)>, Mistake> {
    let bytes = rest.as_bytes();
    let prefix = usize::from(bytes.first().is_some_and(|byte| b"bB".contains(byte)));
    let raw = bytes.get(prefix).is_some_and(|byte| b"rR".contains(byte));
    let start = prefix + usize::from(raw);
    let Some(quote @ (b'"' | b'\'')) = bytes.get(start).copied() else { return Ok(None) };
    let triple = bytes[start..].starts_with(&[quote; 3]);
    let quotes = [quote; 3];
    let closing = if triple { &quotes[..] } else { &quotes[..1] };
    let mut at = start + closing.len();
    while at < bytes.len() {
        if bytes[at..].starts_with(closing) {
            return Ok(Some((prefix, at + closing.len())));
        }
        match bytes[at] {
            b'\n' | b'\r' if !triple => break,
            b'\\' if !raw => at += 2,
            _ => at += 1,
        }
    }
    Err(Mistake::new(0, "a string is not closed"))
}

/// Of the beginning that `fits`.
fn length(text: &str, fits: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| fits(*byte)).count()
}

/// The longer ones first.
const SIGNS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?", ":", "+", "*",
    "/", "%",
];
