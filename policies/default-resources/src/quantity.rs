//! Quantities of Kubernetes (k8s.io/apimachinery, api/resource), as far as they are to be compared.

/// An amount that is not negative, in units of 10⁻⁹, rounded up as Kubernetes does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantity(u128);

/// More digits than any quantity needs that fits into 64 bits.
const MAX_DIGITS: usize = 24;

impl Quantity {
    /// Digits with a point maybe, and a suffix: `1`, `0.5`, `100m`, `128Mi`, `1e3`. None for what is no quantity, is negative,
    /// or is larger than what Kubernetes can count.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('+').unwrap_or(text);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || digits.len() > MAX_DIGITS || fraction.contains('.') {
            return None;
        }
        let (factor, exponent) = scale(suffix)?;
        let shift = exponent + NANO - i32::try_from(fraction.len()).ok()?;
        let amount = digits.parse::<u128>().ok()?.checked_mul(factor)?;
        let power = 10_u128.checked_pow(shift.unsigned_abs())?;
        let amount = if shift < 0 { amount.div_ceil(power) } else { amount.checked_mul(power)? };
        (amount <= MAX).then_some(Self(amount))
    }
}

/// The exponent of the unit.
const NANO: i32 = 9;
/// 2⁶³ - 1 whole ones.
const MAX: u128 = (i64::MAX as u128) * 1_000_000_000;

/// A factor and a power of ten.
fn scale(suffix: &str) -> Option<(u128, i32)> {
    Some(match suffix {
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "" => (1, 0),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        _ => (
            1,
            suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|power| (-MAX_POWER..=MAX_POWER).contains(power))?,
        ),
    })
}

/// Of an exponent that is written out.
const MAX_POWER: i32 = 18;

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        Quantity::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn suffixes_scale() {
        for (one, other) in [
            ("1", "1000m"),
            ("0.1", "100m"),
            (".5", "500m"),
            ("1.", "1"),
            ("1Ki", "1024"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("1E3", "1k"),
            ("1E", "1e18"),
            ("12e-1", "1200m"),
            ("+1", "1"),
            ("0.1n", "1n"),
        ] {
            assert_eq!(quantity(one), quantity(other), "{one} {other}");
        }
        assert!(quantity("1Mi") > quantity("1M"));
        assert!(quantity("999m") < quantity("1"));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "m", "-1", "1 Gi", "1gi", "1.2.3", ".", "1e", "1e+", "1e99", "0x10", "16E", "8Ei", "1MiB", "a"]
        {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
        assert_eq!(Quantity::parse(&"9".repeat(100)), None);
    }
}
