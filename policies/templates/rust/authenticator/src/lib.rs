//! Knows tokens by their SHA-256 digests, so that the settings hold no secret.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use verdict_sdk::{Authentication, Authenticator, Error, Policy, SettingsError, TokenReview};

/// What the operator sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(example = serde_json::json!({"users": [{
    "sha256": "9dca666eb54730714630d1519264a7bf1eeaad00b8f2edc90d3ecbfad928d163", "username": "jane", "groups": ["developers"],
}]})))]
struct Settings {
    /// The users and their tokens.
    users: Vec<User>,
}

/// One user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct User {
    /// The SHA-256 digest of the token: 64 hexadecimal digits, lower case.
    #[cfg_attr(test, schemars(regex(pattern = "^[0-9a-f]{64}$")))]
    sha256: String,
    /// Who the bearer is.
    #[cfg_attr(test, schemars(length(min = 1)))]
    username: String,
    /// The groups of the user.
    #[serde(default)]
    groups: Vec<String>,
}

struct MyPolicy {
    users: Vec<User>,
}

impl Policy for MyPolicy {
    type Settings = Settings;

    /// Runs once, when the policy is loaded. What is wrong here is shown to the operator.
    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        let mut errors = Vec::new();
        for (index, user) in settings.users.iter().enumerate() {
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if user.sha256.len() != 64 || !user.sha256.bytes().all(is_digit) {
                let message = "expected 64 hexadecimal digits, lower case";
                errors.push(SettingsError::new(
                    format!("/users/{index}/sha256"),
                    message,
                ));
            }
            if user.username.is_empty() {
                errors.push(SettingsError::new(
                    format!("/users/{index}/username"),
                    "expected a name, got an empty one",
                ));
            }
        }
        if errors.is_empty() {
            Ok(Self {
                users: settings.users,
            })
        } else {
            Err(errors)
        }
    }
}

impl Authenticator for MyPolicy {
    fn authenticate(&self, review: &TokenReview) -> Result<Authentication, Error> {
        let digest: String = Sha256::digest(review.token.expose())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let Some(user) = self.users.iter().find(|user| user.sha256 == digest) else {
            // Maybe the next authenticator knows it.
            return Ok(Authentication::Unknown);
        };
        let (username, groups) = (user.username.clone(), user.groups.clone());
        Ok(verdict_sdk::User {
            username,
            groups,
            ..Default::default()
        }
        .into())
    }
}

verdict_sdk::export!(MyPolicy: Authenticator);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    /// The digest of `correct-horse`.
    const SETTINGS: &str = r#"{"users": [{
        "sha256": "9dca666eb54730714630d1519264a7bf1eeaad00b8f2edc90d3ecbfad928d163", "username": "jane", "groups": ["developers"]
    }]}"#;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::authenticator::<MyPolicy>(SETTINGS).check_reviews();
    }

    #[test]
    fn bad_settings_are_refused_where_they_are() {
        for (settings, path) in [
            (
                r#"{"users": [{"sha256": "abc", "username": "jane"}]}"#,
                "/users/0/sha256",
            ),
            (
                r#"{"users": [{"sha256": "abc", "name": "jane"}]}"#,
                "/users/0/name",
            ),
        ] {
            assert_eq!(testing::settings_errors::<MyPolicy>(settings)[0].path, path);
        }
    }

    #[test]
    fn the_schema_is_that_of_the_settings() {
        testing::check_schema(&schemars::schema_for!(Settings));
    }
}
