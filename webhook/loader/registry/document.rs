//! The documents of registries: manifests, indexes, and what they say of blobs (OCI's image spec, and Docker's older names for the same).

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::spec::Digest;

/// What a repository says of something else in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Of its bytes.
    pub digest: Digest,
    /// Of its bytes.
    pub size: u64,
    /// What else is said of it.
    pub annotations: BTreeMap<String, String>,
    /// Of a manifest in an index: what it is for.
    pub artifact_type: Option<String>,
}

/// A manifest whose digest was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Of `bytes`.
    pub digest: Digest,
    /// As they came.
    pub bytes: Bytes,
    /// What they say it is.
    pub media_type: String,
    /// What they say it is for.
    pub artifact_type: Option<String>,
    /// What it says of itself.
    pub annotations: BTreeMap<String, String>,
    /// What it is about, such as what a signature signs.
    pub subject: Option<Descriptor>,
    /// What it holds.
    pub content: Content,
}

/// What a manifest holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One thing.
    Image {
        /// What tells what it is.
        config: Descriptor,
        /// Its parts.
        layers: Vec<Descriptor>,
    },
    /// Other manifests; those whose digests are not SHA-256 are left out.
    Index(Vec<Descriptor>),
}

/// As JSON has it.
#[derive(Serialize, Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct WireDescriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireManifest {
    schema_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<WireDescriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<WireDescriptor>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manifests: Option<Vec<WireDescriptor>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<WireDescriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    /// Of these bytes.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest(Sha256::digest(bytes).into()),
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
            artifact_type: None,
        }
    }

    fn wire(&self) -> WireDescriptor {
        WireDescriptor {
            media_type: self.media_type.clone(),
            digest: format!("sha256:{}", self.digest),
            size: self.size,
            annotations: Some(self.annotations.clone()).filter(|it| !it.is_empty()),
            artifact_type: self.artifact_type.clone(),
        }
    }
}

impl WireDescriptor {
    fn read(self) -> Result<Descriptor, String> {
        let digest = self.digest.strip_prefix("sha256:").and_then(|it| it.parse().ok());
        Ok(Descriptor {
            digest: digest.ok_or("it names something by a digest that is not SHA-256")?,
            media_type: self.media_type,
            size: self.size,
            annotations: self.annotations.unwrap_or_default(),
            artifact_type: self.artifact_type,
        })
    }
}

impl Manifest {
    /// What `bytes` say. Err: what is wrong with them.
    ///
    /// # Errors
    /// They are no manifest and no index, or could be taken for both.
    pub fn read(bytes: Bytes) -> Result<Self, String> {
        // Without serde's quotes of what is there, which may be anything.
        let wire: WireManifest = serde_json::from_slice(&bytes).map_err(|error| {
            let what = if error.is_data() {
                "it lacks what a manifest has, or has it in another type"
            } else {
                "it is no JSON"
            };
            format!("{what}: line {}, column {}", error.line(), error.column())
        })?;
        if wire.schema_version != 2 {
            return Err(format!("its schemaVersion is {}, not 2", wire.schema_version));
        }
        let said = |usual: &str, docker: &str| match &wire.media_type {
            None => Ok(usual.to_owned()),
            Some(it) if it == usual || it == docker => Ok(it.clone()),
            Some(_) => Err("its mediaType is not that of what it holds"),
        };
        // What one reader takes for an index and another for an image is neither (CVE-2021-41190).
        let (media_type, content) = match (wire.config, wire.layers, wire.manifests) {
            (Some(config), Some(layers), None) => {
                let layers: Result<_, _> = layers.into_iter().map(WireDescriptor::read).collect();
                (said(MANIFEST, DOCKER_MANIFEST)?, Content::Image { config: config.read()?, layers: layers? })
            }
            (None, None, Some(manifests)) => {
                let manifests = manifests.into_iter().filter_map(|it| it.read().ok()).collect();
                (said(INDEX, DOCKER_LIST)?, Content::Index(manifests))
            }
            _ => return Err("it has not config and layers alone, or manifests alone".to_owned()),
        };
        Ok(Self {
            digest: Digest(Sha256::digest(&bytes).into()),
            media_type,
            artifact_type: wire.artifact_type,
            annotations: wire.annotations.unwrap_or_default(),
            subject: wire.subject.map(WireDescriptor::read).transpose()?,
            content,
            bytes,
        })
    }

    /// An image manifest.
    ///
    /// # Errors
    /// The writer's, which no such value is known to cause.
    pub fn image(
        artifact_type: Option<&str>,
        config: &Descriptor,
        layers: &[Descriptor],
        subject: Option<&Descriptor>,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        Self::written(&WireManifest {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: artifact_type.map(str::to_owned),
            config: Some(config.wire()),
            layers: Some(layers.iter().map(Descriptor::wire).collect()),
            manifests: None,
            subject: subject.map(Descriptor::wire),
            annotations: Some(annotations.clone()).filter(|it| !it.is_empty()),
        })
    }

    /// An index.
    ///
    /// # Errors
    /// The writer's, which no such value is known to cause.
    pub fn index(manifests: &[Descriptor]) -> Result<Self, String> {
        Self::written(&WireManifest {
            schema_version: 2,
            media_type: Some(INDEX.to_owned()),
            artifact_type: None,
            config: None,
            layers: None,
            manifests: Some(manifests.iter().map(Descriptor::wire).collect()),
            subject: None,
            annotations: None,
        })
    }

    fn written(wire: &WireManifest) -> Result<Self, String> {
        Self::read(serde_json::to_vec(wire).map_err(|error| error.to_string())?.into())
    }

    /// As an index has it.
    pub fn descriptor(&self) -> Descriptor {
        let of_config = match &self.content {
            Content::Image { config, .. } => Some(config.media_type.clone()),
            Content::Index(_) => None,
        };
        Descriptor {
            annotations: self.annotations.clone(),
            artifact_type: self.artifact_type.clone().or(of_config),
            ..Descriptor::of(&self.media_type, &self.bytes)
        }
    }
}

/// OCI's image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI's index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// All of them.
pub(super) const ACCEPT_ALL: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"mediaType":"c","digest":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","size":3}"#;

    fn read(text: &str) -> Result<Manifest, String> {
        Manifest::read(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn what_is_written_is_read() {
        let config = Descriptor::of("application/x", b"{}");
        let mut layer = Descriptor::of("application/wasm", b"abc");
        layer.annotations.insert("a".to_owned(), "b".to_owned());
        let annotations = BTreeMap::from([("t".to_owned(), "v".to_owned())]);
        let image = Manifest::image(Some("for/it"), &config, &[layer.clone()], Some(&config), &annotations).unwrap();
        assert_eq!(image.content, Content::Image { config: config.clone(), layers: vec![layer] });
        assert_eq!((image.artifact_type.as_deref(), image.subject.as_ref()), (Some("for/it"), Some(&config)));
        assert_eq!(image.annotations, annotations);
        assert_eq!(read(std::str::from_utf8(&image.bytes).unwrap()).unwrap(), image);
        let index = Manifest::index(&[image.descriptor()]).unwrap();
        assert_eq!(index.content, Content::Index(vec![image.descriptor()]));
        assert_eq!(image.descriptor().digest, image.digest);
    }

    #[test]
    fn what_could_be_taken_for_two_things_is_neither() {
        let neither = Err("it has not config and layers alone, or manifests alone".to_owned());
        let with = |rest: &str| read(&format!(r#"{{"schemaVersion":2,"config":{CONFIG}{rest}}}"#));
        assert!(with(r#","layers":[]"#).is_ok());
        assert_eq!(with(r#","layers":[],"manifests":[]"#), neither);
        assert_eq!(with(""), neither);
        let wrong = Err("its mediaType is not that of what it holds".to_owned());
        assert_eq!(with(&format!(r#","layers":[],"mediaType":"{INDEX}""#)), wrong);
        assert!(with(r#","layers":[],"layers":[]"#).unwrap_err().starts_with("it lacks what a manifest has"));
    }

    #[test]
    fn what_is_no_manifest_is_not_quoted() {
        assert_eq!(read("<html>secret").unwrap_err(), "it is no JSON: line 1, column 1");
        assert_eq!(
            read(r#"{"schemaVersion":"secret"}"#).unwrap_err(),
            "it lacks what a manifest has, or has it in another type: line 1, column 25"
        );
        assert_eq!(read(r#"{"schemaVersion":1}"#).unwrap_err(), "its schemaVersion is 1, not 2");
        assert!(read(&"[".repeat(100_000)).is_err());
        let sha512 = CONFIG.replace("sha256", "sha512");
        let text = format!(r#"{{"schemaVersion":2,"config":{sha512},"layers":[]}}"#);
        assert_eq!(read(&text).unwrap_err(), "it names something by a digest that is not SHA-256");
    }
}
