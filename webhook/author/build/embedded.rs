//! The files that this binary brings into an author's folder: the contract, the SDKs and the templates.

use std::{fs, path::Path};

use super::{BuildError, beside};

/// A file of the binary.
pub(crate) struct File {
    /// Relative to the folder that it is written to.
    pub(crate) path: &'static str,
    pub(crate) bytes: &'static [u8],
}

/// Brings `.verdict/sdk/NAME` and `.verdict/wit` of an author's folder to what this binary has, and says whether
/// anything had to change. Nothing else in `.verdict` is touched.
pub(crate) fn refresh(folder: &Path, name: &str, sdk: &[File]) -> Result<bool, BuildError> {
    let verdict = folder.join(FOLDER);
    let sdk = write_all(&verdict.join("sdk").join(name), sdk)?;
    Ok(write_all(&verdict.join("wit"), WIT)? || sdk)
}

/// The whole folder anew where any file is missing or differs, so that none of an earlier version is left.
fn write_all(folder: &Path, files: &[File]) -> Result<bool, BuildError> {
    if files.iter().all(|file| fs::read(folder.join(file.path)).is_ok_and(|found| found == file.bytes)) {
        return Ok(false);
    }
    let wrong = |error| BuildError::File { path: folder.to_owned(), error };
    let unfinished = beside(folder, "unfinished");
    for file in files {
        let path = unfinished.join(file.path);
        fs::create_dir_all(path.parent().unwrap_or(&unfinished)).map_err(wrong)?;
        fs::write(&path, file.bytes).map_err(wrong)?;
    }
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(wrong)?;
    }
    fs::rename(&unfinished, folder).map_err(wrong)?;
    Ok(true)
}

/// Where what is ours lies in an author's folder.
pub(crate) const FOLDER: &str = ".verdict";

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
