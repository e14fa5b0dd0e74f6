//! What is wrong with what somebody wrote.

/// One thing that is wrong with a configuration: which file, which policy, which field, what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, with the document's number where it has several, and the line where known.
    pub source: String,
    /// The kind and the name of the object, where they are known.
    pub object: Option<String>,
    /// For example `spec.matchConstraints.resourceRules[0].operations`.
    pub field: Option<String>,
    /// What was expected and what came.
    pub message: String,
}

impl std::error::Error for ConfigError {}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.source)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.message)
    }
}
