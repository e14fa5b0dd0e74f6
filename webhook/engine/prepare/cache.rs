//! Prepared code on disk, so that a start takes milliseconds: one file per key, mapped, shared by processes.
//!
//! Mapped code is trusted, so only folders and files that nobody but this user and root can write are used. Snapshots
//! hold settings and secrets, so entries are for this user's eyes. Whatever is wrong with an entry makes it a miss.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Serialize, de::DeserializeOwned};
use tracing::{debug, warn};
use wasmtime::{Engine, component::Component};

use super::code;
use crate::{engine::run::program::Code, spec::Digest};

/// A folder of prepared code.
pub struct Cache {
    dir: PathBuf,
    max: u64,
}

/// Why a folder is not used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said, part of the message.
        error: io::Error,
    },
    /// Compiled code in it would be run, and others could have put it there.
    #[error("{} can be written by other users than this one and root: compiled code is not kept there", path.display())]
    Shared {
        /// The folder.
        path: PathBuf,
    },
}

impl Cache {
    /// Uses `dir`, made if it is missing, for at most `max` bytes.
    ///
    /// # Errors
    /// It cannot be made or read, or others could write to it.
    pub fn open(dir: &Path, max: u64) -> Result<Self, CacheError> {
        let io = |error| CacheError::Io { path: dir.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)?;
        let dir = dir.canonicalize().map_err(io)?;
        for (depth, folder) in dir.ancestors().enumerate() {
            let metadata = fs::symlink_metadata(folder).map_err(io)?;
            // In a sticky folder such as /tmp others cannot replace what is ours, but could add to it.
            let sticky = depth > 0 && metadata.mode() & 0o1000 != 0;
            let trusted = is_trusted(&metadata) || sticky && owned(&metadata);
            if !trusted {
                return Err(CacheError::Shared { path: folder.to_owned() });
            }
        }
        Ok(Self { dir, max })
    }

    /// The entry of `key`, mapped; marks it as used.
    pub(super) fn find<T: DeserializeOwned>(&self, engine: &Engine, key: &Digest) -> Option<(T, Code)> {
        find(engine, &self.path(key))
    }

    /// Writes an entry, and gives it back mapped. None: the folder does not take it; the code still works from memory.
    pub(super) fn keep<T: Serialize + DeserializeOwned>(
        &self,
        engine: &Engine,
        key: &Digest,
        about: &T,
        code: &[u8],
    ) -> Option<Code> {
        let path = self.path(key);
        let kept = self.write(&path, about, code).and_then(|()| open::<T>(&path, engine));
        match kept {
            Ok((_, code)) => {
                if let Err(error) = self.sweep(&path) {
                    debug!(%error, "the code cache was not swept");
                }
                Some(code)
            }
            Err(error) => {
                warn!(entry = %path.display(), %error, "the code cache does not take an entry: the next start compiles it again");
                None
            }
        }
    }

    /// Writes an entry that tells nothing of itself, for a child. Where the folder does not take it, the child works without.
    pub(super) fn put(&self, key: &Digest, code: &[u8]) {
        let path = self.path(key);
        if let Err(error) = self.write(&path, &(), code).and_then(|()| self.sweep(&path)) {
            debug!(entry = %path.display(), %error, "the code cache does not take an entry");
        }
    }

    /// The entry appears whole or not at all, whoever else writes it at the same time.
    fn write<T: Serialize>(&self, path: &Path, about: &T, code: &[u8]) -> io::Result<()> {
        let about = serde_json::to_vec(about)?;
        let temporary = self.dir.join(format!("{:016x}{TEMPORARY}", rand::random::<u64>()));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
            file.write_all(code)?;
            file.write_all(&about)?;
            file.write_all(&Trailer::new(code, &about).bytes())?;
            fs::rename(&temporary, path)
        })();
        if written.is_err() {
            // It may not even be there.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes what was not used for longest, until the rest fits; never `fresh`. Whoever maps a file keeps it.
    fn sweep(&self, fresh: &Path) -> io::Result<()> {
        let mut entries = Vec::new();
        let mut total = 0;
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            // Another process may have removed it meanwhile.
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let used = metadata.modified()?;
            let is = |suffix: &str| path.to_str().is_some_and(|it| it.ends_with(suffix));
            if is(TEMPORARY) && used.elapsed().is_ok_and(|age| age > ABANDONED) {
                // Left behind by a process that was killed.
                let _ = fs::remove_file(&path);
            } else if is(SUFFIX) {
                total += metadata.len();
                entries.push((used, metadata.len(), path));
            }
        }
        entries.sort();
        for (_, size, path) in entries {
            if total <= self.max {
                break;
            }
            if path != fresh {
                fs::remove_file(&path)?;
                total -= size;
            }
        }
        Ok(())
    }

    /// Where the entry of `key` is, or will be.
    pub(super) fn path(&self, key: &Digest) -> PathBuf {
        self.dir.join(format!("{key}{SUFFIX}"))
    }
}

/// The component of an entry that tells nothing of itself; None: there is none.
pub(super) fn component(engine: &Engine, path: &Path) -> Option<Component> {
    match find::<()>(engine, path)? {
        ((), Code::Component(component)) => Some(component),
        _ => None,
    }
}

fn find<T: DeserializeOwned>(engine: &Engine, path: &Path) -> Option<(T, Code)> {
    match open(path, engine) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            warn!(entry = %path.display(), %error, "an entry of the code cache cannot be used, and is made again");
            None
        }
    }
}

fn open<T: DeserializeOwned>(path: &Path, engine: &Engine) -> io::Result<(T, Code)> {
    let metadata = fs::symlink_metadata(path)?;
    let wrong = |words: &str| io::Error::new(io::ErrorKind::InvalidData, words);
    if !metadata.is_file() || !is_trusted(&metadata) {
        return Err(wrong("it is not a regular file that only this user and root can write"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or_default());
    let mut file = File::open(path)?;
    file.read_to_end(&mut bytes)?;
    let about = Trailer::about(&bytes).ok_or_else(|| wrong("it is damaged"))?;
    let about: T = serde_json::from_slice(about)?;
    let code = code::map(engine, path).map_err(|error| wrong(&format!("{error:#}")))?;
    // The last use, for `sweep`. Entries of root, baked into an image, cannot be marked.
    let _ = file.set_modified(SystemTime::now());
    Ok((about, code))
}

/// Ours or root's, and nobody else can write it.
fn is_trusted(metadata: &Metadata) -> bool {
    owned(metadata) && metadata.mode() & 0o022 == 0
}

fn owned(metadata: &Metadata) -> bool {
    metadata.uid() == 0 || metadata.uid() == rustix::process::geteuid().as_raw()
}

/// The end of an entry: what comes before it, and that it is undamaged.
struct Trailer {
    code: u64,
    about: u64,
    checksum: u32,
}

impl Trailer {
    const LENGTH: usize = 8 + 8 + 4 + MAGIC.len();

    fn new(code: &[u8], about: &[u8]) -> Self {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(code);
        checksum.update(about);
        Self { code: code.len() as u64, about: about.len() as u64, checksum: checksum.finalize() }
    }

    fn bytes(&self) -> Vec<u8> {
        [&self.code.to_le_bytes()[..], &self.about.to_le_bytes(), &self.checksum.to_le_bytes(), MAGIC].concat()
    }

    /// The middle of an entry, if all of it is as it was written.
    fn about(entry: &[u8]) -> Option<&[u8]> {
        let (content, trailer) = entry.split_at_checked(entry.len().checked_sub(Self::LENGTH)?)?;
        let length = usize::try_from(u64::from_le_bytes(trailer.get(..8)?.try_into().ok()?)).ok()?;
        let (code, about) = content.split_at_checked(length)?;
        (Self::new(code, about).bytes() == trailer).then_some(about)
    }
}

const SUFFIX: &str = ".code";
const TEMPORARY: &str = ".part";
const ABANDONED: Duration = Duration::from_secs(3600);
const MAGIC: &[u8] = b"verdict1";

#[cfg(test)]
mod tests;
