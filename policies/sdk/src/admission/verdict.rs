//! What a validator answers.

/// The answer of a validator. There is none by default: a policy says what it allows.
///
/// ```compile_fail
/// let forgotten = verdict_sdk::Validation::default();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// Allowed, or denied.
    pub outcome: Result<(), Denial>,
    /// Shown to the user, whether allowed or denied. One line each, at most 256 characters.
    pub warnings: Vec<String>,
    /// For the audit log of the API server.
    pub audit_annotations: Vec<Annotation>,
}

/// Why an object may not enter. The user sees it. Made from a text by `into()`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denial {
    /// What is wrong and how to mend it.
    pub message: String,
    /// HTTP status code, 400 to 599. When not given: 429 with `retry_after`, else 403.
    pub code: Option<u16>,
    /// meta.k8s.io/v1 StatusReason, for example `Invalid`; `Forbidden` when empty. With `Invalid`, kubectl shows the causes only.
    pub reason: String,
    /// Each violation on its own.
    pub causes: Vec<Cause>,
    /// The request may succeed after this many seconds, 1 to 60: clients such as kubectl then try again by themselves.
    pub retry_after: Option<u32>,
}

/// One thing that is wrong with the object (meta.k8s.io/v1 StatusCause).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    /// For example `spec.containers[0].image`; see [`FieldPath`](crate::FieldPath).
    pub field: String,
    /// Machine-readable, for example `FieldValueInvalid`.
    pub reason: String,
    /// For the user.
    pub message: String,
}

/// One entry of the API server's audit log for this request. The server prefixes the key with the policy's name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotation {
    /// Letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit.
    pub key: String,
    pub value: String,
}

impl Validation {
    /// The object may enter.
    pub fn allow() -> Self {
        Self::new(Ok(()))
    }

    /// It may not: a text, or a whole [`Denial`].
    pub fn deny(denial: impl Into<Denial>) -> Self {
        Self::new(Err(denial.into()))
    }

    /// Allows if there is no cause, else denies with `message` and all of them.
    pub fn from_causes(message: impl Into<String>, causes: Vec<Cause>) -> Self {
        if causes.is_empty() {
            return Self::allow();
        }
        Self::deny(Denial { causes, ..Denial::new(message) })
    }

    /// Adds a warning.
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// Adds an audit annotation.
    pub fn annotate(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.audit_annotations.push(Annotation { key: key.into(), value: value.into() });
        self
    }

    fn new(outcome: Result<(), Denial>) -> Self {
        Self { outcome, warnings: Vec::new(), audit_annotations: Vec::new() }
    }
}

impl Denial {
    /// A denial in these words.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    /// Sets the HTTP status code, 400 to 599.
    pub fn code(mut self, code: u16) -> Self {
        self.code = Some(code);
        self
    }

    /// Sets the StatusReason.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The request may succeed after this many seconds, 1 to 60.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds a cause: the field, a machine-readable reason, words for the user.
    pub fn cause(mut self, field: impl Into<String>, reason: impl Into<String>, message: impl Into<String>) -> Self {
        self.causes.push(Cause::new(field, reason, message));
        self
    }
}

impl Cause {
    /// The field, a machine-readable reason (`FieldValueInvalid`, `FieldValueRequired`, ...), words for the user.
    pub fn new(field: impl Into<String>, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into(), message: message.into() }
    }
}

impl From<String> for Denial {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<&str> for Denial {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}
