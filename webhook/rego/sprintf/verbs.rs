//! One value by one verb.

use super::{Argument, Exhausted, Flags, Out, big, float, write};
use crate::go::quote;

pub(super) fn print(out: &mut Out, argument: &Argument, verb: char, flags: &Flags) -> Result<(), Exhausted> {
    if verb == 'T' {
        return pad(out, cut(argument.type_name(), flags), flags);
    }
    match argument {
        Argument::Int(number) => integer(out, *number, verb, flags),
        Argument::Float(number) => float::print(out, *number, verb, flags),
        Argument::Big { negative, digits } => big::print(out, *negative, digits, verb, flags),
        Argument::Text(text) => string(out, text, verb, flags),
        Argument::Other(value) => {
            let mut printed = Out::new(out.work);
            write::print(value, &mut printed)?;
            let printed = printed.finish();
            string(out, &printed, verb, flags)
        }
    }
}

/// `%!d(string=x)`
pub(super) fn misfit(out: &mut Out, argument: &Argument, verb: char, flags: &Flags) -> Result<(), Exhausted> {
    out.push("%!")?;
    out.push(verb.encode_utf8(&mut [0; 4]))?;
    out.push("(")?;
    out.push(argument.type_name())?;
    out.push("=")?;
    print(out, argument, 'v', flags)?;
    out.push(")")
}

fn integer(out: &mut Out, number: i64, verb: char, flags: &Flags) -> Result<(), Exhausted> {
    let size = number.unsigned_abs();
    let digits = match verb {
        'v' | 'd' => size.to_string(),
        'b' => format!("{size:b}"),
        'o' | 'O' => format!("{size:o}"),
        'x' => format!("{size:x}"),
        'X' => format!("{size:X}"),
        'c' => {
            let letter = letter(number);
            return pad(out, letter.encode_utf8(&mut [0; 4]), flags);
        }
        'q' => {
            let mut text = String::new();
            quote::quote_letter(letter(number), flags.plus, &mut text);
            return pad(out, &text, flags);
        }
        'U' => return code_point(out, number, flags),
        _ => return misfit(out, &Argument::Int(number), verb, flags),
    };
    let sign = sign(number < 0, flags.plus, flags.space);
    if flags.precision == Some(0) && number == 0 {
        return out.fill(b' ', flags.width.unwrap_or(0));
    }
    let digits_wanted = match (flags.precision, flags.width) {
        (Some(precision), _) => precision,
        (None, Some(width)) if flags.zero && !flags.minus => width - usize::from(!sign.is_empty()).min(width),
        _ => 0,
    };
    let zeros = digits_wanted.saturating_sub(digits.len());
    let starts_with_zero = zeros > 0 || digits.starts_with('0');
    let prefix = match verb {
        'O' if flags.sharp && !starts_with_zero => "0o0",
        'O' => "0o",
        'b' if flags.sharp => "0b",
        'o' if flags.sharp && !starts_with_zero => "0",
        'x' if flags.sharp => "0x",
        'X' if flags.sharp => "0X",
        _ => "",
    };
    Field { sign, prefix, zeros, digits: &digits }.print(out, flags)
}

/// A number in a column of spaces.
pub(super) struct Field<'a> {
    pub(super) sign: &'a str,
    pub(super) prefix: &'a str,
    pub(super) zeros: usize,
    pub(super) digits: &'a str,
}

impl Field<'_> {
    pub(super) fn print(&self, out: &mut Out, flags: &Flags) -> Result<(), Exhausted> {
        let length = self.sign.len() + self.prefix.len() + self.zeros + self.digits.len();
        let padding = flags.width.unwrap_or(0).saturating_sub(length);
        if !flags.minus {
            out.fill(b' ', padding)?;
        }
        out.push(self.sign)?;
        out.push(self.prefix)?;
        out.fill(b'0', self.zeros)?;
        out.push(self.digits)?;
        if flags.minus { out.fill(b' ', padding) } else { Ok(()) }
    }
}

pub(super) fn sign(negative: bool, plus: bool, space: bool) -> &'static str {
    match (negative, plus, space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

fn letter(number: i64) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// `U+0041`, and with `#` also `'A'`.
fn code_point(out: &mut Out, number: i64, flags: &Flags) -> Result<(), Exhausted> {
    // Go takes the bits of a negative number.
    let digits = format!("{:X}", number.cast_unsigned());
    let zeros = flags.precision.unwrap_or(4).max(4).saturating_sub(digits.len());
    let shown =
        u32::try_from(number).ok().and_then(char::from_u32).filter(|it| flags.sharp && quote::is_printable(*it));
    let shown = shown.map_or(String::new(), |it| format!(" '{it}'"));
    let length = 2 + zeros + digits.len() + shown.chars().count();
    let padding = flags.width.unwrap_or(0).saturating_sub(length);
    if !flags.minus {
        out.fill(b' ', padding)?;
    }
    out.push("U+")?;
    out.fill(b'0', zeros)?;
    out.push(&digits)?;
    out.push(&shown)?;
    if flags.minus { out.fill(b' ', padding) } else { Ok(()) }
}

fn string(out: &mut Out, text: &str, verb: char, flags: &Flags) -> Result<(), Exhausted> {
    match verb {
        'v' if flags.sharp_v => quoted(out, cut(text, flags), flags),
        'v' | 's' => pad(out, cut(text, flags), flags),
        'x' | 'X' => hexadecimal(out, text, verb == 'X', flags),
        'q' => quoted(out, cut(text, flags), flags),
        _ => misfit(out, &Argument::Text(text), verb, flags),
    }
}

/// As many letters as the precision lets through.
fn cut<'t>(text: &'t str, flags: &Flags) -> &'t str {
    match flags.precision {
        Some(most) => text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end]),
        None => text,
    }
}

fn quoted(out: &mut Out, text: &str, flags: &Flags) -> Result<(), Exhausted> {
    out.work.bytes(4 * text.len() + 2)?;
    out.work.steps(text.len())?;
    let mut shown = String::new();
    if flags.sharp && quote::can_backquote(text) {
        shown.extend(["`", text, "`"]);
    } else if flags.plus {
        quote::quote_to_ascii(text, &mut shown);
    } else {
        quote::quote(text, &mut shown);
    }
    pad(out, &shown, flags)
}

pub(super) fn pad(out: &mut Out, text: &str, flags: &Flags) -> Result<(), Exhausted> {
    let Some(width) = flags.width else { return out.push(text) };
    out.work.steps(text.len() / 8)?;
    let padding = width.saturating_sub(text.chars().count());
    if flags.minus {
        out.push(text)?;
        out.fill(b' ', padding)
    } else {
        out.fill(if flags.zero { b'0' } else { b' ' }, padding)?;
        out.push(text)
    }
}

/// Each byte as two digits.
fn hexadecimal(out: &mut Out, text: &str, upper: bool, flags: &Flags) -> Result<(), Exhausted> {
    let bytes = &text.as_bytes()[..flags.precision.unwrap_or(usize::MAX).min(text.len())];
    let prefix = match (flags.sharp, upper) {
        (false, _) => "",
        (true, false) => "0x",
        (true, true) => "0X",
    };
    let length = match (bytes.len(), flags.space) {
        (0, _) => 0,
        (count, true) => count * (3 + prefix.len()) - 1,
        (count, false) => count * 2 + prefix.len(),
    };
    let padding = flags.width.unwrap_or(0).saturating_sub(length);
    let filler = if flags.zero && !flags.minus { b'0' } else { b' ' };
    if length == 0 || !flags.minus {
        out.fill(filler, padding)?;
    }
    out.with(length, |out| {
        for (at, byte) in bytes.iter().enumerate() {
            if at > 0 && flags.space {
                out.push(' ');
            }
            if at == 0 || flags.space {
                out.push_str(prefix);
            }
            for digit in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(digit), 16).unwrap_or_default();
                out.push(if upper { digit.to_ascii_uppercase() } else { digit });
            }
        }
    })?;
    if length > 0 && flags.minus { out.fill(filler, padding) } else { Ok(()) }
}
