//! Where components are had from. What has to be fetched is fetched beforehand, kept on disk, and read from there: to load never asks
//! anybody, so that a registry that is slow or away holds up nothing, and what was fetched once is there at the next start.

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use tracing::{info, warn};
use url::Url;

use super::{
    Component, FetchError, LoadError, MAX_SIZE,
    layout::{Entry, Layout},
    local,
    registry::{Content, Descriptor, MAX_MANIFEST, Manifest, Registry, RegistryError, component_layer},
};
use crate::spec::{ComponentRef, Digest, Image, Location};

/// Finds components. Clones share everything.
#[derive(Clone)]
pub struct Components(Option<Arc<Remote>>);

/// What is not on this machine from the beginning on.
struct Remote {
    registry: Registry,
    dir: PathBuf,
    /// What is kept there; made when something is, so that whoever fetches nothing needs no folder.
    opened: OnceLock<Layout>,
    /// Why something could not be fetched when it was tried last, by its name.
    faults: Mutex<HashMap<String, FetchError>>,
    /// Who fetches what, by its name: one at a time.
    fetching: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// What is fetched.
enum Wanted<'a> {
    Image(&'a Image),
    Url(&'a Url),
}

impl Components {
    /// Files and what is built in: nothing is fetched.
    pub fn local() -> Self {
        Self(None)
    }

    /// By `registry`, kept in the folder `dir`.
    pub fn new(registry: Registry, dir: PathBuf) -> Self {
        let opened = OnceLock::new();
        let remote = Remote { registry, dir, opened, faults: Mutex::default(), fetching: Mutex::default() };
        Self(Some(Arc::new(remote)))
    }

    /// The component that `reference` names, as far as it is on this machine; its size and digest are checked.
    ///
    /// # Errors
    /// It is not here, or is not what the reference says.
    pub fn load(&self, reference: &ComponentRef) -> Result<Component, LoadError> {
        let Some(wanted) = Wanted::of(reference) else { return local(reference) };
        let remote = self.remote(reference)?;
        let name = wanted.name();
        let component = match remote.find(&wanted) {
            Some(found) => found.map_err(FetchError::Registry)?,
            None => {
                let fault = remote.faults().get(&name).cloned();
                return Err(fault.map_or_else(|| LoadError::Missing(reference.location.to_string()), LoadError::Fetch));
            }
        };
        component.pinned(reference)
    }

    /// Whether it has to be fetched before it can be loaded.
    pub fn is_missing(&self, reference: &ComponentRef) -> bool {
        Wanted::of(reference).zip(self.0.as_ref()).is_some_and(|(wanted, remote)| remote.find(&wanted).is_none())
    }

    /// Fetches it, unless it is here.
    ///
    /// # Errors
    /// Why it cannot be had, or not be kept.
    pub async fn fetch(&self, reference: &ComponentRef) -> Result<(), FetchError> {
        let Some(wanted) = Wanted::of(reference) else { return Ok(()) };
        let remote = self.remote(reference)?;
        let fetch = async { if remote.find(&wanted).is_some() { Ok(()) } else { remote.fetch(&wanted).await } };
        remote.once(&wanted, fetch).await
    }

    /// Fetches all that is not here, at once as far as it may. What cannot be had is told when it is loaded.
    pub async fn fetch_all<'a>(&self, references: impl Iterator<Item = &'a ComponentRef>) {
        join_all(references.map(|it| self.fetch(it))).await;
    }

    /// Fetches what its tag names now; says whether that is something else than before. What was here before stays until then.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub async fn refresh(&self, reference: &ComponentRef) -> Result<bool, FetchError> {
        let (Some(wanted), Location::Image(image)) = (Wanted::of(reference), &reference.location) else {
            return Ok(false);
        };
        if image.digest().is_some() {
            return Ok(false);
        }
        let remote = self.remote(reference)?;
        let known = remote.named(&wanted.name());
        let fetch = async {
            let now = remote.registry.resolve(image, known).await?;
            if known == Some(now) { Ok(()) } else { remote.image(image, now).await }
        };
        remote.once(&wanted, fetch).await?;
        Ok(remote.named(&wanted.name()) != known)
    }

    /// Forgets what none of these names and nobody used for long.
    pub fn sweep<'a>(&self, used: impl Iterator<Item = &'a ComponentRef>) {
        let Some(remote) = &self.0 else { return };
        let used: BTreeSet<String> = used.filter_map(Wanted::of).map(|it| it.name()).collect();
        if let Some(Err(error)) = remote.here().map(|it| it.sweep(&used, UNUSED)) {
            warn!(%error, "what was fetched and nobody uses stays");
        }
        remote.faults().retain(|name, _| used.contains(name));
        remote.fetching().retain(|name, _| used.contains(name));
    }

    fn remote(&self, reference: &ComponentRef) -> Result<&Arc<Remote>, FetchError> {
        self.0.as_ref().ok_or_else(|| FetchError::Nowhere(reference.location.to_string()))
    }
}

impl<'a> Wanted<'a> {
    fn of(reference: &'a ComponentRef) -> Option<Self> {
        match &reference.location {
            Location::Image(image) => Some(Self::Image(image)),
            Location::Url(url) => Some(Self::Url(url)),
            Location::File(_) | Location::Builtin(_) | Location::Given(_) => None,
        }
    }

    /// As it is kept.
    fn name(&self) -> String {
        match self {
            Self::Image(image) => name_of(image),
            Self::Url(url) => url.to_string(),
        }
    }
}

impl Remote {
    /// What is here of it, if it is whole. What may not be fetched any more is not used any more, either.
    fn find(&self, wanted: &Wanted<'_>) -> Option<Result<Component, RegistryError>> {
        let allowed = match wanted {
            Wanted::Image(image) => self.registry.allows(image),
            Wanted::Url(url) => self.registry.allows_url(url),
        };
        if let Err(error) = allowed {
            return Some(Err(error));
        }
        let name = wanted.name();
        let kept = self.here()?;
        let entry = kept.find(&name)?;
        let Wanted::Image(image) = wanted else {
            return Some(Ok(Component::new(kept.blob(entry.digest, MAX_SIZE)?)));
        };
        let manifest = kept.blob(entry.digest, MAX_MANIFEST)?;
        let manifest = Manifest::read(manifest).map_err(|reason| RegistryError::NotAManifest { name, reason });
        let layer = match manifest.and_then(|it| component_layer(image, &it).cloned()) {
            Ok(layer) => layer,
            Err(error) => return Some(Err(error)),
        };
        let bytes = kept.blob(layer.digest, MAX_SIZE)?;
        Some(Ok(Component { manifest: Some(entry.digest), ..Component::new(bytes) }))
    }

    /// One at a time, and with what came of it.
    async fn once(
        &self,
        wanted: &Wanted<'_>,
        fetch: impl Future<Output = Result<(), FetchError>>,
    ) -> Result<(), FetchError> {
        let name = wanted.name();
        let turn = Arc::clone(self.fetching().entry(name.clone()).or_default());
        let _turn = turn.lock().await;
        let fetched = fetch.await;
        match &fetched {
            Ok(()) => drop(self.faults().remove(&name)),
            Err(error) => drop(self.faults().insert(name, error.clone())),
        }
        fetched
    }

    async fn fetch(&self, wanted: &Wanted<'_>) -> Result<(), FetchError> {
        match wanted {
            Wanted::Image(image) => {
                let digest = self.registry.resolve(image, None).await?;
                self.image(image, digest).await
            }
            Wanted::Url(url) => {
                let bytes = self.registry.url(url, MAX_SIZE).await?;
                let entry = Entry::named(&wanted.name(), WASM, &bytes);
                Ok(self.kept()?.keep([&bytes], [entry])?)
            }
        }
    }

    /// What `image` names, which has this digest.
    async fn image(&self, image: &Image, digest: Digest) -> Result<(), FetchError> {
        let name = name_of(image);
        let at = image.repository();
        let manifest = self.registry.manifest(at, digest).await?;
        let mut blobs = vec![self.blob(image, component_layer(image, &manifest)?, MAX_SIZE).await?];
        // What tells what it is goes along, so that the whole can be moved to another registry.
        if let Content::Image { config, .. } = &manifest.content {
            blobs.push(self.blob(image, config, MAX_MANIFEST).await?);
        }
        let entry = Entry::named(&name, &manifest.media_type, &manifest.bytes);
        blobs.push(manifest.bytes);
        self.kept()?.keep(&blobs, [entry])?;
        info!(image = %name, digest = %format_args!("sha256:{digest}"), "fetched");
        Ok(())
    }

    async fn blob(&self, image: &Image, blob: &Descriptor, max: u64) -> Result<Bytes, RegistryError> {
        match self.here().and_then(|it| it.blob(blob.digest, max)) {
            Some(bytes) => Ok(bytes),
            None => self.registry.blob(image.repository(), blob, max).await,
        }
    }

    /// What is kept, if anything is.
    fn here(&self) -> Option<&Layout> {
        if self.opened.get().is_none() && !self.dir.exists() {
            return None;
        }
        let opened = self.kept();
        opened.inspect_err(|error| warn!(%error, "what was fetched before cannot be used")).ok()
    }

    /// What is kept, to keep more.
    fn kept(&self) -> Result<&Layout, FetchError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let layout = Layout::open(&self.dir)?;
        Ok(self.opened.get_or_init(|| layout))
    }

    /// The digest of what is kept by this name.
    fn named(&self, name: &str) -> Option<Digest> {
        Some(self.here()?.find(name)?.digest)
    }

    fn faults(&self) -> MutexGuard<'_, HashMap<String, FetchError>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetching(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A digest decides; a tag beside it only tells people more.
fn name_of(image: &Image) -> String {
    image.digest().map_or_else(|| image.to_string(), |digest| image.repository().at(digest).to_string())
}

const WASM: &str = "application/wasm";
/// After this time what nobody uses is forgotten.
const UNUSED: Duration = Duration::from_secs(30 * 86_400);
