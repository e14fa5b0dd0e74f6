//! Knows tokens by their SHA-256 digests: the settings hold no secret.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use verdict_sdk::{Authentication, Authenticator, Error, Identity, Policy, SettingsError, TokenReview, User};

struct TokenFile {
    tokens: Vec<Known>,
}

struct Known {
    digest: [u8; 32],
    user: User,
    audiences: Vec<String>,
    /// Seconds since 1970.
    expires: Option<i64>,
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
    expires: Option<String>,
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
            let expires = match entry.expires.map(|text| OffsetDateTime::parse(&text, &Rfc3339)).transpose() {
                Ok(time) => time.map(OffsetDateTime::unix_timestamp),
                Err(_) => {
                    let message = "expected a time such as `2026-12-31T23:59:59Z` (RFC 3339)";
                    errors.push(SettingsError::new(path("expires"), message));
                    continue;
                }
            };
            let EntryUser { username, uid, groups, extra } = entry.user;
            let user = User { username, uid, groups, extra };
            tokens.push(Known { digest, user, audiences: entry.audiences, expires });
        }
        if errors.is_empty() { Ok(Self { tokens }) } else { Err(errors) }
    }
}

impl Authenticator for TokenFile {
    fn authenticate(&self, review: &TokenReview) -> Result<Authentication, Error> {
        let digest: [u8; 32] = Sha256::digest(review.token.expose()).into();
        // Every entry is compared to its end, so that time tells nothing about which digests are known.
        let known = self
            .tokens
            .iter()
            .fold(None, |found, known| if same(&known.digest, &digest) { Some(known) } else { found });
        known.map_or(Ok(Authentication::Unknown), |known| known.answer(&review.audiences))
    }
}

impl Known {
    fn answer(&self, asked: &[String]) -> Result<Authentication, Error> {
        if let Some(expires) = self.expires
            && now()? >= expires
        {
            return Ok(Authentication::Rejected(format!("the token of {} has expired", self.user.username)));
        }
        let audiences: Vec<String> = asked.iter().filter(|it| self.audiences.contains(it)).cloned().collect();
        // A token that is made for some audiences is nobody's elsewhere; also not at the API server, whose own
        // audiences are meant when none are asked for, and are not known here.
        if audiences.is_empty() && !self.audiences.is_empty() {
            return Ok(Authentication::Unknown);
        }
        Ok(Authentication::Authenticated(Identity { user: self.user.clone(), audiences }))
    }
}

/// Seconds since 1970.
fn now() -> Result<i64, Error> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?)
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

    /// The digests of `open-sesame`, `open-barley-long` and `open-wheat`.
    const SETTINGS: &str = r#"{"tokens": [
        {"sha256": "D7ECDF25EAF3DEBA0F2628771DBDD22D4138AB6CF38F91ED02A2CA0DEC7C8AB7",
        "user": {"username": "ali", "groups": ["thieves"], "extra": {"example.org/cave": ["1"]}}, "audiences": ["cave"]},
        {"sha256": "acd5a120028f926b43e6ff77a88553b9a97d647b2e7ad4362d76ef513c70558e", "user": {"username": "kasim"},
        "expires": "9999-12-31T23:59:59+02:00"},
        {"sha256": "8de2b1da5b0e31a5993580e0e2724c0cd14e56631314248efafe7c0567030ba0", "user": {"username": "mustafa"},
        "expires": "2026-01-01T00:00:00Z"}]}"#;

    #[test]
    fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
        testing::authenticator::<TokenFile>(SETTINGS).check_reviews();
    }

    #[test]
    fn a_token_is_good_for_the_asked_ones_of_its_audiences() {
        let subject = testing::authenticator::<TokenFile>(SETTINGS);
        let audiences = |file: &str| match subject.ask_file(file) {
            Authentication::Authenticated(identity) => identity.audiences,
            other => panic!("{other:?}"),
        };
        assert_eq!(audiences("authenticated-one-audience-of-two.json"), ["cave"]);
        assert_eq!(audiences("authenticated-any-audience.json"), [""; 0]);
    }

    #[test]
    fn an_expired_token_is_rejected_by_the_name_of_its_user() {
        let review =
            r#"{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "open-wheat"}}"#;
        let answer = testing::authenticator::<TokenFile>(SETTINGS).ask(review);
        assert_eq!(answer, Authentication::Rejected("the token of mustafa has expired".to_owned()));
    }

    #[test]
    fn bad_settings_are_refused_where_they_are() {
        let twice = SETTINGS.replace(
            "acd5a120028f926b43e6ff77a88553b9a97d647b2e7ad4362d76ef513c70558e",
            "d7ecdf25eaf3deba0f2628771dbdd22d4138ab6cf38f91ed02a2ca0dec7c8ab7",
        );
        let when = SETTINGS.replace("2026-01-01T00:00:00Z", "tomorrow");
        for (settings, path) in [
            (r#"{"tokens": [{"sha256": "abc", "user": {"username": "x"}}]}"#, "/tokens/0/sha256"),
            (r#"{"tokens": [{"sha256": "abc", "user": {"name": "x"}}]}"#, "/tokens/0/user/name"),
            (twice.as_str(), "/tokens/1/sha256"),
            (when.as_str(), "/tokens/2/expires"),
        ] {
            assert_eq!(testing::settings_errors::<TokenFile>(settings)[0].path, path, "{settings}");
        }
    }
}
