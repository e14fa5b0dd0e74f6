//! Why a policy could not decide.

use std::fmt::{self, Display};

/// Why a policy could not decide, in words for the operator's log. Made from any error by `?`.
///
/// It is no [`std::error::Error`] itself, which is what lets `?` take all of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(String);

impl Error {
    /// An error in these words.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            message.push_str(": ");
            message.push_str(&error.to_string());
            source = error.source();
        }
        Self(message)
    }
}
