//! Why a body is not a review.
//!
//! The words never quote the body, except its kind and apiVersion, because a body can hold a token.

use std::fmt;

use serde_json::error::Category;

/// Why a body is not a review: short words for the caller, without any of the body's secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There is nothing.
    #[error("the body is empty")]
    Empty,
    /// It does not begin as an object does.
    #[error("the body is not a JSON object")]
    NoObject,
    /// It is not text.
    #[error("not UTF-8 after {0} bytes")]
    NotText(usize),
    /// It ends too early.
    #[error("not JSON: cut off at {0}")]
    CutOff(Position),
    /// It is not JSON; the parser's words, which quote nothing.
    #[error("not JSON: {0}")]
    Syntax(String),
    /// A field is of another type; what was expected, and where.
    #[error("wrong type: expected {0}")]
    Type(String),
    /// A field is there twice; the parser's words, which name the field.
    #[error("{0}")]
    Duplicate(String),
    /// A value that is not taken for another reason.
    #[error("wrong value at {0}")]
    Value(Position),
    /// It does not say what it is.
    #[error("kind is missing: expected {expected}")]
    NoKind {
        /// Which review is wanted.
        expected: &'static str,
    },
    /// It is something else.
    #[error("expected kind {expected}, got {found}")]
    Kind {
        /// Which review is wanted.
        expected: &'static str,
        /// What it says.
        found: Found,
    },
    /// It does not say of which version it is.
    #[error("apiVersion is missing: expected {group}/v1 or {group}/v1beta1")]
    NoVersion {
        /// Of the review.
        group: &'static str,
    },
    /// It is of a version that there is not.
    #[error("apiVersion {0} is not supported; expected v1 or v1beta1")]
    Version(Found),
    /// It is of another group.
    #[error("expected apiVersion {group}/v1 or {group}/v1beta1, got {found}")]
    Group {
        /// Of the review.
        group: &'static str,
        /// What it says.
        found: Found,
    },
    /// A field is not there, or is empty.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A SubjectAccessReview asks for two things.
    #[error("spec has both resourceAttributes and nonResourceAttributes")]
    BothAttributes,
    /// A SubjectAccessReview asks for nothing.
    #[error("spec has neither resourceAttributes nor nonResourceAttributes")]
    NoAttributes,
    /// An AdmissionReview is about something else than an operation of Kubernetes.
    #[error("request.operation is none of CREATE, UPDATE, DELETE and CONNECT")]
    Operation,
}

/// A place in a text, as editors count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1; 0 before the first character of a line.
    pub column: usize,
}

/// A kind or an apiVersion that came: at most 64 characters of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found(String);

impl Found {
    pub(super) fn new(text: &str) -> Self {
        const SHOWN: usize = 64;
        Self(match text.char_indices().nth(SHOWN) {
            None => text.to_owned(),
            Some((end, _)) => format!("{}…", &text[..end]),
        })
    }
}

/// serde_json's message where its words are fixed, and our own where it would quote the body.
impl From<&serde_json::Error> for Malformed {
    fn from(error: &serde_json::Error) -> Self {
        let position = Position { line: error.line(), column: error.column() };
        let words = error.to_string();
        match error.classify() {
            Category::Eof => Self::CutOff(position),
            Category::Syntax | Category::Io => Self::Syntax(words),
            // "invalid type: string "s3cret", expected a sequence": what was expected is ours, what came is not.
            Category::Data => match words.rsplit_once(", expected ") {
                Some((_, expected)) => Self::Type(expected.to_owned()),
                None if words.starts_with("duplicate field `") => Self::Duplicate(words),
                None => Self::Value(position),
            },
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {} column {}", self.line, self.column)
    }
}

/// In quotes, escaped.
impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0)
    }
}
