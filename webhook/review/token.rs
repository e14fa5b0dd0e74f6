//! TokenReview (authentication.k8s.io).

use super::user::UserInfo;

/// What is asked: TokenReviewSpec.
#[derive(Clone)]
pub struct TokenReview {
    /// A secret: never logged, and absent from `Debug`.
    pub token: String,
    /// The audiences for which the token must be good; empty means those of the API server.
    pub audiences: Vec<String>,
}

/// The answer of one authenticator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// The token is good.
    Authenticated(Identity),
    /// Not a token of this policy's.
    Unknown,
    /// A token of this policy's, and no good; the text is for the log.
    Rejected(String),
}

/// Who the bearer is, and for which of the asked audiences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who the bearer is.
    pub user: UserInfo,
    /// Empty: the policy does not know audiences.
    pub audiences: Vec<String>,
}
