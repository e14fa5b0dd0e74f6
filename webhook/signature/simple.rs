//! cosign's first format, "simple signing": a JSON text that names a digest, and beside it a signature over its bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Claim, Format, MAX_MESSAGE, Made, Signature, Subject, Unreadable,
    private::{NoRandomNumbers, PrivateKey},
};
use crate::spec::Digest;

/// A text and its signature; a layer of an artifact, with the signature in its annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simple {
    /// What is signed, byte by byte.
    pub payload: Vec<u8>,
    /// As the key made it, not in base64.
    pub signature: Vec<u8>,
}

impl Simple {
    /// `repository` is where the artifact lies, such as `registry.example.org/policies/labels`: cosign writes it and does not compare it,
    /// and neither does anything here, since artifacts are copied to mirrors.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn sign(key: &PrivateKey, claim: &Claim, repository: &str) -> Result<Self, NoRandomNumbers> {
        let optional = claim.annotations.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        let payload = Payload {
            critical: Critical {
                identity: Some(Identity { docker_reference: repository.to_owned() }),
                image: Image { docker_manifest_digest: format!("{SHA256}{}", claim.digest) },
                kind: KIND.to_owned(),
            },
            // As cosign writes it where there are none.
            optional: Some(optional.collect()).filter(|it: &BTreeMap<_, _>| !it.is_empty()),
        };
        // Text and maps with text as keys can always be written.
        let payload = serde_json::to_vec(&payload).unwrap_or_default();
        let signature = key.sign(&payload)?;
        Ok(Self { payload, signature })
    }

    /// What it says; whether a key signed it is another question.
    ///
    /// # Errors
    /// It is none of cosign's.
    pub fn read(self) -> Result<Signature, Unreadable> {
        if self.payload.len() > MAX_MESSAGE {
            return Err(Unreadable::Large);
        }
        let payload: Payload = serde_json::from_slice(&self.payload)
            .map_err(|_| Unreadable::Malformed("its payload is none of cosign's"))?;
        if payload.critical.kind != KIND {
            return Err(Unreadable::Malformed("its payload has another type than cosign's signatures of images"));
        }
        let digest = payload.critical.image.docker_manifest_digest.strip_prefix(SHA256).and_then(|it| it.parse().ok());
        let digest: Digest = digest.ok_or(Unreadable::Malformed("it names no digest of SHA-256"))?;
        let subject = Subject { digest, annotations: payload.optional.unwrap_or_default() };
        Ok(Signature {
            format: Format::SimpleSigning,
            message: self.payload,
            signature: self.signature,
            subjects: vec![subject],
            made: Made::Unknown,
        })
    }
}

/// Fields that are not known are passed over: they are signed, and mean nothing here.
#[derive(Serialize, Deserialize)]
struct Payload {
    critical: Critical,
    #[serde(default)]
    optional: Option<BTreeMap<String, Value>>,
}

#[derive(Serialize, Deserialize)]
struct Critical {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<Identity>,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Identity {
    docker_reference: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

const KIND: &str = "cosign container image signature";
const SHA256: &str = "sha256:";
