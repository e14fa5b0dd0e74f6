//! What the operator sets.

use serde::Deserialize;
use serde_json::Value;
use verdict_sdk::SettingsError;

/// What the operator sets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(example = super::tests::example()))]
pub(crate) struct Settings {
    /// The claim iss of the tokens. Those of others are left to the next authenticator.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) issuer: String,
    /// A token must be for at least one of these (its claim aud).
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) audiences: Vec<String>,
    /// The issuer's public keys, as its jwks_uri gives them: RSA, EC (P-256, P-384) and OKP (Ed25519).
    pub(crate) jwks: Jwks,
    /// The claim that is the user's name.
    #[serde(default = "sub")]
    pub(crate) username_claim: String,
    /// What goes before the name, so that no token is one of another issuer's users. Required, and may be empty.
    pub(crate) username_prefix: String,
    /// The claim that lists the user's groups.
    #[serde(default = "groups")]
    pub(crate) groups_claim: String,
    /// What goes before each group. Without one a token can make its bearer a member of system:masters.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) groups_prefix: String,
    /// By how many seconds the issuer's clock may differ.
    #[serde(default = "leeway")]
    #[cfg_attr(test, schemars(range(max = 300)))]
    pub(crate) leeway_seconds: u64,
}

/// A JSON Web Key Set.
#[derive(Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Jwks {
    /// JSON Web Keys.
    pub(crate) keys: Vec<Value>,
}

fn sub() -> String {
    "sub".to_owned()
}

fn groups() -> String {
    "groups".to_owned()
}

fn leeway() -> u64 {
    10
}

impl Settings {
    /// What is wrong with all but the keys.
    pub(crate) fn check(&self) -> Vec<SettingsError> {
        let mut errors = Vec::new();
        if self.issuer.is_empty() {
            errors.push(SettingsError::new("/issuer", "expected the claim iss of the tokens, got an empty text"));
        }
        if self.audiences.is_empty() {
            errors.push(SettingsError::new("/audiences", "expected at least one"));
        }
        if self.groups_prefix.is_empty() {
            errors.push(SettingsError::new("/groupsPrefix", "expected a prefix, got an empty text"));
        }
        if self.leeway_seconds > 300 {
            errors.push(SettingsError::new("/leewaySeconds", "expected at most 300"));
        }
        errors
    }
}
