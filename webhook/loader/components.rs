//! Where components are had from. What has to be fetched is fetched beforehand, kept on disk, and read from there: to load never asks
//! anybody, so that a registry that is slow or away holds up nothing, and what was fetched once is there at the next start.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tracing::warn;

use super::{
    Component, FetchError, LoadError, VERIFICATION_CONFIG, local,
    registry::Registry,
    remote::{Remote, Required, Wanted, key, name_of},
    signatures::{self, Signatures},
};
use crate::{
    signature::requirement::Requirement,
    spec::{ComponentRef, Image, Location, declared::Verification},
};

/// Finds components. Clones share everything.
#[derive(Clone)]
pub struct Components {
    remote: Option<Arc<Remote>>,
    /// Who must have signed everything that is not built in.
    required: Option<Arc<Requirement>>,
}

impl Components {
    /// Files and what is built in: nothing is fetched.
    pub fn local() -> Self {
        Self { remote: None, required: None }
    }

    /// By `registry`, kept in the folder `dir`.
    pub fn new(registry: Registry, dir: PathBuf) -> Self {
        Self { remote: Some(Arc::new(Remote::new(registry, dir))), required: None }
    }

    /// The same, but that `required` must have signed everything that is not built in. None: nobody must.
    pub fn requiring(self, required: Option<Requirement>) -> Self {
        Self { required: required.map(Arc::new), ..self }
    }

    /// Whether the operator said from where may be fetched: else nobody but the operator should say what is fetched.
    pub fn are_limited(&self) -> bool {
        self.remote.as_ref().is_some_and(|it| it.registry.is_limited())
    }

    /// The component that `reference` names, as far as it is on this machine; its signatures, size and digest are checked.
    ///
    /// # Errors
    /// It is not here, or is not what the reference says.
    pub fn load(&self, reference: &ComponentRef) -> Result<Component, LoadError> {
        let required = self.required(reference)?;
        let Some(wanted) = Wanted::of(reference) else { return local(reference) };
        let remote = self.remote(reference)?;
        match remote.find(&wanted, &required) {
            Some(Ok(component)) => component.pinned(reference),
            // Whoever looked for it last knows more.
            None | Some(Err(FetchError::Unverified { .. })) => {
                let fault = remote.faults.of(&key(reference));
                Err(fault.map_or_else(|| LoadError::Missing(reference.location.to_string()), LoadError::Fetch))
            }
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// Whether it, or a signature of it, has to be fetched before it can be loaded.
    pub fn is_missing(&self, reference: &ComponentRef) -> bool {
        let (Ok(required), Some(wanted), Some(remote)) =
            (self.required(reference), Wanted::of(reference), self.remote.as_ref())
        else {
            return false;
        };
        matches!(remote.find(&wanted, &required), None | Some(Err(FetchError::Unverified { .. })))
    }

    /// Fetches it, unless it is here, or whoever has it wants to be left alone; of an image whose signatures are required, these first.
    ///
    /// # Errors
    /// Why it cannot be had, or not be kept.
    pub async fn fetch(&self, reference: &ComponentRef) -> Result<(), FetchError> {
        let required = self.required(reference)?;
        let Some(wanted) = Wanted::of(reference) else { return Ok(()) };
        let remote = self.remote(reference)?;
        let fetch = async {
            let found = self.found(reference).await;
            if let (None | Some(Err(FetchError::Unverified { .. })), Some(error)) =
                (&found, remote.faults.resting(&key(reference)))
            {
                return Err(error);
            }
            match found {
                None => remote.fetch(&wanted, &required, None).await,
                Some(Err(FetchError::Unverified { .. })) => {
                    // A tag is what it was when it was fetched; whoever signed that may have done so since.
                    let known = remote.named(&wanted.name());
                    remote.fetch(&wanted, &required, known).await
                }
                // What else is wrong is told when it is loaded.
                Some(_) => Ok(()),
            }
        };
        remote.once(reference, &wanted, fetch).await
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
        let required = self.required(reference)?;
        let remote = self.remote(reference)?;
        let known = remote.named(&wanted.name());
        let fetch = async {
            let now = remote.registry.resolve(image, known).await?;
            if known == Some(now) { Ok(()) } else { remote.image(image, now, &required).await }
        };
        remote.once(reference, &wanted, fetch).await?;
        Ok(remote.named(&wanted.name()) != known)
    }

    /// Keeps what signatures there are of an image that is here, whether anybody requires them or not; says how many there are.
    ///
    /// # Errors
    /// They cannot be had, or not be kept.
    pub async fn keep_signatures(&self, image: &Image) -> Result<usize, FetchError> {
        let remote = self.remote(&ComponentRef::new(Location::Image(image.clone())))?;
        let Some(digest) = remote.named(&name_of(image)) else { return Ok(0) };
        let fetched = Signatures::fetch(&remote.registry, image.repository(), digest).await?;
        remote.kept()?.keep(&fetched.blobs, fetched.entries)?;
        Ok(fetched.found.signatures().len())
    }

    /// Forgets what none of these names and nobody used for long.
    pub fn sweep<'a>(&self, used: impl Iterator<Item = &'a ComponentRef>) {
        let Some(remote) = &self.remote else { return };
        let used: Vec<(String, Wanted<'_>)> = used.filter_map(|it| Some((key(it), Wanted::of(it)?))).collect();
        let (keys, names): (BTreeSet<String>, BTreeSet<String>) =
            used.iter().map(|(key, wanted)| (key.clone(), wanted.name())).unzip();
        let signatures = used.iter().filter_map(|(_, wanted)| match wanted {
            Wanted::Image(image) => Some(signatures::names(image.repository(), remote.named(&wanted.name())?)),
            Wanted::Url(_) => None,
        });
        let all = names.iter().cloned().chain(signatures.flatten()).collect();
        if let Some(Err(error)) = remote.here().map(|it| it.sweep(&all, UNUSED)) {
            warn!(%error, "what was fetched and nobody uses stays");
        }
        remote.faults.retain(&keys);
        remote.fetching().retain(|name, _| names.contains(name));
    }

    fn remote(&self, reference: &ComponentRef) -> Result<&Arc<Remote>, FetchError> {
        self.remote.as_ref().ok_or_else(|| FetchError::Nowhere(reference.location.to_string()))
    }

    /// Who must have signed it.
    fn required(&self, reference: &ComponentRef) -> Result<Required, FetchError> {
        let mut all = Required::new();
        if let (Some(required), false) = (&self.required, matches!(reference.location, Location::Builtin(_))) {
            all.push((VERIFICATION_CONFIG, Requirement::clone(required)));
        }
        if let Some(verify) = &reference.verify {
            let wrong = |_| FetchError::Unsignable(reference.location.to_string());
            all.push(("verify", Requirement::read(Verification::clone(verify)).map_err(wrong)?));
        }
        match &reference.location {
            Location::Image(_) => Ok(all),
            _ if all.is_empty() => Ok(all),
            other => Err(FetchError::Unsignable(other.to_string())),
        }
    }

    /// As [`Remote::find`], not on the caller's thread: it may be large, and signatures take time.
    async fn found(&self, reference: &ComponentRef) -> Option<Result<(), FetchError>> {
        let (this, reference) = (self.clone(), reference.clone());
        let find = move || {
            let required = this.required(&reference).ok()?;
            let found = this.remote.as_ref()?.find(&Wanted::of(&reference)?, &required)?;
            Some(found.map(drop))
        };
        // It never panics, and is not there if it does.
        tokio::task::spawn_blocking(find).await.ok().flatten()
    }
}

/// After this time what nobody uses is forgotten.
const UNUSED: Duration = Duration::from_secs(30 * 86_400);
