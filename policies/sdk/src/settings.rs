//! Settings: JSON to the author's type, errors with the path of the setting.

use serde::{Deserialize, de::DeserializeOwned};
use serde_path_to_error::{Path, Segment};

use crate::{admission::change::push_segment, policy::Policy};

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// A JSON Pointer (RFC 6901) into the settings, for example `/labels/0`; empty for the whole.
    pub path: String,
    /// What was expected, for the operator who wrote the settings. It goes to logs: the place is enough to find what came, so
    /// leave out values that may be secrets.
    pub message: String,
}

impl SettingsError {
    /// An error at the setting that `path`, a JSON Pointer, points to.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// For policies without settings: anything that is set is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

/// Builds a policy from its settings as JSON text.
pub(crate) fn build<P: Policy>(settings: &str) -> Result<P, Vec<SettingsError>> {
    let settings = parse(settings).map_err(|(path, message)| vec![SettingsError { path, message }])?;
    P::new(settings)
}

/// JSON text to a value; an error is the pointer to what does not fit, and why.
pub(crate) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, (String, String)> {
    // To know the path of each value costs more than to read it, so that is only for what does not fit.
    if let Ok(value) = serde_json::from_str(json) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = to_pointer(error.path());
        (path, without_value(&without_position(&error.into_inner())))
    })?;
    deserializer.end().map_err(|error| (String::new(), error.to_string()))?;
    Ok(value)
}

fn to_pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push_segment(&mut pointer, &index.to_string()),
            Segment::Map { key } => push_segment(&mut pointer, key),
            Segment::Enum { variant } => push_segment(&mut pointer, variant),
            Segment::Unknown => {}
        }
    }
    pointer
}

/// The operator wrote YAML: line and column of the JSON that came of it would mislead.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&position) {
        Some(text) => text.to_owned(),
        None => text,
    }
}

/// serde quotes the value that does not fit (`invalid type: string "hunter2", expected u8`), and settings may be secrets:
/// only its type stays.
fn without_value(text: &str) -> String {
    let Some((kind, expected)) = text.rsplit_once(", expected ") else { return text.to_owned() };
    for begin in ["invalid type: ", "invalid value: "] {
        if let Some(came) = kind.strip_prefix(begin) {
            let end = came.find([' ', '"', '`']).map(|end| &came[..end]);
            return format!("{begin}{}, expected {expected}", end.unwrap_or(came));
        }
    }
    if kind.starts_with("unknown variant `") {
        return format!("unknown variant, expected {expected}");
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[allow(dead_code, reason = "only its type matters")]
        labels: Vec<String>,
        #[serde(default)]
        #[allow(dead_code, reason = "only its type matters")]
        patterns: BTreeMap<String, u8>,
    }

    fn error(json: &str) -> (String, String) {
        parse::<Settings>(json).unwrap_err()
    }

    #[test]
    fn an_error_points_to_the_setting() {
        let (path, message) = error(r#"{"labels": ["a", 1]}"#);
        assert_eq!(path, "/labels/1");
        assert_eq!(message, "invalid type: integer, expected a string");
        assert_eq!(error(r#"{"labels": [], "patterns": {"a/b~c": 300}}"#).0, "/patterns/a~1b~0c");
    }

    #[test]
    fn no_value_of_a_setting_is_told() {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "only its type matters")]
        enum Level {
            Low,
            High,
        }
        #[derive(Debug, Deserialize)]
        #[allow(dead_code, reason = "only its types matter")]
        struct Secrets {
            number: Option<u8>,
            flag: Option<bool>,
            level: Option<Level>,
            list: Option<Vec<u8>>,
        }
        for (json, words) in [
            (r#"{"number": "hunter2"}"#, "invalid type: string, expected u8"),
            (r#"{"number": "a, expected hunter2"}"#, "invalid type: string, expected u8"),
            (r#"{"number": 7373}"#, "invalid value: integer, expected u8"),
            (r#"{"number": -7373}"#, "invalid value: integer, expected u8"),
            (r#"{"number": 73.73}"#, "invalid type: floating, expected u8"),
            (r#"{"flag": "hunter2"}"#, "invalid type: string, expected a boolean"),
            (r#"{"flag": [7373]}"#, "invalid type: sequence, expected a boolean"),
            (r#"{"level": "hunter2"}"#, "unknown variant, expected `Low` or `High`"),
            (r#"{"list": {"a": 7373}}"#, "invalid type: map, expected a sequence"),
        ] {
            assert_eq!(parse::<Secrets>(json).unwrap_err().1, words, "{json}");
        }
    }

    #[test]
    fn an_unknown_setting_is_named() {
        let (path, message) = error(r#"{"labels": [], "label": 1}"#);
        assert_eq!(path, "/label");
        assert_eq!(message, "unknown field `label`, expected `labels` or `patterns`");
    }

    #[test]
    fn a_missing_setting_is_named() {
        assert_eq!(error("{}"), (String::new(), "missing field `labels`".to_owned()));
    }

    #[test]
    fn text_after_the_settings_is_refused() {
        assert!(error(r#"{"labels": []} {}"#).1.contains("trailing characters"));
    }
}
