//! Changes of objects of a cluster, as providers are told of them: as JSON, or as `changes.change` of the contract.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::spec::ChangeType;

/// One change of one object.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Change<'a> {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: ChangeType,
    /// As it is since; of one that is gone, as it was last.
    #[serde(borrow)]
    pub object: &'a RawValue,
    /// As it was before, as far as that is known.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub old_object: Option<&'a RawValue>,
    /// It may not have changed just now.
    #[serde(default)]
    pub replayed: bool,
}

impl Change<'_> {
    /// `{"type": "ADDED", "object": {...}, "oldObject": {...}, "replayed": false}`.
    pub fn json(&self) -> String {
        // Plain structs with string keys cannot fail; if one did, no provider would take the empty text for an event.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// # Errors
/// It is no change; in short words.
pub fn decode(text: &str) -> Result<Change<'_>, String> {
    let change: Change<'_> = serde_json::from_str(text).map_err(|error| {
        format!("a change is {{\"type\": \"ADDED\", \"object\": {{...}}}}, with oldObject and replayed where they are known: {error}")
    })?;
    let is_object = |it: &RawValue| it.get().starts_with('{');
    if is_object(change.object) && change.old_object.is_none_or(is_object) {
        Ok(change)
    } else {
        Err("object and oldObject of a change must be objects".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_written_as_it_is_read() {
        let whole = r#"{"type":"MODIFIED","object":{"a":1.50},"oldObject":{"a":12345678901234567890},"replayed":true}"#;
        assert_eq!(decode(whole).unwrap().json(), whole);
        let least = r#"{"type":"DELETED","object":{}}"#;
        assert_eq!(decode(least).unwrap().json(), r#"{"type":"DELETED","object":{},"replayed":false}"#);
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"type":"ADDED"}"#,
            r#"{"type":"added","object":{}}"#,
            r#"{"type":"ADDED","object":1}"#,
            r#"{"type":"ADDED","object":{},"oldObject":[]}"#,
            r#"{"type":"ADDED","object":{},"old":{}}"#,
        ] {
            decode(bad).unwrap_err();
        }
    }
}
