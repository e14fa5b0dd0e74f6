//! Numbers keep the text that they were written in: they are as large and as exact as that.

use std::{borrow::Cow, cmp::Ordering};

#[derive(Debug, Clone)]
pub(super) enum Number {
    Int(i64),
    /// Whatever is not written as `Int` would be: large, with a fraction, with an exponent, minus zero.
    Text(Box<str>),
}

impl Number {
    /// From Rego's text of a number: JSON's, or one that begins with its point. None: it is none, or beyond what OPA lets through.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() < 20
            && let Ok(number) = text.parse::<i64>()
            && (number != 0 || text == "0")
            && !text.starts_with('+')
            && !text.trim_start_matches('-').strip_prefix('0').is_some_and(|rest| !rest.is_empty())
        {
            return Some(Self::Int(number));
        }
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut rest = text.strip_prefix('-').unwrap_or(text);
        let whole = digits(rest);
        if whole == 0 && !rest.starts_with('.') || whole > 1 && rest.starts_with('0') {
            return None;
        }
        rest = &rest[whole..];
        if let Some(fraction) = rest.strip_prefix('.') {
            let count = digits(fraction);
            if count == 0 {
                return None;
            }
            rest = &fraction[count..];
        }
        if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
            rest = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let count = digits(rest);
            if count == 0 {
                return None;
            }
            rest = &rest[count..];
        }
        let number = Self::Text(text.into());
        (rest.is_empty() && Decimal::of(text)?.is_small()).then_some(number)
    }

    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Int(number) => Cow::Owned(number.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
        }
    }

    /// Whether it is written with a fraction or an exponent.
    pub(super) fn is_written_as_float(&self) -> bool {
        matches!(self, Self::Text(text) if text.contains(['.', 'e', 'E']))
    }

    /// As OPA reads integers, so also of `1.00`, but not of `1e2`.
    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Text(text) => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
                if digits.len() > 19 || !fraction.bytes().all(|digit| digit == b'0') {
                    return None;
                }
                if matches!(whole, "" | "-") { Some(0) } else { whole.parse().ok() }
            }
        }
    }

    /// However it is written. None: it has a fraction, or is too large.
    pub(super) fn whole(&self) -> Option<i128> {
        let text = self.text();
        let decimal = Decimal::of(&text)?;
        let digits = decimal.digits.concat();
        let zeros = usize::try_from(decimal.exponent).ok()?.checked_sub(digits.len())?;
        if zeros + digits.len() > 38 {
            return None;
        }
        let size = (digits + &"0".repeat(zeros)).parse().unwrap_or(0);
        Some(if decimal.negative { -size } else { size })
    }

    /// None: too large for one.
    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Text(text) => text.parse().ok().filter(|it: &f64| it.is_finite()),
        }
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(one), Self::Int(other)) => one.cmp(other),
            (one, other) => {
                let (one, other) = (one.text(), other.text());
                // Both were parsed, so they have one.
                match (Decimal::of(&one), Decimal::of(&other)) {
                    (Some(one), Some(other)) => one.compare(&other),
                    (one, other) => one.is_some().cmp(&other.is_some()),
                }
            }
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

/// A number as sign, digits and the place of the point: 0.`digits` times ten to the power of `exponent`. What the
/// exponent says is never written out.
struct Decimal<'t> {
    negative: bool,
    /// Before and behind the point as it is written, without zeros at either end; zero has none.
    digits: [&'t str; 2],
    exponent: i64,
}

impl<'t> Decimal<'t> {
    /// Of JSON's text of a number. None: its exponent is beyond all bounds.
    fn of(text: &'t str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let negative = mantissa.starts_with('-');
        let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (written, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (mut whole, mut fraction) = (written.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let mut point = i64::try_from(whole.len()).ok()?;
        if whole.is_empty() {
            let behind = fraction.trim_start_matches('0');
            point = -i64::try_from(fraction.len() - behind.len()).ok()?;
            fraction = behind;
        }
        if fraction.is_empty() {
            whole = whole.trim_end_matches('0');
        }
        if whole.is_empty() && fraction.is_empty() {
            return Some(Self { negative: false, digits: [""; 2], exponent: 0 });
        }
        let exponent = exponent.parse::<i64>().ok()?.checked_add(point)?;
        Some(Self { negative, digits: [whole, fraction], exponent })
    }

    /// OPA refuses what is beyond two to the power of 100,000, or as near to zero.
    fn is_small(&self) -> bool {
        self.exponent.abs() <= 30_103
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.digits.into_iter().flat_map(str::bytes)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let sign = |it: &Self| match (it.digits, it.negative) {
            (["", ""], _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        };
        let size = || self.exponent.cmp(&other.exponent).then_with(|| self.digits().cmp(other.digits()));
        match sign(self).cmp(&sign(other)) {
            Ordering::Equal if self.negative => size().reverse(),
            Ordering::Equal => size(),
            unequal => unequal,
        }
    }
}
