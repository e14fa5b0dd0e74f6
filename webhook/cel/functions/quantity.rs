//! Kubernetes' quantities (`500m`, `1.5Gi`): exact to a billionth, as `resource.Quantity` is.
//!
//! What is 10^29 or more counts as the largest number. Kubernetes has no largest: an exponent of ten digits keeps its
//! API server busy for minutes.

use std::{cmp::Ordering, fmt};

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
        of(args, |quantity| Ok(Value::Int(quantity.billionths.signum() as i64)))
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
        of(args, |quantity| Ok(Value::Double(quantity.approximate())))
    }),
    function(
        &[
            "kubernetes.Quantity.add(kubernetes.Quantity) -> kubernetes.Quantity",
            "kubernetes.Quantity.add(int) -> kubernetes.Quantity",
        ],
        |args, _| sum(args, |other| other),
    ),
    function(
        &[
            "kubernetes.Quantity.sub(kubernetes.Quantity) -> kubernetes.Quantity",
            "kubernetes.Quantity.sub(int) -> kubernetes.Quantity",
        ],
        |args, _| sum(args, Quantity::negated),
    ),
    function(&["kubernetes.Quantity.compareTo(kubernetes.Quantity) -> int"], |args, _| {
        Ok(Value::Int(order(args)? as i64))
    }),
    function(&["kubernetes.Quantity.isLessThan(kubernetes.Quantity) -> bool"], |args, _| {
        Ok(Value::Bool(order(args)?.is_lt()))
    }),
    function(&["kubernetes.Quantity.isGreaterThan(kubernetes.Quantity) -> bool"], |args, _| {
        Ok(Value::Bool(order(args)?.is_gt()))
    }),
];

/// Equal and ordered by its value alone.
#[derive(Clone, Copy)]
pub(in crate::cel) struct Quantity {
    billionths: i128,
    form: Form,
}

/// How Kubernetes holds it, which decides whether it counts as an integer.
#[derive(Clone, Copy)]
enum Form {
    /// `value` times ten to the power of `scale`.
    Small { value: i64, scale: i32 },
    /// So many digits behind the decimal point. Never an integer, whatever the digits are.
    Decimal { digits: i32 },
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.billionths == other.billionths
    }
}

/// The number of billionths.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}n", self.billionths)
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
        // Digits may be missing altogether: a sign, a dot or a suffix alone is zero, in Kubernetes as well.
        if fraction.contains('.') {
            return None;
        }
        let (binary, decimal) = scale(suffix)?;
        let magnitude = billionths(whole, fraction, binary, decimal);
        let capped = binary > 0 && magnitude > i128::from(i64::MAX) * ONE;
        let magnitude = if capped { i128::from(i64::MAX) * ONE } else { magnitude };
        let form = match small(whole, fraction, binary, decimal) {
            Some((value, scale)) => Form::Small { value: if negative { -value } else { value }, scale },
            None => Form::Decimal { digits: if capped { 0 } else { 9 } },
        };
        Some(Self { billionths: if negative { -magnitude } else { magnitude }, form })
    }

    const fn from_integer(value: i64) -> Self {
        Self { billionths: value as i128 * ONE, form: Form::Small { value, scale: 0 } }
    }

    fn integer(self) -> Option<i64> {
        match self.form {
            Form::Small { value, scale } => value.checked_mul(10_i64.checked_pow(u32::try_from(scale).ok()?)?),
            Form::Decimal { .. } => None,
        }
    }

    /// As Kubernetes' rounding goes: the digits as a double, times a power of ten.
    fn approximate(self) -> f64 {
        let (base, exponent) = match self.form {
            Form::Small { value, scale } => (value as f64, scale),
            Form::Decimal { digits } => (self.billionths as f64 / power(9 - digits), -digits),
        };
        if exponent < 0 { base * (1.0 / power(-exponent)) } else { base * power(exponent) }
    }

    fn add(self, other: Self) -> Result<Self, Fault> {
        let billionths = self.billionths.checked_add(other.billionths).ok_or(OVERFLOW)?;
        let digits = |form| match form {
            Form::Small { scale, .. } => -scale,
            Form::Decimal { digits } => digits,
        };
        let form = match (self.form, other.form) {
            (form, Form::Small { value: 0, .. }) | (Form::Small { value: 0, .. }, form @ Form::Small { .. }) => form,
            (Form::Small { value, scale }, Form::Small { value: more, scale: other_scale }) => {
                let least = scale.min(other_scale);
                let scaled = |value: i64, by: i32| value.checked_mul(10_i64.checked_pow(by.unsigned_abs())?);
                match scaled(value, scale - least)
                    .zip(scaled(more, other_scale - least))
                    .and_then(|(one, other)| one.checked_add(other))
                {
                    Some(value) => Form::Small { value, scale: least },
                    None => Form::Decimal { digits: -least },
                }
            }
            (one, other) => Form::Decimal { digits: digits(one).max(digits(other)) },
        };
        Ok(Self { billionths, form })
    }

    fn negated(self) -> Self {
        let form = match self.form {
            Form::Small { value, scale } => Form::Small { value: value.wrapping_neg(), scale },
            decimal => decimal,
        };
        Self { billionths: -self.billionths, form }
    }
}

/// The value and its power of ten where Kubernetes holds it as an int64: the fewer digits, the likelier.
fn small(whole: &str, fraction: &str, binary: u32, decimal: i32) -> Option<(i64, i32)> {
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let length = (whole.len() + fraction.len()) as i64;
    let fits = match binary {
        0 => length <= 18,
        _ => fraction.is_empty() && length + i64::from(binary) * 3 <= 14,
    };
    let scale = decimal.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    if !fits || scale < -9 {
        return None;
    }
    let value: i64 = format!("{whole}{fraction}").parse().ok()?;
    Some((value.checked_mul(1024_i64.checked_pow(binary)?)?, scale))
}

/// Ten to the power of a small number, rounded once.
fn power(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(f64::INFINITY)
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

/// The second may be an integer.
fn sum(args: &[Value], sign: fn(Quantity) -> Quantity) -> Outcome {
    match args {
        [Value::Quantity(one), Value::Quantity(other)] => one.add(sign(*other)).map(Value::Quantity),
        [Value::Quantity(one), Value::Int(other)] => one.add(sign(Quantity::from_integer(*other))).map(Value::Quantity),
        _ => Err(Fault::Overload),
    }
}

fn order(args: &[Value]) -> Result<Ordering, Fault> {
    match args {
        [Value::Quantity(one), Value::Quantity(other)] => Ok(one.billionths.cmp(&other.billionths)),
        _ => Err(Fault::Overload),
    }
}

const ONE: i128 = 1_000_000_000;
const LARGEST: i128 = 100_000_000_000_000_000_000_000_000_000_000_000_000;
const KEPT: i64 = 18;
