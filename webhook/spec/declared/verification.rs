//! Who must have signed a component: the shape of Kubewarden's `verification-config.yml`, as a file for the whole server and below the
//! component of an object.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Value, json};

/// Who must have signed. All of allOf, and as many of anyOf as it says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = something()))]
pub struct Verification {
    /// Each of these must have signed.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub all_of: Vec<Signer>,
    /// Some of these must have signed.
    pub any_of: Option<AnyOf>,
}

/// The file for the whole server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = something()))]
pub struct VerificationConfig {
    /// The version of this file's shape.
    #[schemars(schema_with = "version")]
    pub api_version: String,
    /// Each of these must have signed.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub all_of: Vec<Signer>,
    /// Some of these must have signed.
    pub any_of: Option<AnyOf>,
}

impl From<VerificationConfig> for Verification {
    fn from(file: VerificationConfig) -> Self {
        Self { all_of: file.all_of, any_of: file.any_of }
    }
}

/// Some of several.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "!has(self.minimumMatches) || self.minimumMatches <= size(self.signatures)",
    "message": "minimumMatches is larger than the number of signatures, so that nothing could ever be loaded",
}]))]
pub struct AnyOf {
    /// How many of them.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 32), extend("default" = 1, "x-expected" = "a number from 1 to 32"))]
    pub minimum_matches: u32,
    /// Who may have signed.
    #[schemars(length(min = 1, max = 32))]
    pub signatures: Vec<Signer>,
}

/// A signature that counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.kind == 'pubKey'",
        "message": "only signatures by a key (kind pubKey) are verified; keyless ones (genericIssuer, githubAction) need Sigstore's services and are not: use kind pubKey and sign with a key",
    },
    {"rule": "self.kind != 'pubKey' || has(self.key)", "message": "kind pubKey needs key"},
]))]
pub struct Signer {
    /// Who vouches for the signature: a key.
    pub kind: SignerKind,
    /// Whose it is, for people.
    #[schemars(length(max = 256))]
    pub owner: Option<String>,
    /// The public key, as PEM: ECDSA P-256, RSA of 2048 to 8192 bits, or Ed25519.
    #[schemars(length(max = 8192), extend("x-secret" = true, "x-expected" = "a public key as PEM, of at most 8192 characters"))]
    pub key: Option<String>,
    /// What the signer must have said; there may be more.
    #[serde(default)]
    #[schemars(schema_with = "annotations")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Of the keyless kinds, which are refused.
    #[schemars(length(max = 2048))]
    pub issuer: Option<String>,
    /// Of the keyless kinds, which are refused.
    #[serde(default)]
    #[schemars(schema_with = "anything")]
    pub subject: Option<Value>,
    /// Of the keyless kinds, which are refused.
    #[schemars(length(max = 2048))]
    pub repo: Option<String>,
}

/// The kinds that such files know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SignerKind {
    /// A key of one's own.
    PubKey,
    /// Keyless, refused.
    GenericIssuer,
    /// Keyless, refused.
    GithubAction,
}

impl JsonSchema for SignerKind {
    fn schema_name() -> Cow<'static, str> {
        "SignerKind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": ["pubKey", "genericIssuer", "githubAction"]})
    }
}

fn something() -> Value {
    json!([{
        "rule": "has(self.anyOf) || has(self.allOf) && size(self.allOf) > 0",
        "message": "expected allOf, anyOf or both: without a signer everything would be accepted",
    }])
}

fn version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": ["v1"]})
}

fn annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "propertyNames": {"minLength": 1, "maxLength": 256, "x-expected": "from 1 to 256 characters"},
        "additionalProperties": {"type": "string", "maxLength": 1024, "x-expected": "at most 1024 characters"},
    })
}

fn anything(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

fn one() -> u32 {
    1
}
