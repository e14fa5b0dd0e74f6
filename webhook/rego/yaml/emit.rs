//! Documents as yaml.v3 writes them for OPA: in blocks, two spaces a level, keys in their natural order.

use std::{cmp::Ordering, fmt::Write, sync::LazyLock};

use ::regex::Regex;

use super::scalar::Scalar;
use crate::rego::{
    Fault, Outcome,
    number::Number,
    sprintf::float,
    value::Value,
    work::{Exhausted, Out, Work},
    write,
};

pub(super) fn document(value: &Value, work: &mut Work) -> Outcome {
    let mut emitter = Emitter { out: Out::new(work), at_start: true };
    emitter.node(value, 0, Place::Root)?;
    if !emitter.at_start {
        emitter.out.push("\n")?;
    }
    Ok(Value::string(emitter.out.finish()))
}

struct Emitter<'w> {
    out: Out<'w>,
    /// Whether nothing is on the line.
    at_start: bool,
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    /// Behind `- `, `? ` or `: ` of its own: a block begins on the same line.
    Inline,
    /// Behind `key:`.
    Value,
    /// A key that fits before its colon.
    Key,
}

impl Emitter<'_> {
    /// A block has its lines at `indent`.
    fn node(&mut self, value: &Value, indent: usize, place: Place) -> Result<(), Fault> {
        match value {
            Value::Null => self.text("null", place),
            Value::Bool(value) => self.text(if *value { "true" } else { "false" }, place),
            Value::Number(number) => {
                let text = self.number(number)?;
                self.text(&text, place)
            }
            Value::String(text) => self.string(text, indent, place),
            Value::Array(values) => self.list(values.iter(), indent, place),
            Value::Set(values) => self.list(values.iter(), indent, place),
            Value::Object(object) => {
                if object.is_empty() {
                    return self.text("{}", place);
                }
                let mut entries = Vec::with_capacity(object.len());
                for (key, value) in object {
                    entries.push((write::key(key, self.out.work)?, value));
                }
                let comparisons = entries.len().saturating_mul(entries.len().ilog2() as usize + 1);
                self.out.work.steps(comparisons.saturating_mul(STEPS_A_COMPARISON))?;
                entries.sort_by(|one, other| natural(&one.0, &other.0));
                for (at, (key, value)) in entries.iter().enumerate() {
                    self.line(indent, at == 0, place)?;
                    if key.len() <= LONGEST_KEY && !key.contains(BREAKS) {
                        self.string(key, indent, Place::Key)?;
                        self.out.push(":")?;
                        self.node(value, indent + 2, Place::Value)?;
                    } else {
                        self.out.push("?")?;
                        self.string(key, indent + 2, Place::Value)?;
                        self.line(indent, false, place)?;
                        self.out.push(":")?;
                        self.node(value, indent + 2, Place::Inline)?;
                    }
                }
                Ok(())
            }
        }
    }

    fn list<'v>(
        &mut self,
        values: impl ExactSizeIterator<Item = &'v Value>,
        indent: usize,
        place: Place,
    ) -> Result<(), Fault> {
        if values.len() == 0 {
            return self.text("[]", place);
        }
        for (at, value) in values.enumerate() {
            self.line(indent, at == 0, place)?;
            self.out.push("-")?;
            self.node(value, indent + 2, Place::Inline)?;
        }
        Ok(())
    }

    /// Where the next entry of a block begins.
    fn line(&mut self, indent: usize, first: bool, place: Place) -> Result<(), Exhausted> {
        if first && place == Place::Inline {
            self.out.push(" ")?;
        } else {
            if !self.at_start {
                self.out.push("\n")?;
            }
            self.out.fill(b' ', indent)?;
        }
        self.at_start = false;
        Ok(())
    }

    fn text(&mut self, text: &str, place: Place) -> Result<(), Fault> {
        if matches!(place, Place::Inline | Place::Value) {
            self.out.push(" ")?;
        }
        self.out.push(text)?;
        self.at_start = false;
        Ok(())
    }

    /// As OPA hands it over: its text is read as YAML.
    fn number(&mut self, number: &Number) -> Result<String, Fault> {
        let text = number.text();
        Ok(match Scalar::of(&text) {
            Scalar::Int(number) => number.to_string(),
            Scalar::Float(number) => float::shortest(number),
            _ => text.into_owned(),
        })
    }

    fn string(&mut self, text: &str, indent: usize, place: Place) -> Result<(), Fault> {
        self.out.work.bytes(text.len())?;
        self.out.work.steps(text.len())?;
        // OPA reads its own JSON as YAML, which does not have them.
        if text.contains(|it| matches!(it, '\x7f'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}')) {
            return Err(Fault::Undefined);
        }
        let facts = Facts::of(text);
        if text.contains('\n') && facts.block && place != Place::Key {
            return self.literal(text, indent.max(2), place);
        }
        let is_text = Scalar::of(text) == Scalar::Text;
        let plain = !text.contains('\n') && is_text && !means_something_elsewhere(text);
        if plain && facts.plain {
            return self.text(text, place);
        }
        let mut quoted = Out::new(self.out.work);
        if plain && facts.single {
            quoted.with(2 * text.len() + 2, |out| {
                out.push('\'');
                out.push_str(&text.replace('\'', "''"));
                out.push('\'');
            })?;
        } else {
            quoted.with(6 * text.len() + 2, |out| double_quoted(text, out))?;
        }
        let quoted = quoted.finish();
        self.text(&quoted, place)
    }

    /// `|`, and each line as it is.
    fn literal(&mut self, text: &str, indent: usize, place: Place) -> Result<(), Fault> {
        self.text("|", place)?;
        if text.starts_with([' ', '\n']) {
            self.out.push("2")?;
        }
        let ends = match text.strip_suffix('\n') {
            None => "-",
            Some(rest) if rest.is_empty() || rest.ends_with('\n') => "+",
            Some(_) => "",
        };
        self.out.push(ends)?;
        self.out.push("\n")?;
        for line in text.split_inclusive('\n') {
            if line != "\n" {
                self.out.fill(b' ', indent)?;
            }
            self.out.push(line)?;
        }
        self.at_start = text.ends_with('\n');
        Ok(())
    }
}

/// How a text may be written.
struct Facts {
    plain: bool,
    /// In single quotes.
    single: bool,
    block: bool,
}

impl Facts {
    fn of(text: &str) -> Self {
        let mut special = false;
        let mut break_space = false;
        let mut space_break = false;
        let mut tab = false;
        let mut indicator = text.starts_with("---") || text.starts_with("...");
        let mut before = None;
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let blank_follows = letters.peek().is_none_or(|it| matches!(it, ' ' | '\t'));
            indicator |= match (before, letter) {
                (None, '?' | ':' | '-') | (_, ':') => blank_follows,
                (None, _) => r##"#,[]{}&*!|>'"%@`"##.contains(letter),
                (Some(' ' | '\t' | '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}'), '#') => true,
                _ => false,
            };
            tab |= letter == '\t';
            special |= letter != '\t' && !is_printable(letter);
            break_space |= letter == ' ' && before.is_some_and(|it| BREAKS.contains(&it));
            space_break |= BREAKS.contains(&letter) && before == Some(' ');
            before = Some(letter);
        }
        let edge = |it: Option<char>| it.is_some_and(|it| it == ' ' || BREAKS.contains(&it));
        let single = !(break_space || space_break || tab || special);
        let edges = edge(text.chars().next()) || edge(before);
        Self {
            plain: single && !indicator && !edges && !text.contains(BREAKS),
            single,
            block: !text.is_empty() && !text.ends_with(' ') && !space_break && !special,
        }
    }
}

/// Whether YAML 1.1 takes it for a truth value or a number to the base of 60.
fn means_something_elsewhere(text: &str) -> bool {
    static BASE_60: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$").ok());
    ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF"].contains(&text)
        || text.contains(':') && BASE_60.as_ref().is_some_and(|it| it.is_match(text))
}

fn double_quoted(text: &str, out: &mut String) {
    // yaml.v3 escapes all of a text that begins with a byte order mark.
    let all = text.starts_with('\u{feff}');
    out.push('"');
    for letter in text.chars() {
        if !all && is_printable(letter) && !BREAKS.contains(&letter) && !matches!(letter, '"' | '\\') {
            out.push(letter);
            continue;
        }
        let short = match letter {
            '\0' => '0',
            '\x07' => 'a',
            '\x08' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\x0b' => 'v',
            '\x0c' => 'f',
            '\r' => 'r',
            '\x1b' => 'e',
            '"' | '\\' => letter,
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => {
                let number = u32::from(letter);
                // Writing to a String cannot fail.
                let _ = match number {
                    0..=0xff => write!(out, "\\x{number:02X}"),
                    0x100..=0xffff => write!(out, "\\u{number:04X}"),
                    _ => write!(out, "\\U{number:08X}"),
                };
                continue;
            }
        };
        out.extend(['\\', short]);
    }
    out.push('"');
}

/// To yaml.v3: none beyond the first plane.
fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && letter != '\u{feff}'
}

/// Letters before all else, digits by their value.
fn natural(one: &str, other: &str) -> Ordering {
    let shared = one.chars().zip(other.chars()).take_while(|(one, other)| one == other);
    let bytes: usize = shared.map(|(letter, _)| letter.len_utf8()).sum();
    let mut digits_before = one[..bytes].chars().rev().take_while(|it| is_digit(*it)).peekable();
    let digits = digits_before.peek().is_some();
    let not_only_zeros = digits_before.any(|it| it != '0');
    let (one, other) = (&one[bytes..], &other[bytes..]);
    let (Some(first), Some(second)) = (one.chars().next(), other.chars().next()) else {
        return one.len().cmp(&other.len());
    };
    match (first.is_alphabetic(), second.is_alphabetic()) {
        (true, true) => return first.cmp(&second),
        (true, false) => return if digits { Ordering::Less } else { Ordering::Greater },
        (false, true) => return if digits { Ordering::Greater } else { Ordering::Less },
        (false, false) => {}
    }
    let start = i64::from((first == '0' || second == '0') && not_only_zeros);
    let number = |text: &str| {
        let digits = text.chars().take_while(|it| is_digit(*it));
        digits.fold((start, 0), |(number, count): (i64, usize), digit| {
            let value = i64::from(u32::from(digit)) - i64::from(b'0');
            (number.wrapping_mul(10).wrapping_add(value), count + 1)
        })
    };
    number(one).cmp(&number(other)).then_with(|| first.cmp(&second))
}

/// A decimal digit of any script.
fn is_digit(letter: char) -> bool {
    static DIGIT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\p{Nd}").ok());
    letter.is_ascii_digit()
        || !letter.is_ascii() && DIGIT.as_ref().is_some_and(|it| it.is_match(letter.encode_utf8(&mut [0; 4])))
}

const BREAKS: [char; 5] = ['\r', '\n', '\u{85}', '\u{2028}', '\u{2029}'];
/// In bytes, before its colon.
const LONGEST_KEY: usize = 128;
const STEPS_A_COMPARISON: usize = 4;
