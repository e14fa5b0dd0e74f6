//! How signatures lie in a registry: the manifests and blobs of an OCI artifact, made and read. Fetching them is the business of others.
//!
//! cosign's first format is an image at the tag `sha256-<hex>.sig`, with a layer for each signature; its second is an artifact of its
//! own for each, whose `subject` is what is signed. Readers go by the layers alone: registries differ in what they say of artifacts (that of
//! go-containerregistry calls every one of them `application/vnd.oci.empty.v1+json`), so that nobody should look for signatures
//! by `artifactType`.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    Format, MAX_SIZE, Signature, Unreadable,
    bundle::{self, MEDIA_TYPE, PREDICATE},
    simple::Simple,
};
use crate::spec::Digest;

/// Something that a registry keeps, as manifests name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Such as `application/vnd.oci.image.manifest.v1+json`.
    pub media_type: String,
    /// Of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

/// Signatures to push: the blobs, then the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// Its config and its layers.
    pub blobs: Vec<Blob>,
    /// JSON of the media type [`MANIFEST`].
    pub manifest: Vec<u8>,
}

/// One blob of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Of the bytes.
    pub digest: Digest,
    /// What is pushed.
    pub bytes: Vec<u8>,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        Self { digest: Digest(Sha256::digest(&bytes).into()), bytes }
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": named(self.digest), "size": self.bytes.len()})
    }
}

/// The tag at which cosign's first format lies.
pub fn tag(of: Digest) -> String {
    format!("sha256-{of}.sig")
}

/// What [`tag`] should hold: these signatures, after those that are there already (a manifest and its config).
///
/// # Errors
/// What is there is no image of signatures, so that nothing can be added to it.
pub fn tagged(simples: &[Simple], before: Option<(&[u8], &[u8])>) -> Result<Wrapped, Unreadable> {
    let broken = || Unreadable::Malformed("what lies at the tag of its signatures is no image of signatures");
    let parsed = |bytes| serde_json::from_slice::<Value>(bytes).map_err(|_| broken());
    let (mut manifest, mut config) = match before {
        Some((manifest, _)) if layers(manifest)?.is_empty() => return Err(broken()),
        Some((manifest, config)) => (parsed(manifest)?, parsed(config)?),
        None => (
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": {}, "layers": []}),
            json!({
                "architecture": "", "os": "", "config": {}, "created": NEVER, "history": [], "rootfs": {"type": "layers", "diff_ids": []},
            }),
        ),
    };
    let mut blobs = Vec::new();
    for simple in simples {
        let blob = Blob::new(simple.payload.clone());
        let mut layer = blob.descriptor(SIMPLE);
        layer["annotations"] = json!({SIGNATURE: STANDARD.encode(&simple.signature)});
        manifest.get_mut("layers").and_then(Value::as_array_mut).ok_or_else(broken)?.push(layer);
        // Tools that take it for an image want both for each of its layers.
        let ids = config.pointer_mut("/rootfs/diff_ids").and_then(Value::as_array_mut).ok_or_else(broken)?;
        ids.push(json!(named(blob.digest)));
        if let Some(history) = config.get_mut("history").and_then(Value::as_array_mut) {
            history.push(json!({"created": NEVER}));
        }
        blobs.push(blob);
    }
    let config = Blob::new(config.to_string().into_bytes());
    let manifest = manifest.as_object_mut().ok_or_else(broken)?;
    manifest.insert("mediaType".to_owned(), json!(MANIFEST));
    manifest.insert("config".to_owned(), config.descriptor("application/vnd.oci.image.config.v1+json"));
    blobs.push(config);
    let manifest = Value::from(std::mem::take(manifest));
    Ok(Wrapped { blobs, manifest: manifest.to_string().into_bytes() })
}

/// An artifact that refers to what its bundle signs.
pub fn referring(subject: &Descriptor, bundle: Vec<u8>) -> Wrapped {
    let (bundle, config) = (Blob::new(bundle), Blob::new(b"{}".to_vec()));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": MEDIA_TYPE,
        "config": config.descriptor("application/vnd.oci.empty.v1+json"),
        "layers": [bundle.descriptor(MEDIA_TYPE)],
        "subject": {"mediaType": subject.media_type, "digest": named(subject.digest), "size": subject.size},
        "annotations": {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": PREDICATE},
    });
    Wrapped { blobs: vec![bundle, config], manifest: manifest.to_string().into_bytes() }
}

/// A layer that should hold a signature: a blob to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Of the blob.
    pub digest: Digest,
    /// Bytes of the blob; at most [`MAX_SIZE`].
    pub size: u64,
    holds: Holds,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Holds {
    /// A payload. None: its signature cannot be read.
    Simple(Option<Vec<u8>>),
    Bundle,
}

/// The layers of a manifest that should hold signatures; none if it is a manifest of something else.
///
/// # Errors
/// It is no manifest of an image or an artifact, or one of these layers is too large or of an unknown digest.
pub fn layers(manifest: &[u8]) -> Result<Vec<Layer>, Unreadable> {
    if manifest.len() > MAX_SIZE {
        return Err(Unreadable::Large);
    }
    let manifest: Manifest =
        serde_json::from_slice(manifest).map_err(|_| Unreadable::Malformed("its manifest cannot be read"))?;
    let mut layers = Vec::new();
    for layer in manifest.layers {
        let holds = match layer.media_type.as_str() {
            SIMPLE => {
                let signature = layer.annotations.as_ref().and_then(|it| it.get(SIGNATURE));
                Holds::Simple(signature.and_then(|it| STANDARD.decode(it).ok()))
            }
            kind if kind.starts_with(ANY_BUNDLE) => Holds::Bundle,
            _ => continue,
        };
        if layer.size > MAX_SIZE as u64 {
            return Err(Unreadable::Large);
        }
        let digest = layer.digest.strip_prefix("sha256:").and_then(|it| it.parse().ok());
        let digest = digest.ok_or(Unreadable::Malformed("its manifest names a layer by no digest of SHA-256"))?;
        layers.push(Layer { digest, size: layer.size, holds });
    }
    Ok(layers)
}

impl Layer {
    /// How what it holds should be written.
    pub fn format(&self) -> Format {
        match self.holds {
            Holds::Simple(_) => Format::SimpleSigning,
            Holds::Bundle => Format::Bundle,
        }
    }

    /// The signature that it holds, of the bytes of its blob.
    ///
    /// # Errors
    /// They are other bytes, or no signature.
    pub fn read(&self, blob: Vec<u8>) -> Result<Signature, Unreadable> {
        if blob.len() > MAX_SIZE {
            return Err(Unreadable::Large);
        }
        if Sha256::digest(&blob)[..] != self.digest.0 {
            return Err(Unreadable::Malformed("its bytes have another digest than its manifest says"));
        }
        match &self.holds {
            Holds::Bundle => bundle::read(&blob),
            Holds::Simple(Some(signature)) => Simple { payload: blob, signature: signature.clone() }.read(),
            Holds::Simple(None) => Err(Unreadable::Malformed("its layer has no signature in base64")),
        }
    }
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    media_type: String,
    digest: String,
    size: u64,
    annotations: Option<BTreeMap<String, String>>,
}

fn named(digest: Digest) -> String {
    format!("sha256:{digest}")
}

/// The media type of every manifest here.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// Bundles of every version; which of them are read is decided by the bundle itself.
const ANY_BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
/// No time is written, so that the same signatures give the same bytes; cosign writes this one too.
const NEVER: &str = "0001-01-01T00:00:00Z";
