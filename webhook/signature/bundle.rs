//! cosign's format since version 3: a Sigstore bundle with a DSSE envelope, in it an in-toto statement that names a digest.
//!
//! Follows sigstore/protobuf-specs (bundle v0.3), secure-systems-lab/dsse and in-toto/attestation (Statement v1). Transparency logs,
//! timestamps and certificates in a bundle are not looked at: what counts is the key.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{
    Claim, Format, MAX_MESSAGE, MAX_SIZE, Made, Signature, Subject, Unreadable,
    key::KeyId,
    private::{NoRandomNumbers, PrivateKey},
};
use crate::{spec::Digest, text};

/// A bundle that cosign 3 takes with `cosign verify --key`, as JSON. The same each time but for ECDSA's own random number.
///
/// # Errors
/// The system gives no random numbers.
pub fn sign(key: &PrivateKey, claim: &Claim) -> Result<Vec<u8>, NoRandomNumbers> {
    let statement = json!({
        "_type": STATEMENT,
        "subject": [{"digest": {"sha256": claim.digest.to_string()}, "annotations": claim.annotations}],
        "predicateType": PREDICATE,
        "predicate": {},
    });
    let statement = statement.to_string().into_bytes();
    let signature = key.sign(&encoded(PAYLOAD, &statement))?;
    let bundle = json!({
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key.public().id().hint()}},
        "dsseEnvelope": {
            "payload": STANDARD.encode(statement),
            "payloadType": PAYLOAD,
            "signatures": [{"sig": STANDARD.encode(signature)}],
        },
    });
    Ok(bundle.to_string().into_bytes())
}

/// What it says; whether a key signed it is another question. Fields that are not known are passed over: nobody signed them.
///
/// # Errors
/// It is damaged, or something else that bundles are made for.
pub fn read(bundle: &[u8]) -> Result<Signature, Unreadable> {
    if bundle.len() > MAX_SIZE {
        return Err(Unreadable::Large);
    }
    let bundle: Bundle =
        serde_json::from_slice(bundle).map_err(|_| Unreadable::Malformed("it is no Sigstore bundle"))?;
    if !MEDIA_TYPES.contains(&bundle.media_type.as_str()) {
        return Err(Unreadable::Malformed("it is no Sigstore bundle of version 0.3"));
    }
    let envelope = match (bundle.dsse_envelope, bundle.message_signature) {
        (Some(envelope), None) => envelope,
        (None, Some(_)) => {
            return Err(Unreadable::Other("signs a file (messageSignature), not an artifact".to_owned()));
        }
        _ => return Err(Unreadable::Malformed("its bundle has no signature, or two")),
    };
    if envelope.payload_type != PAYLOAD {
        return Err(Unreadable::Malformed("its envelope holds no in-toto statement"));
    }
    let [signature] = &envelope.signatures[..] else {
        return Err(Unreadable::Malformed("its envelope does not have exactly one signature"));
    };
    let decoded = |text: &str| STANDARD.decode(text).map_err(|_| Unreadable::Malformed("its base64 cannot be read"));
    let (payload, signature) = (decoded(&envelope.payload)?, decoded(&signature.sig)?);
    let subjects = subjects(&payload)?;
    if payload.len() > MAX_MESSAGE {
        return Err(Unreadable::Large);
    }
    Ok(Signature {
        format: Format::Bundle,
        message: encoded(PAYLOAD, &payload),
        signature,
        subjects,
        made: made(&bundle.verification_material),
    })
}

fn subjects(statement: &[u8]) -> Result<Vec<Subject>, Unreadable> {
    let is_one = || Unreadable::Malformed("its envelope holds no in-toto statement of version 1");
    let statement: Statement = serde_json::from_slice(statement).map_err(|_| is_one())?;
    if statement.kind != STATEMENT {
        return Err(is_one());
    }
    // A key may sign a list of vulnerabilities without trusting what has them.
    if statement.predicate_type != PREDICATE {
        let of = text::shorten(&text::line(&statement.predicate_type), 100);
        return Err(Unreadable::Other(format!("is an attestation ({of}), which says something else than a signature")));
    }
    let subject = |it: Resource| {
        let digest: Digest = it.digest.get("sha256")?.parse().ok()?;
        Some(Subject { digest, annotations: it.annotations.unwrap_or_default() })
    };
    let subjects: Vec<Subject> = statement.subject.into_iter().filter_map(subject).collect();
    if subjects.is_empty() { Err(Unreadable::Malformed("it names no digest of SHA-256")) } else { Ok(subjects) }
}

fn made(material: &Material) -> Made {
    match (&material.public_key, &material.certificate, &material.x509_certificate_chain) {
        (_, Some(_), _) | (_, _, Some(_)) => Made::Certificate,
        (Some(key), ..) => KeyId::of_hint(&key.hint).map_or(Made::Unknown, Made::Key),
        _ => Made::Unknown,
    }
}

/// What DSSE signs: the type and the content, each with its length (PAE).
fn encoded(kind: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    media_type: String,
    #[serde(default)]
    verification_material: Material,
    dsse_envelope: Option<Envelope>,
    message_signature: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<Hint>,
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Hint {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Sig>,
}

#[derive(Deserialize)]
struct Sig {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Resource>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    digest: BTreeMap<String, String>,
    annotations: Option<BTreeMap<String, Value>>,
}

/// Of the bundle, and of the layer and the artifact that it becomes.
pub(super) const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// What else version 0.3 is called.
const MEDIA_TYPES: [&str; 2] = [MEDIA_TYPE, "application/vnd.dev.sigstore.bundle+json;version=0.3"];
const PAYLOAD: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// What cosign says of an artifact that it signs.
pub(super) const PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
