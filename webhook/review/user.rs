//! UserInfo, shared by all three reviews.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::decode::{Strings, null_as_default, strings};

/// authentication.k8s.io/v1 UserInfo. Absent and `null` fields are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// Unique among all active users.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// Tells users apart that had the same name at different times.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The groups of the user.
    #[serde(default, deserialize_with = "strings", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What else the authenticator knows of the user.
    #[serde(default, deserialize_with = "extra", skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// A map of lists in which everything may be `null`.
pub(super) fn extra<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Vec<String>>, D::Error> {
    let entries: BTreeMap<String, Strings> = null_as_default(deserializer)?;
    Ok(entries.into_iter().map(|(k, v)| (k, v.0)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_empty() {
        let all_null = r#"{"username":null,"uid":null,"groups":null,"extra":null}"#;
        for text in ["{}", all_null] {
            let user: UserInfo = serde_json::from_str(text).unwrap();
            assert_eq!(user, UserInfo::default());
        }
        let inner = r#"{"groups":["a",null],"extra":{"k":null,"l":["x",null]}}"#;
        let user: UserInfo = serde_json::from_str(inner).unwrap();
        assert_eq!(user.groups, ["a", ""]);
        assert_eq!(user.extra["k"], [""; 0]);
        assert_eq!(user.extra["l"], ["x", ""]);
    }

    #[test]
    fn empty_fields_are_not_written() {
        let user = UserInfo { username: "jane".to_owned(), ..UserInfo::default() };
        assert_eq!(serde_json::to_string(&user).unwrap(), r#"{"username":"jane"}"#);
    }
}
