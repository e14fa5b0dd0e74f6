//! Kubernetes' quantities (`500m`, `1.5Gi`): exact to a billionth, as `resource.Quantity` is.
//!
//! What is 10^29 or more counts as the largest number, which is no integer.

use std::fmt;

use super::{Function, function, net::text, operators::OVERFLOW};
use crate::cel::{
    budget::{Fault, Outcome, failed},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(&["quantity(string) -> kubernetes.Quantity"], |args, budget| match Quantity::parse(text(args, budget)?) {
        Some(quantity) => Ok(Value::Quantity(quantity)),
        None => failed("quantity(): not a quantity such as 500m or 1.5Gi"),
    }),
    function(&["isQuantity(string) -> bool"], |args, budget| {
        Ok(Value::Bool(Quantity::parse(text(args, budget)?).is_some()))
    }),
    function(&["sign(kubernetes.Quantity) -> int"], |args, _| {
        of(args, |quantity| Ok(Value::Int(quantity.0.signum() as i64)))
    }),
    function(&["kubernetes.Quantity.isInteger() -> bool"], |args, _| {
        of(args, |quantity| Ok(Value::Bool(quantity.integer().is_some())))
    }),
    function(&["kubernetes.Quantity.asInteger() -> int"], |args, _| {
        of(args, |quantity| match quantity.integer() {
            Some(number) => Ok(Value::Int(number)),
            None => failed("cannot convert value to integer"),
        })
    }),
    function(&["kubernetes.Quantity.asApproximateFloat() -> double"], |args, _| {
        of(args, |quantity| Ok(Value::Double(quantity.0 as f64 / ONE as f64)))
    }),
    function(
        &[
            "kubernetes.Quantity.add(kubernetes.Quantity) -> kubernetes.Quantity",
            "kubernetes.Quantity.add(int) -> kubernetes.Quantity",
        ],
        |args, _| {
            let (one, other) = both(args, true)?;
            one.checked_add(other).map(|sum| Value::Quantity(Quantity(sum))).ok_or(OVERFLOW)
        },
    ),
    function(
        &[
            "kubernetes.Quantity.sub(kubernetes.Quantity) -> kubernetes.Quantity",
            "kubernetes.Quantity.sub(int) -> kubernetes.Quantity",
        ],
        |args, _| {
            let (one, other) = both(args, true)?;
            one.checked_sub(other).map(|rest| Value::Quantity(Quantity(rest))).ok_or(OVERFLOW)
        },
    ),
    function(&["kubernetes.Quantity.compareTo(kubernetes.Quantity) -> int"], |args, _| {
        let (one, other) = both(args, false)?;
        Ok(Value::Int(one.cmp(&other) as i64))
    }),
    function(&["kubernetes.Quantity.isLessThan(kubernetes.Quantity) -> bool"], |args, _| {
        let (one, other) = both(args, false)?;
        Ok(Value::Bool(one < other))
    }),
    function(&["kubernetes.Quantity.isGreaterThan(kubernetes.Quantity) -> bool"], |args, _| {
        let (one, other) = both(args, false)?;
        Ok(Value::Bool(one > other))
    }),
];

/// In billionths.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::cel) struct Quantity(i128);

/// The number of billionths.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}n", self.0)
    }
}

impl Quantity {
    fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let (binary, decimal) = scale(suffix)?;
        let magnitude = billionths(whole, fraction, binary, decimal);
        Some(Self(if negative { -magnitude } else { magnitude }))
    }

    fn integer(self) -> Option<i64> {
        i64::try_from(self.0 / ONE).ok().filter(|_| self.0 % ONE == 0 && self.0.abs() < LARGEST)
    }
}

/// The powers of 1024 and of 10 that a suffix stands for.
fn scale(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (1, 0),
        "Mi" => (2, 0),
        "Gi" => (3, 0),
        "Ti" => (4, 0),
        "Pi" => (5, 0),
        "Ei" => (6, 0),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            if exponent.len() > 10 {
                return None;
            }
            (0, exponent.parse().ok()?)
        }
    })
}

/// `whole.fraction` times its scale, rounded up to a billionth, at most [`LARGEST`].
fn billionths(whole: &str, fraction: &str, binary: u32, decimal: i32) -> i128 {
    let digits = whole.bytes().chain(fraction.bytes()).map(|digit| i128::from(digit - b'0'));
    // The decimal point, counted from the front, in billionths.
    let point = whole.len() as i64 + i64::from(decimal) + 9;
    let factor = 1024_i128.pow(binary);
    let mut units = 0_i128;
    // What is below a billionth before the binary factor: kept to twelve digits, and whether anything is below that.
    let (mut below, mut below_digits, mut lost) = (0_i128, 0_u32, false);
    let mut read = 0_i64;
    for digit in digits {
        if read < point {
            units = units.saturating_mul(10).saturating_add(digit);
        } else if point < 0 && read - point >= KEPT || below_digits >= KEPT as u32 {
            lost |= digit != 0;
        } else {
            if below_digits == 0 && point < 0 {
                below_digits = u32::try_from(-point).unwrap_or(KEPT as u32).min(KEPT as u32);
            }
            below = below * 10 + digit;
            below_digits += 1;
        }
        read += 1;
    }
    for _ in read..point.max(read) {
        if units == 0 || units >= LARGEST {
            break;
        }
        units = units.saturating_mul(10);
    }
    let unit = 10_i128.pow(below_digits);
    let scaled = below.saturating_mul(factor);
    let up = i128::from(scaled % unit != 0 || lost);
    units.saturating_mul(factor).saturating_add(scaled / unit).saturating_add(up).min(LARGEST)
}

fn of(args: &[Value], work: impl FnOnce(Quantity) -> Outcome) -> Outcome {
    match args {
        [Value::Quantity(quantity)] => work(*quantity),
        _ => Err(Fault::Overload),
    }
}

/// Both in billionths; the second may be an integer where Kubernetes has that overload.
fn both(args: &[Value], or_integer: bool) -> Result<(i128, i128), Fault> {
    match args {
        [Value::Quantity(one), Value::Quantity(other)] => Ok((one.0, other.0)),
        [Value::Quantity(one), Value::Int(other)] if or_integer => Ok((one.0, i128::from(*other) * ONE)),
        _ => Err(Fault::Overload),
    }
}

const ONE: i128 = 1_000_000_000;
const LARGEST: i128 = 100_000_000_000_000_000_000_000_000_000_000_000_000;
const KEPT: i64 = 18;
