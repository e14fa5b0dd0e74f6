//! Integers beyond 64 bits, as `math/big` prints them.

use super::{
    Argument, Exhausted, Flags, Out,
    verbs::{Field, misfit, sign},
};

/// `digits` are decimal.
pub(super) fn print(out: &mut Out, negative: bool, digits: &str, verb: char, flags: &Flags) -> Result<(), Exhausted> {
    let bits = match verb {
        'd' | 's' | 'v' => 0,
        'b' => 1,
        'o' | 'O' => 3,
        'x' | 'X' => 4,
        // Go shows an address, and the insides of the number.
        'p' | 'w' => return misfit(out, &Argument::Big { negative, digits }, verb, flags),
        _ => {
            for part in ["%!", verb.encode_utf8(&mut [0; 4]), "(big.Int=", if negative { "-" } else { "" }, digits] {
                out.push(part)?;
            }
            return out.push(")");
        }
    };
    let converted;
    let digits = match bits {
        0 => digits,
        bits => {
            converted = in_base(digits, bits, verb == 'X', out)?;
            &converted
        }
    };
    let prefix = match verb {
        'O' => "0o",
        'b' if flags.sharp => "0b",
        'o' if flags.sharp => "0",
        'x' if flags.sharp => "0x",
        'X' if flags.sharp => "0X",
        _ => "",
    };
    let sign = sign(negative, flags.plus || flags.plus_v, flags.space);
    let mut zeros = flags.precision.unwrap_or(0).saturating_sub(digits.len());
    let length = sign.len() + prefix.len() + zeros + digits.len();
    if let Some(width) = flags.width
        && flags.zero
        && !flags.minus
        && flags.precision.is_none()
    {
        zeros = width.saturating_sub(length);
    }
    Field { sign, prefix, zeros, digits }.print(out, flags)
}

/// With `bits` bits a digit.
fn in_base(digits: &str, bits: u32, upper: bool, out: &mut Out) -> Result<String, Exhausted> {
    // For each group of digits all words so far are multiplied.
    let groups = digits.len() / GROUP + 1;
    out.work.steps(groups.saturating_mul(groups) / 4)?;
    out.work.bytes(4 * digits.len())?;
    let mut words: Vec<u64> = Vec::new();
    let bytes = digits.as_bytes();
    let (first, others) = bytes.split_at(bytes.len() % GROUP);
    for group in std::iter::once(first).chain(others.chunks(GROUP)) {
        let mut carry = group.iter().fold(0, |sum, digit| sum * 10 + u128::from(digit - b'0'));
        let scale = 10_u128.pow(group.len() as u32);
        for word in &mut words {
            carry += u128::from(*word) * scale;
            *word = carry as u64;
            carry >>= 64;
        }
        if carry > 0 {
            words.push(carry as u64);
        }
    }
    let bit = |at: usize| words.get(at / 64).map_or(0, |word| (word >> (at % 64)) & 1);
    let count = (64 * words.len()).div_ceil(bits as usize);
    let mut text = String::with_capacity(count);
    for at in (0..count).rev() {
        let digit = (0..bits as usize).rev().fold(0, |sum, it| sum * 2 + bit(at * bits as usize + it) as u32);
        if digit > 0 || !text.is_empty() || at == 0 {
            let digit = char::from_digit(digit, 16).unwrap_or_default();
            text.push(if upper { digit.to_ascii_uppercase() } else { digit });
        }
    }
    Ok(text)
}

/// Decimal digits that fit a word.
const GROUP: usize = 19;
