//! Reading one regular file, whole and bounded: nothing that is a pipe, a device or too large. And writing one, whole or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A folder, a pipe, a device.
    #[error("it is not a regular file")]
    Irregular,
    /// More bytes than are ever read.
    #[error("it is larger than {max} bytes")]
    Large {
        /// The limit, in bytes.
        max: u64,
    },
}

/// The whole file, unless it has more than `max` bytes. Symlinks are followed.
pub(crate) fn read(path: &Path, max: u64) -> Result<Vec<u8>, ReadError> {
    // Before opening: to open a pipe without a writer never ends.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(ReadError::Irregular);
    }
    if metadata.len() > max {
        return Err(ReadError::Large { max });
    }
    let mut bytes = Vec::new();
    // The size is looked at again, since the file may have grown meanwhile.
    File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(ReadError::Large { max });
    }
    Ok(bytes)
}

/// For this user alone. When this returns the file is there for certain, and whole; on an error there is what was there before, if anything.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = folder.join(format!("{:016x}{UNFINISHED}", rand::random::<u64>()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, folder.join(name))?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        // It may not even be there.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Whether a file is what a [`write`] left that never ended.
pub(crate) fn is_unfinished(name: &str) -> bool {
    name.ends_with(UNFINISHED)
}

const UNFINISHED: &str = ".writing";
