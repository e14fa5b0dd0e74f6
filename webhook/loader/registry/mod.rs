//! A client of registries (OCI's distribution spec 1.1) and of files at URLs: bytes with verified digests, or one sentence that says
//! why there are none.
//!
//! Registries are hostile: what they send is bounded in bytes, number and time, nothing counts but the digest of the bytes, and where
//! they redirect to is checked like where the operator sent us. Nothing is kept here but tokens: who wants a cache has one above.

mod error;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use bytes::Bytes;
use url::Url;

use super::Component;
use crate::spec::{Digest, Image, Repository};
pub use error::RegistryError;

/// Asks registries. Clones share connections, tokens, and the limit of how many pulls run at once.
#[derive(Clone)]
pub struct Registry {}

/// How registries are reached, and which.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Who is asked over plain HTTP.
    pub plain_http: Vec<Host>,
    /// Authorities that sign certificates of registries, PEM.
    pub authorities: Option<Vec<u8>>,
    /// Whether those of the public web do not.
    pub only_these_authorities: bool,
    /// Where names and passwords are.
    pub credentials: Credentials,
    /// Where may be fetched from, redirects included. None: from everywhere that the operator names, and from where that redirects to.
    pub allow: Option<Vec<Pattern>>,
    /// Who is asked instead of somebody. Pushes go to whom they name.
    pub mirrors: Vec<Mirror>,
    /// How long things may take.
    pub times: Times,
}

/// Where names and passwords are: in a file as `docker login` writes it, which may name programs that have them (`credHelpers`,
/// `credsStore`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`, if it is there.
    #[default]
    Default,
    /// This file, which must be there.
    File(PathBuf),
    /// Nowhere.
    None,
}

/// HOST or HOST:PORT, in lower case. A `FromStr`.
pub struct Host(String);

/// HOST[:PORT][/PATH]: `ghcr.io/team` is that path and what is below it, `ghcr.io/*/policies` any one word, `*.example.org` any one
/// label. Without a port: 443, or 80 over plain HTTP. A `FromStr`.
pub struct Pattern {}

/// HOST[:PORT]=HOST[:PORT][/PREFIX]. A `FromStr`.
pub struct Mirror {}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// For a connection, with DNS and TLS.
    pub connect: Duration,
    /// For a manifest or a list, with all tries.
    pub manifest: Duration,
    /// For a blob or what lies at a URL, with all tries.
    pub blob: Duration,
    /// How long nothing of a blob has to come.
    pub grace: Duration,
    /// From then on, on the whole.
    pub bytes_per_second: u32,
}

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
    /// Other manifests.
    Index(Vec<Descriptor>),
}

/// A component as a registry has it.
#[derive(Clone)]
pub struct Pulled {
    /// That names it, with its annotations.
    pub manifest: Manifest,
    /// The layer.
    pub component: Component,
}

/// A component as it is pushed, in the layout of the CNCF. The same values give the same digests.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// The binary.
    pub bytes: Bytes,
    /// What it exports and imports; None: it is a core module.
    pub interfaces: Option<Interfaces>,
    /// `org.opencontainers.image.…`, and what else is said of it.
    pub annotations: BTreeMap<String, String>,
}

/// Names of interfaces, such as `verdict:admission/validating@1.0.0`.
#[derive(Debug, Clone, Default)]
pub struct Interfaces {
    /// What it answers.
    pub exports: Vec<String>,
    /// What it asks for.
    pub imports: Vec<String>,
    /// The world that it was made for.
    pub target: Option<String>,
}

/// An artifact as it lies in a registry, or in a layout on disk.
#[derive(Debug, Clone)]
pub struct Packed {
    /// `application/vnd.oci.image.manifest.v1+json`, with its digest.
    pub manifest: Manifest,
    /// `application/vnd.wasm.config.v0+json`.
    pub config: Bytes,
    /// `application/wasm`.
    pub layer: Bytes,
}

impl Artifact {
    /// As it is pushed.
    pub fn pack(&self) -> Packed { todo!() }
}

impl Registry {
    /// # Errors
    /// The authorities are no certificates.
    pub fn new(config: Config) -> Result<Self, String> { todo!() }

    /// Whether `image` may be pulled, as `--registry-allow` says.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`]
    pub fn allows(&self, image: &Image) -> Result<(), RegistryError> { todo!() }

    /// Whether this URL may be fetched.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`], [`RegistryError::Url`]
    pub fn allows_url(&self, url: &Url) -> Result<(), RegistryError> { todo!() }

    /// The digest of the manifest that the tag of `image` names now; of a pinned one the digest that it has, without asking. `known`: one that was found before;
    /// where the tag still names it, nothing more is read. Any other is verified.
    pub async fn resolve(&self, image: &Image, known: Option<Digest>) -> Result<Digest, RegistryError> { todo!() }

    /// A manifest by digest, at most [`MAX_MANIFEST`] bytes.
    pub async fn manifest(&self, at: &Repository, digest: Digest) -> Result<Manifest, RegistryError> { todo!() }

    /// What a tag names, or a digest. None: there is no such tag, as of signatures of older cosigns (`sha256-<hex>.sig`).
    pub async fn find(&self, image: &Image) -> Result<Option<Manifest>, RegistryError> { todo!() }

    /// A blob, at most `max` bytes, exactly as many as its descriptor says.
    pub async fn blob(&self, at: &Repository, blob: &Descriptor, max: u64) -> Result<Bytes, RegistryError> { todo!() }

    /// What refers to a manifest, such as signatures of it: as the registry lists it, else below the tag `sha256-<hex>`.
    pub async fn referrers(&self, at: &Repository, subject: Digest, artifact_type: Option<&str>) -> Result<Vec<Descriptor>, RegistryError> { todo!() }

    /// The component that `image` names, in any of three layouts.
    pub async fn component(&self, image: &Image) -> Result<Pulled, RegistryError> { todo!() }

    /// What lies at a URL, at most `max` bytes.
    pub async fn url(&self, url: &Url, max: u64) -> Result<Bytes, RegistryError> { todo!() }

    /// Pushes a blob, unless it is there. Its digest.
    pub async fn push_blob(&self, to: &Repository, bytes: Bytes) -> Result<Digest, RegistryError> { todo!() }

    /// Pushes a manifest, whose blobs must be there, under its tag or by digest only. One with a subject is listed as a referrer of it, in the index
    /// of the tag schema where the registry has no list.
    pub async fn push_manifest(&self, to: &Repository, tag: Option<&str>, manifest: Bytes) -> Result<Digest, RegistryError> { todo!() }

    /// Pushes a component. The digest of its manifest.
    pub async fn push_component(&self, to: &Image, artifact: &Artifact) -> Result<Digest, RegistryError> { todo!() }
}
