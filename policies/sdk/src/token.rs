//! TokenReview and its answers.

use std::fmt;

use crate::User;

/// A bearer token. Its Debug shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// For tests.
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// authentication.k8s.io/v1 TokenReviewSpec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenReview {
    /// Opaque; any characters that fit into an HTTP header.
    pub token: Token,
    /// The audiences for which the token must be good. Empty: those of the API server.
    pub audiences: Vec<String>,
}

/// The answer of an authenticator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// The token is good.
    Authenticated(Identity),
    /// Not a token that this policy knows: the next authenticator is asked.
    Unknown,
    /// A token of this policy's, and no good (expired, revoked): nobody else is asked. The text is the reason, for the log.
    Rejected(String),
}

/// Who the bearer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The username must not be empty: the server treats an empty one as a failure of the policy.
    pub user: User,
    /// For which of the asked audiences the token is good. Empty: the policy does not know audiences, which makes
    /// the token good for the API server's own only. Audiences that were not asked for are dropped; if none is
    /// left, the token counts as unknown.
    pub audiences: Vec<String>,
}

impl From<User> for Authentication {
    /// The token is good, and this policy does not know audiences.
    fn from(user: User) -> Self {
        Self::Authenticated(Identity { user, audiences: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_show_the_token() {
        let review = TokenReview { token: Token::new("s3cret"), audiences: vec!["api".to_owned()] };
        let debug = format!("{review:?}");
        assert!(debug.contains("api"), "{debug}");
        assert!(!debug.contains("s3cret"), "{debug}");
    }
}
