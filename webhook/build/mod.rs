//! Components from an author's sources: finds the language of a folder and runs its own toolchain.
//!
//! Knows cargo, go and the contract's WIT; neither engine nor configuration. What it makes is checked like any other
//! component when it is loaded.

mod go;
mod rust;
#[cfg(test)]
mod tests;
mod world;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

/// Why there is no component, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder has no sources that are known.
    #[error("{}: nothing to build: expected a Cargo.toml (Rust) or a go.mod (Go)", .0.display())]
    NothingToBuild(PathBuf),
    /// The language's tool is not there.
    #[error("{tool} was not found: {advice}")]
    ToolMissing {
        /// The program.
        tool: &'static str,
        /// Where it comes from.
        advice: &'static str,
    },
    /// The tool's own words went to standard error already.
    #[error("{tool} failed ({status})")]
    ToolFailed {
        /// The program.
        tool: &'static str,
        /// How it ended.
        status: ExitStatus,
    },
    /// The sources compile, and are no policy.
    #[error("{0}")]
    NotAPolicy(String),
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
}

/// Builds the policy in `folder`, writes its component to `out` if that is given, and gives the path of it.
///
/// # Errors
/// What is missing or wrong, for the author.
pub fn build(folder: &Path, out: Option<&Path>) -> Result<PathBuf, BuildError> {
    if folder.join("Cargo.toml").is_file() {
        rust::build(folder, out)
    } else if folder.join("go.mod").is_file() {
        go::build(folder, out)
    } else {
        Err(BuildError::NothingToBuild(folder.to_owned()))
    }
}

fn started<T>(tool: &'static str, advice: &'static str, result: io::Result<T>) -> Result<T, BuildError> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => BuildError::ToolMissing { tool, advice },
        _ => BuildError::File { path: tool.into(), error },
    })
}

/// Runs it to its end, with its words on standard error, and gives what it printed.
fn run(tool: &'static str, advice: &'static str, command: &mut Command) -> Result<Vec<u8>, BuildError> {
    let output = started(tool, advice, command.stderr(std::process::Stdio::inherit()).output())?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(BuildError::ToolFailed { tool, status: output.status })
    }
}

/// Writes beside `path` and renames, so that what is there is always whole.
fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let unfinished = beside(path, "unfinished");
    fs::write(&unfinished, bytes)
        .and_then(|()| fs::rename(&unfinished, path))
        .map_err(|error| BuildError::File { path: path.to_owned(), error })
}

/// A hidden file of this process in the same folder.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{what}", std::process::id()))
}

fn read(path: &Path) -> Result<Vec<u8>, BuildError> {
    fs::read(path).map_err(|error| BuildError::File { path: path.to_owned(), error })
}
