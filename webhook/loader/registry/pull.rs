//! What is read: tags, manifests, blobs, components, and what lies at URLs.

use bytes::Bytes;
use http::{HeaderMap, Method};
use url::Url;

use super::{
    Content, Descriptor, MAX_MANIFEST, Manifest, Pulled, Registry, RegistryError,
    body::{self, Terms},
    document::ACCEPT_ALL,
    exchange::Ask,
    reach::{host_of, shown},
};
use crate::{
    loader::{Component, MAX_SIZE},
    spec::{Digest, Image, Repository},
};

impl Registry {
    /// Whether it is said from where may be fetched.
    pub fn is_limited(&self) -> bool {
        self.0.wires.reach.allow.is_some()
    }

    /// Whether `image` may be pulled.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`]
    pub fn allows(&self, image: &Image) -> Result<(), RegistryError> {
        self.0.wires.reach.image(image)
    }

    /// Whether this URL may be fetched.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`], [`RegistryError::Url`]
    pub fn allows_url(&self, url: &Url) -> Result<(), RegistryError> {
        self.0.wires.reach.url(url)
    }

    /// The digest of the manifest that `image` names now: of a pinned one the digest that it has, without asking. `known` is a digest
    /// that the tag had before: where it still has it, nothing but that is asked. The bytes of any other are read and verified.
    ///
    /// # Errors
    /// There is none.
    pub async fn resolve(&self, image: &Image, known: Option<Digest>) -> Result<Digest, RegistryError> {
        if let Some(pinned) = image.digest() {
            return self.allows(image).map(|()| pinned);
        }
        self.allows(image)?;
        let _turn = self.turn(image.repository(), false).await?;
        let claimed = self.claimed(image).await?;
        if claimed.is_some() && claimed == known {
            return known.ok_or_else(|| not_found(image));
        }
        self.tagged(image, claimed).await.map(|it| it.digest)
    }

    /// A manifest by digest, at most [`MAX_MANIFEST`] bytes.
    ///
    /// # Errors
    /// It is not there, or not one.
    pub async fn manifest(&self, at: &Repository, digest: Digest) -> Result<Manifest, RegistryError> {
        let _turn = self.turn(at, false).await?;
        self.named(&at.at(digest)).await
    }

    /// What `image` names. None: there is no such tag or digest, as of signatures that nobody made.
    ///
    /// # Errors
    /// It is not to be known, or is no manifest.
    pub async fn find(&self, image: &Image) -> Result<Option<Manifest>, RegistryError> {
        self.allows(image)?;
        let _turn = self.turn(image.repository(), false).await?;
        self.find_now(image).await
    }

    /// A blob, at most `max` bytes, exactly as many as its descriptor says.
    ///
    /// # Errors
    /// It is not there, not so large, or other bytes.
    pub async fn blob(&self, at: &Repository, blob: &Descriptor, max: u64) -> Result<Bytes, RegistryError> {
        let _turn = self.turn(at, false).await?;
        self.blob_now(at, blob, max).await
    }

    /// The component that `image` names, in any of three layouts: that of the CNCF, Kubewarden's, wasm-to-oci's; also
    /// as the only one of an index.
    ///
    /// # Errors
    /// There is none, or it is something else.
    pub async fn component(&self, image: &Image) -> Result<Pulled, RegistryError> {
        self.allows(image)?;
        let _turn = self.turn(image.repository(), false).await?;
        let manifest = match image.digest() {
            Some(_) => self.named(image).await?,
            None => {
                let claimed = self.claimed(image).await?;
                self.tagged(image, claimed).await?
            }
        };
        let only = match only_manifest(image, &manifest)? {
            Some(digest) => Some(self.named(&image.pinned(digest)).await?),
            None => None,
        };
        let layer = component_layer(image, only.as_ref().unwrap_or(&manifest))?.clone();
        let bytes = self.blob_now(image.repository(), &layer, MAX_SIZE).await?;
        let component = Component { bytes, digest: layer.digest, manifest: Some(manifest.digest) };
        Ok(Pulled { manifest, component })
    }

    /// What lies at a URL, at most `max` bytes. Nobody gets credentials for it.
    ///
    /// # Errors
    /// It is not there, or not to be had.
    pub async fn url(&self, url: &Url, max: u64) -> Result<Bytes, RegistryError> {
        let wires = &self.0.wires;
        wires.reach.url(url)?;
        let (host, name) = (host_of(url), shown(url));
        let _turn = self.0.turns.take(host.clone()).await;
        let one = || async {
            let ask = Ask {
                method: Method::GET,
                url: url.clone(),
                home: None,
                scope: "",
                name: &name,
                accept: "*/*",
                body: None,
            };
            let answer = wires.ask(&ask).await?;
            let rate = Some(wires.times);
            let host = host_of(&answer.url);
            let terms = Terms { host: &host, name: &name, max, announced: None, digest: None, rate };
            body::read(answer.body, &terms).await
        };
        wires.insist(wires.times.blob, (&host, &name), one).await.map(|it| it.0)
    }

    pub(super) async fn find_now(&self, image: &Image) -> Result<Option<Manifest>, RegistryError> {
        match self.named(image).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The digest that a registry says a tag has. None: it does not say.
    async fn claimed(&self, image: &Image) -> Result<Option<Digest>, RegistryError> {
        let wires = &self.0.wires;
        self.allows(image)?;
        let home = wires.reach.endpoint(image.repository(), false)?;
        let name = image.to_string();
        let url = home.url(&format!("manifests/{}", version(image)));
        let one = || async {
            let ask = Ask {
                method: Method::HEAD,
                url: url.clone(),
                home: Some(&home),
                scope: "pull",
                name: &name,
                accept: ACCEPT_ALL,
                body: None,
            };
            wires.ask(&ask).await.map(|it| claim(&it.headers))
        };
        match wires.insist(wires.times.manifest, (&host_of(&url), &name), one).await {
            // What it says to GET counts.
            Err(RegistryError::NotFound { .. } | RegistryError::Status { .. }) => Ok(None),
            other => other,
        }
    }

    /// What a tag names: by the digest that the registry claims it has, if it does.
    async fn tagged(&self, image: &Image, claimed: Option<Digest>) -> Result<Manifest, RegistryError> {
        match claimed {
            Some(digest) => self.named(&image.pinned(digest)).await,
            None => self.named(image).await,
        }
    }

    /// What a digest names, or else a tag. Its bytes count, whatever is said of them.
    async fn named(&self, image: &Image) -> Result<Manifest, RegistryError> {
        let wires = &self.0.wires;
        self.allows(image)?;
        let home = wires.reach.endpoint(image.repository(), false)?;
        let name = image.to_string();
        let url = home.url(&format!("manifests/{}", version(image)));
        let one = || async {
            let ask = Ask {
                method: Method::GET,
                url: url.clone(),
                home: Some(&home),
                scope: "pull",
                name: &name,
                accept: ACCEPT_ALL,
                body: None,
            };
            let answer = wires.ask(&ask).await?;
            let host = host_of(&answer.url);
            let digest = image.digest();
            let terms = Terms { host: &host, name: &name, max: MAX_MANIFEST, announced: None, digest, rate: None };
            body::read(answer.body, &terms).await
        };
        let (bytes, _) = wires.insist(wires.times.manifest, (&host_of(&url), &name), one).await?;
        Manifest::read(bytes).map_err(|reason| RegistryError::NotAManifest { name, reason })
    }

    async fn blob_now(&self, at: &Repository, blob: &Descriptor, max: u64) -> Result<Bytes, RegistryError> {
        let wires = &self.0.wires;
        let home = wires.reach.endpoint(at, false)?;
        let name = at.at(blob.digest).to_string();
        // Before anything is asked.
        if blob.size > max {
            return Err(RegistryError::TooLarge { name, max });
        }
        let url = home.url(&format!("blobs/sha256:{}", blob.digest));
        let one = || async {
            let ask = Ask {
                method: Method::GET,
                url: url.clone(),
                home: Some(&home),
                scope: "pull",
                name: &name,
                accept: "*/*",
                body: None,
            };
            let answer = wires.ask(&ask).await?;
            let (announced, digest, rate) = (Some(blob.size), Some(blob.digest), Some(wires.times));
            let host = host_of(&answer.url);
            body::read(answer.body, &Terms { host: &host, name: &name, max, announced, digest, rate }).await
        };
        wires.insist(wires.times.blob, (&host_of(&url), &name), one).await.map(|it| it.0)
    }
}

fn not_found(image: &Image) -> RegistryError {
    RegistryError::NotFound { host: image.repository().registry().to_owned(), name: image.to_string() }
}

fn version(image: &Image) -> String {
    match image.digest() {
        Some(digest) => format!("sha256:{digest}"),
        None => image.tag().unwrap_or_default().to_owned(),
    }
}

fn claim(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok()?.strip_prefix("sha256:")?.parse().ok()
}

/// Of an index, the digest of the manifest in it, if that is the only one; None: it is no index. The index stays what the tag names, what
/// is pinned, shown and signed: its digest decides which manifest is read, and by that which bytes.
pub(in crate::loader) fn only_manifest(image: &Image, manifest: &Manifest) -> Result<Option<Digest>, RegistryError> {
    let Content::Index(listed) = &manifest.content else { return Ok(None) };
    match listed.as_slice() {
        [one] => Ok(Some(one.digest)),
        _ => Err(RegistryError::Index { name: image.to_string() }),
    }
}

/// The one layer that is a component, or what it is instead.
pub(in crate::loader) fn component_layer<'m>(
    image: &Image,
    manifest: &'m Manifest,
) -> Result<&'m Descriptor, RegistryError> {
    let name = image.to_string();
    let Content::Image { config, layers } = &manifest.content else { return Err(RegistryError::Index { name }) };
    let is_component = |it: &&Descriptor| LAYERS.contains(&it.media_type.as_str());
    match layers.as_slice() {
        [layer] if is_component(&layer) => Ok(layer),
        // Some tools give every artifact the config of a container: what its layers are tells.
        layers if CONTAINERS.contains(&config.media_type.as_str()) && !layers.iter().any(|it| is_component(&it)) => {
            Err(RegistryError::ContainerImage { name })
        }
        [layer] => Err(RegistryError::MediaType { name, media_type: known_words(&layer.media_type) }),
        layers => Err(RegistryError::Layers { name, count: layers.len() }),
    }
}

/// What a registry wrote, as a part of a message.
fn known_words(media_type: &str) -> String {
    crate::text::line(&media_type.chars().take(100).collect::<String>())
}

/// The CNCF's, and Kubewarden's and wasm-to-oci's.
const LAYERS: [&str; 2] = [super::WASM, "application/vnd.wasm.content.layer.v1+wasm"];
const CONTAINERS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
