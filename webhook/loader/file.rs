//! Reading one regular file, whole and bounded: nothing that is a pipe, a device or too large.

use std::{
    fs::{self, File},
    io::{self, Read as _},
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
