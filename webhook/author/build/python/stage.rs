//! Everything that componentize-py is given, in a folder of its own that ends with it: Python writes beside what it imports,
//! and keeps the times of files in its memory, which becomes the component.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha2::{Digest as _, Sha256};

use crate::author::build::BuildError;

pub(super) struct Stage(PathBuf);

impl Stage {
    /// Nothing yet.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Of a file or folder in it.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.0.join(relative)
    }

    pub(super) fn write(&self, relative: &str, bytes: &[u8]) -> Result<(), BuildError> {
        let path = self.path(relative);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, bytes));
        written.map_err(|error| BuildError::File { path, error })
    }

    /// A folder.
    pub(super) fn create(&self, relative: &str) -> Result<(), BuildError> {
        let path = self.path(relative);
        fs::create_dir_all(&path).map_err(|error| BuildError::File { path, error })
    }

    /// The library that CPython starts with: it gives it a seed for its hashes that depends on nothing but what is staged. Sets have
    /// the same order in each component of the same sources, wherever it is made.
    pub(super) fn start(&self) -> Result<(), BuildError> {
        let digest = self.digest("")?;
        let number = digest.get(..8).and_then(|it| u32::from_str_radix(it, 16).ok()).unwrap_or_default();
        // Zero would be a switch of its own: no seed at all.
        let text = include_str!("start.wat").replace("SEED\\00\")", &format!("{}\\00\")", number.max(1)));
        let library = wat::parse_str(text).map_err(|error| BuildError::NotAPolicy(format!("no library: {error}")))?;
        self.write("glue/verdict_start.cpython-314-wasm32-wasi.so", &library)
    }

    /// The names in each folder below these, as Python writes a dictionary: folders by the paths under which the tool mounts them.
    pub(super) fn listing(&self, mounted: &[(&str, &str)]) -> Result<String, BuildError> {
        let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (folder, mount) in mounted {
            let root = self.path(folder);
            for entry in walkdir::WalkDir::new(&root) {
                let entry = entry.map_err(|error| BuildError::File { path: root.clone(), error: error.into() })?;
                let within = |path: &Path| match path.strip_prefix(&root) {
                    Ok(it) if !it.as_os_str().is_empty() => format!("{mount}/{}", it.to_string_lossy()),
                    _ => (*mount).to_owned(),
                };
                if entry.file_type().is_dir() {
                    folders.entry(within(entry.path())).or_default();
                }
                if entry.depth() > 0 {
                    let parent = within(entry.path().parent().unwrap_or(&root));
                    folders.entry(parent).or_default().insert(entry.file_name().to_string_lossy().into_owned());
                }
            }
        }
        // JSON's texts are Python's.
        serde_json::to_string(&folders).map_err(|error| BuildError::NotAPolicy(format!("no listing: {error}")))
    }

    /// All times the same, of folders after what is in them.
    pub(super) fn set_times(&self) -> Result<(), BuildError> {
        for entry in walkdir::WalkDir::new(&self.0).contents_first(true) {
            let wrong = |error: io::Error| BuildError::File { path: self.0.clone(), error };
            let entry = entry.map_err(|error| wrong(error.into()))?;
            let file = fs::File::open(entry.path()).map_err(wrong)?;
            file.set_times(fs::FileTimes::new().set_accessed(staged_at()).set_modified(staged_at())).map_err(wrong)?;
        }
        Ok(())
    }

    /// Of every name and byte in it, with `seed`.
    pub(super) fn digest(&self, seed: &str) -> Result<String, BuildError> {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(bytes);
        };
        add(seed.as_bytes());
        for file in files(&self.0)? {
            add(file.to_string_lossy().as_bytes());
            let path = self.0.join(&file);
            add(&fs::read(&path).map_err(|error| BuildError::File { path, error })?);
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Nobody looks there again.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The files below a folder, relative to it, sorted.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder) {
        let entry = entry.map_err(|error| BuildError::File { path: folder.to_owned(), error: error.into() })?;
        if !entry.file_type().is_dir() {
            files.push(entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_owned());
        }
    }
    files.sort();
    Ok(files)
}

fn staged_at() -> SystemTime {
    SystemTime::UNIX_EPOCH + SINCE_EPOCH
}

/// 2000-01-01.
const SINCE_EPOCH: Duration = Duration::from_secs(946_684_800);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_staged_has_one_time_and_a_digest_of_its_names_and_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::new(folder.path().join("stage"));
        stage.write("a/b.py", b"1").unwrap();
        let before = stage.digest("x").unwrap();
        assert_ne!(before, stage.digest("y").unwrap());
        stage.start().unwrap();
        let seeded = stage.digest("x").unwrap();
        assert_ne!(before, seeded);
        stage.set_times().unwrap();
        for path in ["", "a", "a/b.py", "glue"] {
            assert_eq!(fs::metadata(stage.path(path)).unwrap().modified().unwrap(), staged_at(), "{path}");
        }
        stage.write("a/b.py", b"2").unwrap();
        assert_ne!(seeded, stage.digest("x").unwrap());
    }
}
