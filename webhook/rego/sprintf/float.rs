//! Floats, as Go's `fmt` and `strconv` print them.

use std::fmt::Write;

use super::{
    Argument, Exhausted, Flags, Out,
    verbs::{self, misfit},
};

pub(super) fn print(out: &mut Out, number: f64, verb: char, flags: &Flags) -> Result<(), Exhausted> {
    let (style, default) = match verb {
        'v' => ('g', None),
        'b' | 'g' | 'G' | 'x' | 'X' => (verb, None),
        'f' | 'F' => ('f', Some(6)),
        'e' | 'E' => (verb, Some(6)),
        _ => return misfit(out, &Argument::Float(number), verb, flags),
    };
    let precision = flags.precision.or(default);
    // No float has more digits than MAX_DIGITS; the rest are zeros.
    out.work.bytes(precision.unwrap_or(0) + 2 * MAX_DIGITS)?;
    if precision.is_some_and(|it| it > 17 || !(1e-5..1e22).contains(&number.abs())) {
        out.work.steps(STEPS_TO_BE_EXACT)?;
    }
    let size = number.abs();
    let mut text = match style {
        'f' => fixed(size, precision.unwrap_or(0)),
        'e' | 'E' => scientific(&Digits::of(size, precision), precision, style),
        'b' => binary(size),
        'x' | 'X' => hexadecimal(size, precision, style == 'X'),
        _ => general(&Digits::of(size, precision.map(|it| it.saturating_sub(1))), precision, style),
    };
    if flags.sharp && style != 'b' {
        sharpen(&mut text, verb, precision);
    }
    let sign = verbs::sign(number.is_sign_negative(), flags.plus, flags.space);
    let width = flags.width.unwrap_or(0);
    // The width counts a sign also where none is shown, if zeros would fill it.
    if !sign.is_empty() && flags.zero && !flags.minus && width > text.len() + 1 {
        out.push(sign)?;
        out.fill(b'0', width - text.len() - 1)?;
        return out.push(&text);
    }
    text.insert_str(0, sign);
    verbs::pad(out, &text, flags)
}

/// Significant digits, and where the point is: 0.`digits` times ten to the power of `point`. Zero has none.
struct Digits {
    digits: String,
    point: i32,
}

impl Digits {
    /// As many digits behind the first as `precision` says, or as few as tell the number from all others.
    fn of(number: f64, precision: Option<usize>) -> Self {
        let text = match precision {
            Some(precision) => format!("{number:.*e}", precision.min(MAX_DIGITS)),
            None => format!("{number:e}"),
        };
        Self::read(&text)
    }

    /// From `1.25e7`.
    fn read(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let digits = mantissa.replace('.', "").trim_end_matches('0').to_owned();
        let point = if digits.is_empty() { 0 } else { exponent.parse::<i32>().unwrap_or(0) + 1 };
        Self { digits, point }
    }
}

/// As `strconv.FormatFloat` with 'g', and as few digits as tell the number from all others of its size.
pub(in crate::rego) fn shortest(number: f64) -> String {
    let text = general(&Digits::of(number.abs(), None), None, 'g');
    if number.is_sign_negative() { format!("-{text}") } else { text }
}

/// The same among numbers of 32 bits.
pub(in crate::rego) fn shortest_of_32_bits(number: f64) -> String {
    let number = number as f32;
    if number.is_infinite() {
        return if number > 0.0 { ".inf".to_owned() } else { "-.inf".to_owned() };
    }
    let text = general(&Digits::read(&format!("{:e}", number.abs())), None, 'g');
    if number.is_sign_negative() { format!("-{text}") } else { text }
}

/// As `encoding/json` writes it.
pub(in crate::rego) fn json(number: f64) -> String {
    if number != 0.0 && !(1e-6..1e21).contains(&number.abs()) {
        let text = scientific(&Digits::of(number.abs(), None), None, 'e');
        let text = text.replace("e-0", "e-");
        return if number < 0.0 { format!("-{text}") } else { text };
    }
    number.to_string()
}

fn fixed(number: f64, precision: usize) -> String {
    let mut text = format!("{number:.*}", precision.min(MAX_DIGITS));
    text.extend(std::iter::repeat_n('0', precision.saturating_sub(MAX_DIGITS)));
    text
}

/// `precision`: digits behind the point; all that there are without one.
fn scientific(number: &Digits, precision: Option<usize>, style: char) -> String {
    let mut digits = number.digits.chars();
    let mut text = String::from(digits.next().unwrap_or('0'));
    let behind = digits.as_str();
    let count = precision.unwrap_or(behind.len());
    if count > 0 {
        text.push('.');
        text.push_str(behind);
        text.extend(std::iter::repeat_n('0', count.saturating_sub(behind.len())));
    }
    let exponent = if number.digits.is_empty() { 0 } else { number.point - 1 };
    let sign = if exponent < 0 { '-' } else { '+' };
    // Writing to a String cannot fail.
    let _ = write!(text, "{style}{sign}{:02}", exponent.unsigned_abs());
    text
}

/// `%g`: as many significant digits as `precision` says, without zeros at the end.
fn general(digits: &Digits, precision: Option<usize>, style: char) -> String {
    let count = digits.digits.len() as i64;
    let point = i64::from(digits.point);
    let limit = match precision {
        None => 6,
        Some(precision) => {
            let precision = precision.max(1) as i64;
            if precision > count && count >= point { count } else { precision }
        }
    };
    let exponent = point - 1;
    if exponent < -4 || exponent >= limit {
        return scientific(digits, None, if style == 'G' { 'E' } else { 'e' });
    }
    let mut text = String::new();
    if point > 0 {
        let (whole, fraction) = digits.digits.split_at_checked(point as usize).unwrap_or((&digits.digits, ""));
        text.push_str(whole);
        text.extend(std::iter::repeat_n('0', point as usize - whole.len()));
        if !fraction.is_empty() {
            text.extend([".", fraction]);
        }
    } else {
        text.push('0');
        if count > 0 {
            text.push('.');
            text.extend(std::iter::repeat_n('0', point.unsigned_abs() as usize));
            text.push_str(&digits.digits);
        }
    }
    text
}

/// The mantissa as an integer, and the power of two: `%b`.
fn binary(number: f64) -> String {
    let (mantissa, exponent) = parts(number);
    format!("{mantissa}p{:+}", exponent - 52)
}

/// `0x1.8p+01`
fn hexadecimal(number: f64, precision: Option<usize>, upper: bool) -> String {
    let (mantissa, mut exponent) = parts(number);
    // The leading one is bit 60.
    let mut mantissa = mantissa << 8;
    if mantissa == 0 {
        exponent = 0;
    } else {
        let shift = mantissa.leading_zeros() as i32 - 3;
        mantissa <<= shift;
        exponent -= shift;
    }
    if let Some(precision) = precision
        && precision < 15
    {
        let kept = 60 - 4 * precision as u32;
        let (half, extra) = (1_u64 << kept >> 1, mantissa & ((1 << kept) - 1));
        let mut rounded = mantissa >> kept;
        if extra > half || extra == half && half > 0 && rounded & 1 == 1 {
            rounded += 1;
        }
        mantissa = rounded << kept;
        if mantissa & (1 << 61) != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let fraction = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let fraction = match precision {
        None => fraction.trim_end_matches('0').to_owned(),
        Some(precision) => {
            let kept = &fraction[..precision.min(15)];
            kept.chars().chain(std::iter::repeat_n('0', precision - kept.len())).collect()
        }
    };
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    let text = format!("0x{}{point}{fraction}p{sign}{:02}", mantissa >> 60, exponent.unsigned_abs());
    if upper { text.to_uppercase() } else { text }
}

/// The mantissa with 53 bits, and the exponent of its first.
fn parts(number: f64) -> (u64, i32) {
    let bits = number.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    match (bits >> 52) & 0x7ff {
        0 => (mantissa, -1022),
        exponent => (mantissa | 1 << 52, exponent as i32 - 1023),
    }
}

/// `#`: a decimal point always, and the zeros that `%g` left out.
fn sharpen(text: &mut String, verb: char, precision: Option<usize>) {
    let mut missing = match verb {
        'v' | 'g' | 'G' | 'x' => precision.unwrap_or(6) as i64,
        _ => 0,
    };
    let ends = |letter: char| matches!(letter, 'p' | 'P') || matches!(letter, 'e' | 'E') && !matches!(verb, 'x' | 'X');
    let tail = text.split_off(text.find(ends).unwrap_or(text.len()));
    let mut significant = false;
    for letter in text.chars().filter(|it| *it != '.') {
        significant |= letter != '0';
        missing -= i64::from(significant);
    }
    if !text.contains('.') {
        missing -= i64::from(text == "0");
        text.push('.');
    }
    text.extend(std::iter::repeat_n('0', usize::try_from(missing).unwrap_or(0)));
    text.push_str(&tail);
}

/// The digits of the smallest float.
const MAX_DIGITS: usize = 1100;
/// All digits of the largest and the smallest floats.
const STEPS_TO_BE_EXACT: usize = 5000;
