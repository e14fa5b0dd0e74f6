//! Knows tokens by their SHA-256 digests: the settings hold no secret.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use verdict_sdk::{Authentication, Authenticator, Error, Identity, Policy, SettingsError, TokenReview, User};

struct TokenFile {
    tokens: Vec<Known>,
}

struct Known {
    digest: [u8; 32],
    user: User,
    audiences: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    tokens: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    sha256: String,
    user: EntryUser,
    #[serde(default)]
    audiences: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryUser {
    username: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

impl Policy for TokenFile {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        let mut errors = Vec::new();
        let mut seen = BTreeSet::new();
        let mut tokens = Vec::new();
        for (index, entry) in settings.tokens.into_iter().enumerate() {
            let path = |field: &str| format!("/tokens/{index}/{field}");
            if entry.user.username.is_empty() {
                errors.push(SettingsError::new(path("user/username"), "expected a name, got an empty one"));
            }
            let Some(digest) = digest(&entry.sha256) else {
                errors.push(SettingsError::new(path("sha256"), "expected 64 hexadecimal digits"));
                continue;
            };
            if !seen.insert(digest) {
                errors.push(SettingsError::new(path("sha256"), "this digest is listed twice"));
            }
            let EntryUser { username, uid, groups, extra } = entry.user;
            let user = User { username, uid, groups, extra };
            tokens.push(Known { digest, user, audiences: entry.audiences });
        }
        if errors.is_empty() { Ok(Self { tokens }) } else { Err(errors) }
    }
}

impl Authenticator for TokenFile {
    fn authenticate(&self, review: &TokenReview) -> Result<Authentication, Error> {
        let digest: [u8; 32] = Sha256::digest(review.token.expose()).into();
        // Every entry is compared to its end, so that time tells nothing about which digests are known.
        let known = self.tokens.iter().fold(None, |found, known| if same(&known.digest, &digest) { Some(known) } else { found });
        Ok(known.map_or(Authentication::Unknown, |known| {
            Authentication::Authenticated(Identity {
                user: known.user.clone(),
                audiences: known.audiences.clone(),
            })
        }))
    }
}

fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.bytes().all(|it| it.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(digest)
}

verdict_sdk::export!(TokenFile: Authenticator);

#[cfg(test)]
mod tests {
    use verdict_sdk::testing;

    use super::*;

    /// The digest of `open-sesame`.
    const SETTINGS: &str = r#"{"tokens": [{"sha256": "D7ECDF25EAF3DEBA0F2628771DBDD22D4138AB6CF38F91ED02A2CA0DEC7C8AB7",
        "user": {"username": "ali", "groups": ["thieves"], "extra": {"example.org/cave": ["1"]}}, "audiences": ["cave"]}]}"#;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::authenticator::<TokenFile>(SETTINGS).check_reviews();
    }

    #[test]
    fn bad_settings_are_refused_where_they_are() {
        let twice = SETTINGS.replace("}]}", "}, {\"sha256\": \"d7ecdf25eaf3deba0f2628771dbdd22d4138ab6cf38f91ed02a2ca0dec7c8ab7\", \"user\": {\"username\": \"x\"}}]}");
        for (settings, path) in [
            (r#"{"tokens": [{"sha256": "abc", "user": {"username": "x"}}]}"#, "/tokens/0/sha256"),
            (r#"{"tokens": [{"sha256": "abc", "user": {"name": "x"}}]}"#, "/tokens/0/user/name"),
            (twice.as_str(), "/tokens/1/sha256"),
        ] {
            assert_eq!(testing::settings_errors::<TokenFile>(settings)[0].path, path, "{settings}");
        }
    }
}
