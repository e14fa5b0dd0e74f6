//! Bearer tokens that somebody listed: whoever shows one of them may go on. Only their digests are kept, and what is shown is compared with
//! all of them in constant time.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderMap, header::AUTHORIZATION};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// The tokens of a file: others from one moment to the next.
#[derive(Clone)]
pub struct Tokens(Arc<ArcSwap<Listed>>);

/// What a file lists.
pub struct Listed(Vec<[u8; 32]>);

/// Why a file lists no tokens. Never shows what is in it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenError {
    /// Nothing but spaces.
    #[error("it holds no token: write one in a line, such as what `openssl rand -hex 32` prints")]
    Empty,
    /// Spaces in it, or signs that no header has.
    #[error("line {0} is not a token: expected printable ASCII without spaces")]
    Signs(usize),
    /// Whoever tries long enough could find it.
    #[error("the token in line {0} is too short: expected {MIN} characters or more")]
    Short(usize),
    /// More than are ever compared.
    #[error("it holds more than {MAX} tokens")]
    Many,
}

/// Who reads a log reads no digests either.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Tokens")
    }
}

impl Listed {
    /// One token in each line, so that an old and a new one can be listed together; lines with nothing but spaces do not count.
    ///
    /// # Errors
    /// What is wrong with the first line that is wrong.
    pub fn parse(text: &[u8]) -> Result<Self, TokenError> {
        let mut digests = Vec::new();
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let token = line.trim_ascii();
            match token.len() {
                0 => continue,
                1.. if !token.iter().all(u8::is_ascii_graphic) => return Err(TokenError::Signs(at + 1)),
                1..MIN => return Err(TokenError::Short(at + 1)),
                MIN.. => digests.push(Sha256::digest(token).into()),
            }
        }
        match digests.len() {
            0 => Err(TokenError::Empty),
            1..=MAX => Ok(Self(digests)),
            _ => Err(TokenError::Many),
        }
    }
}

impl Tokens {
    /// Until they are replaced.
    pub fn new(listed: Listed) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(listed)))
    }

    /// From now on.
    pub fn replace(&self, listed: Listed) {
        self.0.store(Arc::new(listed));
    }

    /// Whether a request shows one of them. None: it shows no token at all.
    pub fn admit(&self, headers: &HeaderMap) -> Option<bool> {
        let shown = bearer(headers)?;
        let digest: [u8; 32] = Sha256::digest(shown).into();
        let listed = self.0.load();
        let one = listed.0.iter().fold(Choice::from(0), |one, it| one | it.ct_eq(&digest));
        Some(one.into())
    }
}

/// RFC 6750, section 2.1.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| token.trim_ascii())
}

const SCHEME: &[u8] = b"Bearer ";
/// Characters of a token: fewer could be tried one after the other.
const MIN: usize = 16;
const MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_admitted() {
        let tokens = Tokens::new(Listed::parse(b"the-old-token-0001\r\n\n the-new-token-0002").unwrap());
        let shown = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            tokens.admit(&headers)
        };
        assert_eq!(shown("Bearer the-old-token-0001"), Some(true));
        assert_eq!(shown("bearer  the-new-token-0002 "), Some(true));
        for wrong in
            ["Bearer the-new-token-000", "Bearer the-new-token-00022", "Bearer  ", "Bearer the-old-token-0001\t\t,x"]
        {
            assert_eq!(shown(wrong), Some(false), "{wrong}");
        }
        for other in ["Basic dGhlLW9sZC10b2tlbi0wMDAx", "the-old-token-0001", "Bearerthe-old-token-0001", ""] {
            assert_eq!(shown(other), None, "{other}");
        }
        assert_eq!(tokens.admit(&HeaderMap::new()), None);
        tokens.replace(Listed::parse(b"the-last-token-0003\n").unwrap());
        assert_eq!(
            (shown("Bearer the-old-token-0001"), shown("Bearer the-last-token-0003")),
            (Some(false), Some(true))
        );
    }

    #[test]
    fn what_is_no_list_of_tokens_is_told() {
        let wrong = |text: &[u8]| Listed::parse(text).err();
        assert_eq!(wrong(b""), Some(TokenError::Empty));
        assert_eq!(wrong(b" \n\n\t\n"), Some(TokenError::Empty));
        assert_eq!(wrong(b"the-old-token-0001\nshort"), Some(TokenError::Short(2)));
        assert_eq!(wrong(b"the old token 0001"), Some(TokenError::Signs(1)));
        assert_eq!(wrong(b"the-old-token-0001\xff"), Some(TokenError::Signs(1)));
        assert_eq!(wrong("the-old-token-0001\n".repeat(65).as_bytes()), Some(TokenError::Many));
    }
}
