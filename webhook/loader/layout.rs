//! An image layout of OCI's (image-spec 1.1, `image-layout.md`) in a folder: blobs by their digest, and an index that says what has a
//! name. What was fetched is kept in one, and moves in one to where there is no registry.
//!
//! Whatever is read is compared with its digest: others may have written here, or a disk may have lost something.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::{
    MAX_SIZE,
    file::{self, ReadError},
};
use crate::spec::Digest;

/// A folder of artifacts.
pub struct Layout {
    dir: PathBuf,
    blobs: PathBuf,
}

/// Something with a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What it is: a manifest, an index, or a file as it lay at a URL.
    pub media_type: String,
    /// Of its bytes.
    #[serde(with = "prefixed")]
    pub digest: Digest,
    /// Of its bytes.
    pub size: u64,
    /// What else is said of it, its name included.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    #[serde(default = "index_type")]
    media_type: String,
    manifests: Vec<Entry>,
}

/// Why a folder is not used, or does not take something.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// What it was asked for.
        path: PathBuf,
        /// What it said, part of the message.
        error: io::Error,
    },
    /// It is another kind of folder, or damaged.
    #[error("{} is no image layout: {reason}", path.display())]
    Index {
        /// The file that is wrong.
        path: PathBuf,
        /// How.
        reason: String,
    },
}

impl Entry {
    /// What is called `name`.
    pub fn named(name: &str, media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest(Sha256::digest(bytes).into()),
            size: bytes.len() as u64,
            annotations: [(NAME.to_owned(), name.to_owned())].into(),
        }
    }

    /// What it is called.
    pub fn name(&self) -> Option<&str> {
        self.annotations.get(NAME).map(String::as_str)
    }
}

impl Layout {
    /// Uses `dir`, made if it is missing.
    ///
    /// # Errors
    /// It cannot be made, or is something else.
    pub fn open(dir: &Path) -> Result<Self, LayoutError> {
        let blobs = dir.join("blobs/sha256");
        DirBuilder::new().recursive(true).mode(0o700).create(&blobs).map_err(|error| failed(&blobs, error))?;
        let layout = Self { dir: dir.to_owned(), blobs };
        let head = dir.join(HEAD);
        if !head.exists() {
            let _lock = layout.lock()?;
            // Another may have made it meanwhile, and kept something in it.
            if !head.exists() {
                layout.write_index(Vec::new())?;
                file::write(dir, HEAD, br#"{"imageLayoutVersion":"1.0.0"}"#).map_err(|error| failed(&head, error))?;
            }
        }
        layout.entries().map(|_| layout)
    }

    /// All that has a name.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, LayoutError> {
        let path = self.dir.join(INDEX);
        let bytes = file::read(&path, MAX_INDEX).map_err(|error| match error {
            ReadError::Io(error) => failed(&path, error),
            other => LayoutError::Index { path: path.clone(), reason: other.to_string() },
        })?;
        let index: Result<Index, _> = serde_json::from_slice(&bytes);
        Ok(index.map_err(|error| LayoutError::Index { path, reason: error.to_string() })?.manifests)
    }

    /// What is called `name`, and counts as used now. None: nothing is, or what is called so is lost.
    pub fn find(&self, name: &str) -> Option<Entry> {
        let entries =
            self.entries().inspect_err(|error| warn!(%error, "what was fetched before cannot be found")).ok()?;
        let entry = entries.into_iter().find(|it| it.name() == Some(name))?;
        let blob = File::options().append(true).open(self.path(entry.digest)).ok()?;
        // A system that does not take the time forgets what it need not.
        let _ = blob.set_modified(SystemTime::now());
        Some(entry)
    }

    /// The bytes of this digest, at most `max`. None: they are not here, or not whole.
    pub fn blob(&self, digest: Digest, max: u64) -> Option<Bytes> {
        let path = self.path(digest);
        match file::read(&path, max) {
            Ok(bytes) if Digest(Sha256::digest(&bytes).into()) == digest => Some(bytes.into()),
            Ok(_) => {
                warn!(file = %path.display(), "what was fetched before is damaged, and is fetched again");
                let _ = fs::remove_file(&path);
                None
            }
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!(file = %path.display(), %error, "what was fetched before cannot be read");
                None
            }
        }
    }

    /// All that an entry is made of.
    ///
    /// # Errors
    /// Some of it is not here, or not whole.
    pub fn blobs_of(&self, entry: &Entry) -> Result<Vec<Bytes>, LayoutError> {
        let all = self.needed(std::slice::from_ref(entry)).into_iter();
        all.map(|digest| {
            let reason = || format!("a part of {} is missing: sha256:{digest}", entry.name().unwrap_or("it"));
            self.blob(digest, MAX_SIZE).ok_or_else(|| LayoutError::Index { path: self.dir.clone(), reason: reason() })
        })
        .collect()
    }

    /// Keeps these blobs, and what has a name among them; of each name only the last.
    ///
    /// # Errors
    /// The system does not take it. Then the names mean what they did before.
    pub fn keep<'a>(
        &self,
        blobs: impl IntoIterator<Item = &'a Bytes>,
        named: impl IntoIterator<Item = Entry>,
    ) -> Result<(), LayoutError> {
        let _lock = self.lock()?;
        for blob in blobs {
            let path = self.path(Digest(Sha256::digest(blob).into()));
            let is_there = fs::metadata(&path).is_ok_and(|it| it.len() == blob.len() as u64);
            let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
            if !is_there {
                file::write(&self.blobs, name, blob).map_err(|error| failed(&path, error))?;
            }
        }
        let mut entries = self.entries()?;
        for entry in named {
            entries.retain(|it| it.name() != entry.name());
            entries.push(entry);
        }
        self.write_index(entries)
    }

    /// Forgets what nobody asked for so long, but for what has one of these names; and blobs that belong to nothing.
    ///
    /// # Errors
    /// The system's. What stays although it could go costs room and nothing else.
    pub fn sweep(&self, used: &BTreeSet<String>, unused: Duration) -> Result<(), LayoutError> {
        let _lock = self.lock()?;
        let now = SystemTime::now();
        let is_fresh = |entry: &Entry| {
            let modified = fs::metadata(self.path(entry.digest)).and_then(|it| it.modified());
            modified.is_ok_and(|at| now.duration_since(at).unwrap_or_default() < unused)
        };
        let before = self.entries()?;
        let is_kept = |it: &&Entry| it.name().is_some_and(|name| used.contains(name)) || is_fresh(it);
        let entries: Vec<Entry> = before.iter().filter(is_kept).cloned().collect();
        if entries.len() != before.len() {
            self.write_index(entries.clone())?;
        }
        let needed = self.needed(&entries);
        for file in fs::read_dir(&self.blobs).map_err(|error| failed(&self.blobs, error))?.flatten() {
            let name = file.file_name();
            let digest = name.to_str().and_then(|it| it.parse::<Digest>().ok());
            if digest.is_none_or(|it| !needed.contains(&it)) {
                let _ = fs::remove_file(file.path());
            }
        }
        Ok(())
    }

    /// What entries are made of: whatever their manifests, and the manifests in their indexes, name.
    fn needed(&self, entries: &[Entry]) -> BTreeSet<Digest> {
        let mut needed = BTreeSet::new();
        let mut left: Vec<Digest> = entries.iter().map(|it| it.digest).collect();
        while let Some(digest) = left.pop() {
            if needed.insert(digest)
                && let Some(bytes) = self.blob(digest, MAX_MANIFEST)
            {
                left.extend(named_in(&bytes));
            }
        }
        needed
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.blobs.join(digest.to_string())
    }

    fn write_index(&self, manifests: Vec<Entry>) -> Result<(), LayoutError> {
        let index = Index { schema_version: 2, media_type: index_type(), manifests };
        let path = self.dir.join(INDEX);
        let bytes = serde_json::to_vec(&index).map_err(|error| failed(&path, error.into()))?;
        file::write(&self.dir, INDEX, &bytes).map_err(|error| failed(&path, error))
    }

    /// Other processes may use the same folder.
    fn lock(&self) -> Result<File, LayoutError> {
        let path = self.dir.join(LOCK);
        let lock = File::options().create(true).append(true).open(&path).map_err(|error| failed(&path, error))?;
        lock.lock().map_err(|error| failed(&path, error))?;
        Ok(lock)
    }
}

fn failed(path: &Path, error: io::Error) -> LayoutError {
    LayoutError::Io { path: path.to_owned(), error }
}

/// Digests that a manifest or an index names; none where it is neither.
fn named_in(bytes: &[u8]) -> Vec<Digest> {
    #[derive(Deserialize)]
    struct Part {
        digest: String,
    }
    #[derive(Deserialize)]
    struct Parts {
        config: Option<Part>,
        #[serde(default)]
        layers: Vec<Part>,
        #[serde(default)]
        manifests: Vec<Part>,
    }
    let parts: Result<Parts, _> = serde_json::from_slice(bytes);
    let all = parts.into_iter().flat_map(|it| it.config.into_iter().chain(it.layers).chain(it.manifests));
    // By other digests nothing is kept.
    all.filter_map(|it| it.digest.strip_prefix("sha256:")?.parse().ok()).collect()
}

fn index_type() -> String {
    INDEX_TYPE.to_owned()
}

/// `sha256:` and its digits.
mod prefixed {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use crate::spec::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("sha256:{digest}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digest = text.strip_prefix("sha256:").and_then(|it| it.parse().ok());
        digest.ok_or_else(|| D::Error::custom("expected sha256: and 64 hex digits in lower case"))
    }
}

const HEAD: &str = "oci-layout";
const INDEX: &str = "index.json";
const LOCK: &str = ".lock";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// The annotation that tools look for.
const NAME: &str = "org.opencontainers.image.ref.name";
/// Bytes of the index.
const MAX_INDEX: u64 = 16 << 20;
/// Bytes of what may name other blobs.
const MAX_MANIFEST: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(layer: &Bytes) -> Bytes {
        let digest = Digest(Sha256::digest(layer).into());
        let json = serde_json::json!({"schemaVersion": 2, "layers": [{"mediaType": "application/wasm", "digest": format!("sha256:{digest}"), "size": layer.len()}]});
        json.to_string().into()
    }

    #[test]
    fn what_is_kept_is_found_by_its_name_and_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::open(folder.path()).unwrap();
        let (one, other) = (Bytes::from_static(b"one"), Bytes::from_static(b"other"));
        let entry = Entry::named("r.example/a:1", "application/wasm", &one);
        layout.keep([&one], [entry.clone()]).unwrap();
        let again = Layout::open(folder.path()).unwrap();
        assert_eq!(again.find("r.example/a:1"), Some(entry.clone()));
        assert_eq!(again.blob(entry.digest, 3), Some(one));
        assert_eq!((again.blob(entry.digest, 2), again.find("r.example/a:2")), (None, None));
        // The tag moved.
        let moved = Entry::named("r.example/a:1", "application/wasm", &other);
        again.keep([&other], [moved.clone()]).unwrap();
        assert_eq!((layout.find("r.example/a:1"), layout.entries().unwrap().len()), (Some(moved), 1));
    }

    #[test]
    fn what_is_damaged_is_as_if_it_were_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::open(folder.path()).unwrap();
        let bytes = Bytes::from_static(b"one");
        let entry = Entry::named("r.example/a:1", "application/wasm", &bytes);
        layout.keep([&bytes], [entry.clone()]).unwrap();
        fs::write(layout.path(entry.digest), "two").unwrap();
        assert_eq!(layout.blob(entry.digest, 100), None);
        assert_eq!(layout.find("r.example/a:1"), None);
        layout.keep([&bytes], []).unwrap();
        assert_eq!(layout.blob(entry.digest, 100), Some(bytes));
        fs::write(folder.path().join(INDEX), "{").unwrap();
        assert!(layout.find("r.example/a:1").is_none());
        let error = Layout::open(folder.path()).err().unwrap().to_string();
        assert!(error.contains("index.json is no image layout: EOF"), "{error}");
    }

    #[test]
    fn only_what_nobody_used_for_long_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::open(folder.path()).unwrap();
        let layers = ["old", "declared", "fresh"].map(|it| Bytes::from_static(it.as_bytes()));
        let manifests = layers.each_ref().map(manifest);
        for (name, (layer, manifest)) in ["old", "declared", "fresh"].iter().zip(layers.iter().zip(&manifests)) {
            let entry =
                Entry::named(&format!("r.example/{name}:1"), "application/vnd.oci.image.manifest.v1+json", manifest);
            layout.keep([layer, manifest], [entry.clone()]).unwrap();
            let long_ago = SystemTime::now() - Duration::from_secs(1000);
            File::options().append(true).open(layout.path(entry.digest)).unwrap().set_modified(long_ago).unwrap();
        }
        layout.find("r.example/fresh:1").unwrap();
        layout.sweep(&["r.example/declared:1".to_owned()].into(), Duration::from_secs(500)).unwrap();
        assert!(layout.find("r.example/old:1").is_none());
        let is_there = |bytes: &Bytes| layout.blob(Digest(Sha256::digest(bytes).into()), 1000).is_some();
        assert_eq!(layers.each_ref().map(is_there), [false, true, true]);
        assert_eq!(manifests.each_ref().map(is_there), [false, true, true]);
    }
}
