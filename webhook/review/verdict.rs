//! Verdicts: what several policies folded to, ready to be written as a review.

use std::collections::BTreeMap;

use super::{
    admission::{Cause, Denial},
    clean,
    user::UserInfo,
};

/// The verdict on a TokenReview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenVerdict {
    /// The username is never empty. Audiences: empty (the API server's own) or a non-empty subset of those asked for.
    Authenticated {
        /// Who the bearer is.
        user: UserInfo,
        /// For which audiences the token is good.
        audiences: Vec<String>,
    },
    /// `error` says that nobody could tell, which keeps the answer out of caches; the asked audiences are then echoed.
    Unauthenticated {
        /// Short words, without anything a policy wrote.
        error: Option<String>,
    },
}

/// The verdict on an AdmissionReview.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdmissionVerdict {
    /// None allows.
    pub denial: Option<Denied>,
    /// RFC 6902 as JSON text; only with an allow, only from mutating, never an empty array.
    pub patch: Option<String>,
    /// One line each, without control characters.
    pub warnings: Vec<String>,
    /// Keys that kube-apiserver takes.
    pub annotations: BTreeMap<String, String>,
}

impl Denied {
    /// With a code and its reason; without words.
    pub fn of(code: u16) -> Self {
        let reason = clean::reason_of(code).to_owned();
        Self { message: String::new(), code, reason, causes: Vec::new(), retry_after: None }
    }

    /// In the operator's words; its own become a cause.
    pub fn in_words(self, own: &str) -> Self {
        let Self { message, code, reason, mut causes, retry_after } = self;
        causes.push(Cause { message, ..Cause::default() });
        clean::denied(Denial { message: own.to_owned(), code: Some(code), reason, causes, retry_after })
    }
}

/// A denial that is ready for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Never empty.
    pub message: String,
    /// 400 to 599.
    pub code: u16,
    /// Never empty.
    pub reason: String,
    /// Never empty with the reason `Invalid`, since kubectl then shows nothing else.
    pub causes: Vec<Cause>,
    /// Seconds after which the request may succeed, 1 to 60.
    pub retry_after: Option<u32>,
}
