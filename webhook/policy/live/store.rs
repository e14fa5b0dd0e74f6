//! What was registered, on disk, so that it survives a restart: a folder for this user alone, in which each entry appears whole or not at
//! all and is checked when it is read.
//!
//! `objects/KIND.NAME` holds a line with the SHA-256 of the rest, and the object as it came; `components/SHA256` a component.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::registered::Key;
use crate::{
    loader::{self, file},
    spec::{Digest, Given, Kind},
};

/// A folder of registered objects.
pub struct Store {
    objects: PathBuf,
    components: PathBuf,
    /// The folder itself, held by this process for as long as it lives.
    _lock: File,
}

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// What it was asked for.
        path: PathBuf,
        /// What it said, part of the message.
        error: io::Error,
    },
    /// It holds secrets and code that would run.
    #[error("{} is not of this user alone: give it to this user, with chmod 700", .0.display())]
    Shared(PathBuf),
    /// Two servers would change each other's entries.
    #[error("{} is in use by another server: give each a folder of its own", .0.display())]
    Used(PathBuf),
}

/// An entry as it is found.
pub(super) struct Found {
    pub(super) key: Key,
    /// The object as it came, or why it cannot be known any more.
    pub(super) text: Result<String, String>,
}

impl Store {
    /// Uses `dir`, made if it is missing.
    ///
    /// # Errors
    /// It cannot be made or read, others can read or write it, or another process uses it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let io = |path: &Path, error| StoreError::Io { path: path.to_owned(), error };
        let (objects, components) = (dir.join("objects"), dir.join("components"));
        for folder in [dir, &objects, &components] {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| io(folder, error))?;
            let metadata = fs::metadata(folder).map_err(|error| io(folder, error))?;
            let own = metadata.uid() == rustix::process::geteuid().as_raw();
            if !own || metadata.mode() & 0o077 != 0 {
                return Err(StoreError::Shared(folder.to_owned()));
            }
        }
        let lock = File::open(dir).map_err(|error| io(dir, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { objects, components, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Used(dir.to_owned())),
            Err(TryLockError::Error(error)) => Err(io(dir, error)),
        }
    }

    /// All entries. What is no entry is said and left alone, but for what a write left that never ended.
    pub(super) fn entries(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.objects)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|it| it.to_str()).unwrap_or_default();
            if file::is_unfinished(name) {
                let _ = fs::remove_file(&path);
                continue;
            }
            let key = name.split_once('.').and_then(|(kind, name)| {
                let kind = Kind::ALL.into_iter().find(|it| it.singular() == kind)?;
                is_name(name).then(|| (kind, name.to_owned()))
            });
            match key {
                Some(key) => found.push(Found { key, text: read(&path) }),
                None => warn!(file = %path.display(), "the state folder holds a file that is no entry"),
            }
        }
        found.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(found)
    }

    /// A component, if it is there and whole.
    pub(super) fn component(&self, digest: Digest) -> Option<Given> {
        let path = self.components.join(digest.to_string());
        match file::read(&path, loader::MAX_SIZE) {
            Ok(bytes) => {
                let given = Given::new(Bytes::from(bytes));
                let whole = given.digest() == digest;
                if !whole {
                    warn!(file = %path.display(), "a component of the state folder is damaged");
                }
                whole.then_some(given)
            }
            Err(error) => {
                warn!(file = %path.display(), %error, "a component of the state folder cannot be read");
                None
            }
        }
    }

    /// Keeps an object and those of its components that are not kept yet. `before` is what is kept of it now.
    ///
    /// # Errors
    /// The system does not take it; then what was there before is there still.
    pub(super) fn put(&self, key: &Key, text: &str, before: Option<&str>, components: &[&Given]) -> io::Result<()> {
        for component in components {
            file::write(&self.components, &component.digest().to_string(), component.bytes())?;
        }
        let written = file::write(&self.objects, &file_name(key), &entry(text));
        if written.is_err() {
            // It may be there all the same, and only not yet for certain.
            match before {
                Some(before) => drop(file::write(&self.objects, &file_name(key), &entry(before))),
                None => drop(fs::remove_file(self.objects.join(file_name(key)))),
            }
        }
        written
    }

    /// Keeps an object no longer. `before` is what is kept of it now.
    ///
    /// # Errors
    /// The system does not take it away; then it is there still.
    pub(super) fn delete(&self, key: &Key, before: Option<&str>) -> io::Result<()> {
        match fs::remove_file(self.objects.join(file_name(key))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let synced = File::open(&self.objects).and_then(|it| it.sync_all());
        if let (Err(_), Some(before)) = (&synced, before) {
            drop(file::write(&self.objects, &file_name(key), &entry(before)));
        }
        synced
    }

    /// Takes away components that nobody needs any more. What stays although it could go costs room and nothing else.
    pub(super) fn sweep(&self, used: &BTreeSet<Digest>) {
        let used: BTreeSet<String> = used.iter().map(ToString::to_string).collect();
        for entry in fs::read_dir(&self.components).into_iter().flatten().flatten() {
            if !entry.file_name().to_str().is_some_and(|it| used.contains(it)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// What could be the name of an object, and is no path.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(plain)
}

fn file_name((kind, name): &Key) -> String {
    format!("{}.{name}", kind.singular())
}

fn entry(text: &str) -> Vec<u8> {
    format!("{HEAD}{}\n{text}", Digest(Sha256::digest(text).into())).into_bytes()
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = file::read(path, MAX_ENTRY).map_err(|error| format!("{}: {error}", path.display()))?;
    let damaged = || format!("{} is damaged: register the object again, or delete it", path.display());
    let all = String::from_utf8(bytes).map_err(|_| damaged())?;
    let (head, text) = all.split_once('\n').ok_or_else(damaged)?;
    let digest: Digest = head.strip_prefix(HEAD).and_then(|it| it.parse().ok()).ok_or_else(damaged)?;
    if Digest(Sha256::digest(text).into()) != digest {
        return Err(damaged());
    }
    Ok(text.to_owned())
}

const HEAD: &str = "verdict registered 1 sha256:";
/// Bytes of one entry: more than of any object that is taken.
const MAX_ENTRY: u64 = 2 << 20;
