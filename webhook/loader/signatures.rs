//! Signatures of images: looked for in a registry, and kept beside what they sign, so that they are there when there is no registry.
//!
//! In a layout they lie as they do in registries without a list of referrers: cosign's first format at the tag that it has anywhere, and
//! its second in an index at the tag of OCI's distribution spec, from where other tools move them.

use std::collections::HashMap;

use bytes::Bytes;

use super::{
    layout::{Entry, Layout},
    registry::{Content, Manifest, Registry, RegistryError},
};
use crate::{
    signature::{
        Found, MAX_SIZE, MOST, Unreadable,
        artifact::{self, Layer},
    },
    spec::{Digest, Image, Repository},
};

/// What was found of one image.
#[derive(Default)]
pub(super) struct Signatures {
    /// To be compared with what is required.
    pub(super) found: Found,
    /// What must be kept to find it again.
    pub(super) blobs: Vec<Bytes>,
    /// By which names.
    pub(super) entries: Vec<Entry>,
}

impl Signatures {
    /// What a registry has of the image of this digest. Only whole artifacts of signatures count, since only those can be kept.
    ///
    /// # Errors
    /// It is not to be known.
    pub(super) async fn fetch(registry: &Registry, at: &Repository, of: Digest) -> Result<Self, RegistryError> {
        let mut all = Self::default();
        let [tagged, referring] = names(at, of);
        if let Ok(image) = at.tagged(&artifact::tag(of))
            && let Some(manifest) = registry.find(&image).await?
            && all.add(registry, at, &manifest).await?
        {
            all.entries.push(Entry::named(&tagged, &manifest.media_type, &manifest.bytes));
        }
        let mut listed = Vec::new();
        // Of any type: registries differ in what they say of it.
        for descriptor in registry.referrers(at, of, None).await? {
            if all.found.is_full() {
                break;
            }
            let Some(manifest) = registry.find(&at.at(descriptor.digest)).await? else { continue };
            if all.add(registry, at, &manifest).await? {
                listed.push(manifest.descriptor());
            }
        }
        if !listed.is_empty() {
            let unwritten = |reason| RegistryError::NotAManifest { name: referring.clone(), reason };
            let index = Manifest::index(&listed).map_err(unwritten)?;
            all.entries.push(Entry::named(&referring, &index.media_type, &index.bytes));
            all.blobs.push(index.bytes);
        }
        Ok(all)
    }

    /// What is kept of the image of this digest.
    pub(super) fn kept(layout: &Layout, at: &Repository, of: Digest) -> Found {
        let mut found = Found::default();
        let [tagged, referring] = names(at, of);
        let blob = |digest| layout.blob(digest, MAX_SIZE as u64);
        let named = |name: &str| blob(layout.find(name)?.digest);
        let index = named(&referring).and_then(|it| Manifest::read(it).ok());
        let listed = match index.map(|it| it.content) {
            Some(Content::Index(listed)) => listed,
            _ => Vec::new(),
        };
        for manifest in named(&tagged).into_iter().chain(listed.iter().filter_map(|it| blob(it.digest))) {
            match artifact::layers(&manifest) {
                Ok(layers) => read(&layers, blob, &mut found),
                Err(why) => found.add(Err(why)),
            }
        }
        found
    }

    /// Whether it is an artifact of signatures, and whole.
    async fn add(&mut self, registry: &Registry, at: &Repository, manifest: &Manifest) -> Result<bool, RegistryError> {
        let layers = match artifact::layers(&manifest.bytes) {
            Ok(layers) => layers,
            Err(why) => {
                self.found.add(Err(why));
                return Ok(false);
            }
        };
        let Content::Image { config, layers: parts } = &manifest.content else { return Ok(false) };
        if layers.is_empty() {
            return Ok(false);
        }
        if parts.len() > MOST || parts.iter().chain([config]).any(|it| it.size > MAX_SIZE as u64) {
            self.found.add(Err(Unreadable::Large));
            return Ok(false);
        }
        let mut blobs = HashMap::new();
        for part in parts.iter().chain([config]) {
            match registry.blob(at, part, MAX_SIZE as u64).await {
                Ok(bytes) => blobs.insert(part.digest, bytes),
                Err(RegistryError::NotFound { .. }) => {
                    self.found.add(Err(Unreadable::Malformed("a part of it is missing")));
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
        }
        read(&layers, |digest| blobs.get(&digest).cloned(), &mut self.found);
        self.blobs.extend(blobs.into_values());
        self.blobs.push(manifest.bytes.clone());
        Ok(true)
    }
}

fn read(layers: &[Layer], blob: impl Fn(Digest) -> Option<Bytes>, found: &mut Found) {
    for layer in layers {
        let missing = Unreadable::Malformed("a part of it is missing");
        found.add(blob(layer.digest).ok_or(missing).and_then(|it| layer.read(it.into())));
    }
}

/// The digest that `image` has now, and what signatures there are of it.
///
/// # Errors
/// They are not to be known.
pub async fn signatures_of(registry: &Registry, image: &Image) -> Result<(Digest, Found), RegistryError> {
    let digest = registry.resolve(image, None).await?;
    Ok((digest, Signatures::fetch(registry, image.repository(), digest).await?.found))
}

/// What its signatures are called, in either format, wherever they are kept.
pub(super) fn names(at: &Repository, of: Digest) -> [String; 2] {
    [format!("{at}:{}", artifact::tag(of)), format!("{at}:sha256-{of}")]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        loader::{
            Components, LoadError,
            registry::{Artifact, Config},
        },
        signature::{
            Claim,
            artifact::Wrapped,
            bundle,
            private::{KeyPair, PrivateKey},
            requirement::Requirement,
            simple::Simple,
        },
        spec::{ComponentRef, Location},
    };

    /// What is kept may be changed by whoever can write there: it is verified each time.
    #[test]
    fn what_is_kept_counts_as_long_as_its_signatures_are_there_and_true() {
        let pair = KeyPair::generate().unwrap();
        let key = PrivateKey::from_pem(&pair.private).unwrap();
        for is_bundle in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let layout = Layout::open(folder.path()).unwrap();
            let image: Image = "r.example/team/labels:1".parse().unwrap();
            let artifact =
                Artifact { bytes: Bytes::from_static(b"\0asm"), interfaces: None, annotations: BTreeMap::new() };
            let packed = artifact.pack().unwrap();
            let of = packed.manifest.digest;
            let entry = Entry::named(&image.to_string(), &packed.manifest.media_type, &packed.manifest.bytes);
            layout.keep([&packed.layer, &packed.config, &packed.manifest.bytes], [entry]).unwrap();
            let required = || Requirement::by(vec![pair.public.clone()], &BTreeMap::new());
            let registry = || Registry::new(Config::default()).unwrap();
            let load = || {
                let components = Components::new(registry(), folder.path().to_owned()).requiring(required());
                components.load(&ComponentRef::new(Location::Image(image.clone())))
            };
            assert!(matches!(load(), Err(LoadError::Missing(_))));

            let claim = Claim { digest: of, annotations: BTreeMap::new() };
            let [tagged, referring] = names(image.repository(), of);
            let descriptor = packed.manifest.descriptor();
            let subject = artifact::Descriptor { media_type: descriptor.media_type, digest: of, size: descriptor.size };
            let Wrapped { blobs, manifest } = match is_bundle {
                true => artifact::referring(&subject, bundle::sign(&key, &claim).unwrap()),
                false => artifact::tagged(&[Simple::sign(&key, &claim, "r").unwrap()], None).unwrap(),
            };
            let manifest = Manifest::read(manifest.into()).unwrap();
            let mut all: Vec<Bytes> = blobs.iter().map(|it| it.bytes.clone().into()).collect();
            all.push(manifest.bytes.clone());
            let entry = match is_bundle {
                true => {
                    let index = Manifest::index(&[manifest.descriptor()]).unwrap();
                    all.push(index.bytes.clone());
                    Entry::named(&referring, &index.media_type, &index.bytes)
                }
                false => Entry::named(&tagged, &manifest.media_type, &manifest.bytes),
            };
            layout.keep(&all, [entry]).unwrap();
            assert_eq!(load().unwrap().manifest, Some(of), "{is_bundle}");

            // The signature, then what it signs.
            let path = |digest: Digest| folder.path().join("blobs/sha256").join(digest.to_string());
            let signature = path(blobs[0].digest);
            let kept = std::fs::read(&signature).unwrap();
            std::fs::write(&signature, vec![b'x'; kept.len()]).unwrap();
            assert!(matches!(load(), Err(LoadError::Missing(_))));
            std::fs::write(&signature, &kept).unwrap();
            assert!(load().is_ok());
            let other = Artifact { bytes: Bytes::from_static(b"\0asm other"), ..artifact }.pack().unwrap();
            let entry = Entry::named(&image.to_string(), &other.manifest.media_type, &other.manifest.bytes);
            layout.keep([&other.layer, &other.config, &other.manifest.bytes], [entry]).unwrap();
            assert!(matches!(load(), Err(LoadError::Missing(_))));
        }
    }
}
