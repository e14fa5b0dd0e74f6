//! Amounts as people write them: `64Mi`, as Kubernetes' quantities.

/// Bytes: a whole number, optionally with one of k, M, G, Ki, Mi, Gi.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 6] =
        [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];
    let (digits, unit) =
        UNITS.iter().find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit))).unwrap_or((text, 1));
    whole(digits)?.checked_mul(unit)
}

/// Digits only: `parse` alone would also take a sign.
fn whole(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory() {
        assert_eq!(bytes("64Mi"), Some(64 << 20));
        assert_eq!(bytes("1Gi"), Some(1 << 30));
        assert_eq!(bytes("65536"), Some(65536));
        assert_eq!(bytes("64M"), Some(64_000_000));
        for wrong in
            ["", "Mi", "-1Mi", "+1", "1.5Gi", "64MB", "64mi", "64 Mi", "99999999999999999999", "18446744073709551615Ki"]
        {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
