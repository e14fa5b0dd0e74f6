//! SHA-256, as it is compared and written.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A SHA-256. Shown and read as 64 hex digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// It is not 64 hex digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hex digits in lower case")]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(digits: &str) -> Result<Self, NotADigest> {
        let nibble = |digit: &u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(NotADigest),
        };
        let digits = <&[u8; 64]>::try_from(digits.as_bytes()).map_err(|_| NotADigest)?;
        let mut digest = [0; 32];
        for (byte, [high, low]) in digest.iter_mut().zip(digits.as_chunks().0) {
            *byte = nibble(high)? << 4 | nibble(low)?;
        }
        Ok(Self(digest))
    }
}
