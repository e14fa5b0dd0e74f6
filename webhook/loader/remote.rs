//! What is not on this machine from the beginning on: fetched from registries and URLs, kept on disk, and found there.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use tracing::{info, warn};
use url::Url;

use super::{
    Component, FetchError, MAX_SIZE,
    faults::Faults,
    layout::{Entry, Layout},
    registry::{Content, Descriptor, MAX_MANIFEST, Manifest, Registry, RegistryError, component_layer, only_manifest},
    signatures::Signatures,
};
use crate::{
    signature::{Found, requirement::Requirement},
    spec::{ComponentRef, Digest, Image, Location},
};

/// Registries, and a folder for what was fetched.
pub(super) struct Remote {
    pub(super) registry: Registry,
    dir: PathBuf,
    /// What is kept there; made when something is, so that whoever fetches nothing needs no folder.
    opened: OnceLock<Layout>,
    /// By their keys.
    pub(super) faults: Faults,
    /// Who fetches what, by its name: one at a time.
    fetching: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// What is fetched.
pub(super) enum Wanted<'a> {
    Image(&'a Image),
    Url(&'a Url),
}

/// Who must have signed an image, and where that is said.
pub(super) type Required = Vec<(&'static str, Requirement)>;

impl<'a> Wanted<'a> {
    pub(super) fn of(reference: &'a ComponentRef) -> Option<Self> {
        match &reference.location {
            Location::Image(image) => Some(Self::Image(image)),
            Location::Url(url) => Some(Self::Url(url)),
            Location::File(_) | Location::Builtin(_) | Location::Given(_) => None,
        }
    }

    /// As it is kept.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Image(image) => name_of(image),
            Self::Url(url) => url.to_string(),
        }
    }
}

impl Remote {
    pub(super) fn new(registry: Registry, dir: PathBuf) -> Self {
        Self { registry, dir, opened: OnceLock::new(), faults: Faults::default(), fetching: Mutex::default() }
    }

    /// What is here of it, if it is whole and signed. What may not be fetched any more is not used any more, either.
    pub(super) fn find(&self, wanted: &Wanted<'_>, required: &Required) -> Option<Result<Component, FetchError>> {
        let allowed = match wanted {
            Wanted::Image(image) => self.registry.allows(image),
            Wanted::Url(url) => self.registry.allows_url(url),
        };
        if let Err(error) = allowed {
            return Some(Err(error.into()));
        }
        let name = wanted.name();
        let kept = self.here()?;
        let entry = kept.find(&name)?;
        let Wanted::Image(image) = wanted else {
            return Some(Ok(Component::new(kept.blob(entry.digest, MAX_SIZE)?)));
        };
        // Whoever saved it may have written anything beside the name.
        if image.digest().is_some_and(|it| it != entry.digest) {
            return None;
        }
        // Before anything of it is looked at.
        if !required.is_empty()
            && let Err(error) =
                verified(image, entry.digest, required, &Signatures::kept(kept, image.repository(), entry.digest))
        {
            return Some(Err(error));
        }
        let layer = match layer_of(image, kept, entry.digest)? {
            Ok(layer) => layer,
            Err(error) => return Some(Err(error.into())),
        };
        let bytes = kept.blob(layer.digest, MAX_SIZE)?;
        Some(Ok(Component { manifest: Some(entry.digest), ..Component::new(bytes) }))
    }

    /// One at a time, and with what came of it.
    pub(super) async fn once(
        &self,
        reference: &ComponentRef,
        wanted: &Wanted<'_>,
        fetch: impl Future<Output = Result<(), FetchError>>,
    ) -> Result<(), FetchError> {
        let turn = Arc::clone(self.fetching().entry(wanted.name()).or_default());
        let _turn = turn.lock().await;
        let fetched = fetch.await;
        self.faults.keep(key(reference), &fetched);
        fetched
    }

    /// `known`: the digest that an image has, if that is known.
    pub(super) async fn fetch(
        &self,
        wanted: &Wanted<'_>,
        required: &Required,
        known: Option<Digest>,
    ) -> Result<(), FetchError> {
        match wanted {
            Wanted::Image(image) => {
                let digest = match known {
                    Some(known) => known,
                    None => self.registry.resolve(image, None).await?,
                };
                self.image(image, digest, required).await
            }
            Wanted::Url(url) => {
                let bytes = self.registry.url(url, MAX_SIZE).await?;
                let entry = Entry::named(&wanted.name(), WASM, &bytes);
                Ok(self.kept()?.keep([&bytes], [entry])?)
            }
        }
    }

    /// What `image` names, which has this digest. What nobody signed who must have is not fetched.
    pub(super) async fn image(&self, image: &Image, digest: Digest, required: &Required) -> Result<(), FetchError> {
        let name = name_of(image);
        let at = image.repository();
        let Signatures { blobs: mut all, mut entries, found } = match required.is_empty() {
            true => Signatures::default(),
            false => Signatures::fetch(&self.registry, at, digest).await?,
        };
        if !required.is_empty() {
            let (image, required) = (image.clone(), required.clone());
            let check = tokio::task::spawn_blocking(move || verified(&image, digest, &required, &found));
            check.await.map_err(|error| FetchError::Kept(error.to_string()))??;
        }
        let mut manifest = self.manifest(image, digest).await?;
        entries.push(Entry::named(&name, &manifest.media_type, &manifest.bytes));
        if let Some(only) = only_manifest(image, &manifest)? {
            all.push(manifest.bytes);
            manifest = self.manifest(image, only).await?;
        }
        let layer = component_layer(image, &manifest)?;
        // What tells what it is goes along, so that the whole can be moved to another registry.
        if let Content::Image { config, .. } = &manifest.content {
            all.push(self.blob(image, config, MAX_MANIFEST).await?);
        }
        // Last, so that what is large does not lie in memory while it waits for anything.
        all.push(self.blob(image, layer, MAX_SIZE).await?);
        all.push(manifest.bytes);
        self.kept()?.keep(&all, entries)?;
        info!(image = %name, digest = %format_args!("sha256:{digest}"), "fetched");
        Ok(())
    }

    async fn manifest(&self, image: &Image, digest: Digest) -> Result<Manifest, RegistryError> {
        match self.here().and_then(|it| it.blob(digest, MAX_MANIFEST)) {
            Some(bytes) => {
                Manifest::read(bytes).map_err(|reason| RegistryError::NotAManifest { name: image.to_string(), reason })
            }
            None => self.registry.manifest(image.repository(), digest).await,
        }
    }

    async fn blob(&self, image: &Image, blob: &Descriptor, max: u64) -> Result<Bytes, RegistryError> {
        match self.here().and_then(|it| it.blob(blob.digest, max)) {
            Some(bytes) => Ok(bytes),
            None => self.registry.blob(image.repository(), blob, max).await,
        }
    }

    /// What is kept, if anything is.
    pub(super) fn here(&self) -> Option<&Layout> {
        if self.opened.get().is_none() && !self.dir.exists() {
            return None;
        }
        let opened = self.kept();
        opened.inspect_err(|error| warn!(%error, "what was fetched before cannot be used")).ok()
    }

    /// What is kept, to keep more.
    pub(super) fn kept(&self) -> Result<&Layout, FetchError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let layout = Layout::open(&self.dir)?;
        Ok(self.opened.get_or_init(|| layout))
    }

    /// The digest of what is kept by this name.
    pub(super) fn named(&self, name: &str) -> Option<Digest> {
        Some(self.here()?.find(name)?.digest)
    }

    pub(super) fn fetching(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The layer of what has this digest. None: it is not here.
fn layer_of(image: &Image, kept: &Layout, digest: Digest) -> Option<Result<Descriptor, RegistryError>> {
    let read = |digest| {
        let name = image.to_string();
        let bytes = kept.blob(digest, MAX_MANIFEST)?;
        Some(Manifest::read(bytes).map_err(|reason| RegistryError::NotAManifest { name, reason }))
    };
    let manifest = match read(digest)? {
        Ok(it) => it,
        Err(error) => return Some(Err(error)),
    };
    let only = match only_manifest(image, &manifest) {
        Ok(Some(only)) => read(only)?,
        Ok(None) => Ok(manifest),
        Err(error) => Err(error),
    };
    Some(only.and_then(|it| component_layer(image, &it).cloned()))
}

/// Whether all that is required of an image of this digest was signed.
fn verified(image: &Image, digest: Digest, required: &Required, found: &Found) -> Result<(), FetchError> {
    for (by, requirement) in required {
        requirement.check(digest, found).map_err(|refused| FetchError::Unverified {
            component: image.to_string(),
            by,
            refused: Box::new(refused),
        })?;
    }
    Ok(())
}

/// All of it counts: two objects may want different signatures of one image.
pub(super) fn key(reference: &ComponentRef) -> String {
    format!("{reference:?}")
}

/// A digest decides; a tag beside it only tells people more.
pub(super) fn name_of(image: &Image) -> String {
    image.digest().map_or_else(|| image.to_string(), |digest| image.repository().at(digest).to_string())
}

const WASM: &str = "application/wasm";
