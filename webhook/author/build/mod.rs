//! Components from an author's sources: finds the language of a folder, runs its own toolchain, puts the manifest into
//! what comes out, and checks it as the server will.
//!
//! Knows the languages' tools, the contract's WIT and the engine's look at a component; no policies and no settings.

pub(crate) mod embedded;
mod go;
mod js;
mod python;
mod rust;
mod segments;
#[cfg(test)]
mod tests;
mod world;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use crate::{
    component::{
        contract,
        manifest::{self, Manifest},
    },
    config::{self, ConfigError},
    engine::{prepare::describe, run::ProgramError},
    spec::Import,
};

/// Why there is no component, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder has no sources that are known.
    #[error(
        "{}: nothing to build: expected a Cargo.toml (Rust), a go.mod (Go), a package.json (JavaScript) or a policy.py \
         (Python); `verdict new` makes such a folder", .0.display()
    )]
    NothingToBuild(PathBuf),
    /// A new policy is only written where nothing is.
    #[error("{}: the folder is not empty, and nothing in it is overwritten", .0.display())]
    NotEmpty(PathBuf),
    /// The language's tool is not there.
    #[error("{tool} was not found: {advice}")]
    ToolMissing {
        /// The program.
        tool: &'static str,
        /// Where it comes from.
        advice: &'static str,
    },
    /// The language's tool cannot do it yet.
    #[error("{tool} is too old ({found}): {advice}")]
    ToolTooOld {
        /// The program.
        tool: &'static str,
        /// Its version, as it says.
        found: String,
        /// What to have instead.
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
    /// `verdict.yaml` is wrong: every error of it.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Manifest(Vec<ConfigError>),
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
}

/// The languages that policies are built from, by the file that shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Cargo.toml.
    Rust,
    /// go.mod, in the folder or above it.
    Go,
    /// package.json.
    JavaScript,
    /// policy.py.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::Go, Self::JavaScript, Self::Python];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Go => "go",
            Self::JavaScript => "js",
            Self::Python => "python",
        }
    }

    /// As people write it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Go => "Go",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
        }
    }

    /// That of a folder.
    pub fn of(folder: &Path) -> Option<Self> {
        let marks = [
            ("Cargo.toml", Self::Rust),
            ("go.mod", Self::Go),
            ("package.json", Self::JavaScript),
            ("policy.py", Self::Python),
        ];
        let marked = marks.into_iter().find(|(file, _)| folder.join(file).is_file()).map(|(_, language)| language);
        marked.or_else(|| go::is_package(folder).then_some(Self::Go))
    }

    /// The folder that holds the SDK: a module in Go has one for all of its policies.
    fn root(self, folder: &Path) -> PathBuf {
        let module = if self == Self::Go { go::module(folder) } else { None };
        module.unwrap_or_else(|| folder.to_owned())
    }

    /// The folder of its SDK, and the files.
    pub(super) fn sdk(self) -> (&'static str, &'static [embedded::File]) {
        match self {
            Self::Rust => ("rust", embedded::SDK_RUST),
            Self::Go => ("go", embedded::SDK_GO),
            Self::JavaScript => ("js", embedded::SDK_JS),
            Self::Python => ("python", embedded::SDK_PYTHON),
        }
    }

    fn build(self, folder: &Path, manifest: &Manifest) -> Result<Vec<u8>, BuildError> {
        match self {
            Self::Rust => rust::build(folder),
            Self::Go => go::build(folder),
            Self::JavaScript => js::build(folder, manifest),
            Self::Python => python::build(folder, manifest),
        }
    }

    /// What is made by a tool is made again, not mended.
    fn wrong_manifest(self, mut errors: Vec<ConfigError>) -> BuildError {
        let of_schema = |it: &&mut ConfigError| it.field.as_deref().is_some_and(|it| it.starts_with("settings"));
        for error in errors.iter_mut().filter(of_schema).filter(|_| self == Self::Rust) {
            error.message.push_str(" (`BLESS=1 cargo test` writes the schema from the type of the settings)");
        }
        BuildError::Manifest(errors)
    }

    /// The server's words for a component that it would refuse, and what the author forgot.
    fn no_policy(self, error: &ProgramError) -> BuildError {
        let forgotten = match (self, error) {
            (Self::Rust, ProgramError::Export(_)) => {
                ": add `verdict_sdk::export!(MyPolicy: Validator);` to the crate once, with your type and each kind that it answers"
            }
            _ => "",
        };
        BuildError::NotAPolicy(format!("{error}{forgotten}"))
    }

    /// The name of a policy that has no manifest.
    fn policy_name(self, folder: &Path) -> Result<String, BuildError> {
        match self {
            Self::Go => go::name(folder),
            Self::JavaScript => js::name(folder),
            Self::Rust | Self::Python => folder_name(folder),
        }
    }
}

/// A component as it was built.
#[derive(Debug)]
pub struct Built {
    /// Where it lies: `out`, or `NAME.wasm` in the folder.
    pub path: PathBuf,
    /// What `verdict.yaml` says.
    pub manifest: Option<Manifest>,
}

/// Builds the policy in `folder` and writes its component, with the manifest in it, to `out` or to `NAME.wasm` in the
/// folder. It is looked at as the server will.
///
/// # Errors
/// What is missing or wrong, for the author.
pub fn build(folder: &Path, out: Option<&Path>) -> Result<Built, BuildError> {
    let language = Language::of(folder).ok_or_else(|| BuildError::NothingToBuild(folder.to_owned()))?;
    // Before minutes are spent on the rest.
    let manifest = config::manifest::manifest(folder).map_err(|errors| language.wrong_manifest(errors))?;
    let root = language.root(folder);
    // Packages alone may lie there too.
    if ["sdk", "wit"].iter().any(|it| root.join(embedded::FOLDER).join(it).is_dir()) {
        let (name, files) = language.sdk();
        if embedded::refresh(&root, name, files)? {
            crate::author::tell(&format!(
                "verdict: {}: updated to this version",
                root.join(embedded::FOLDER).display()
            ));
        }
    }
    let path = out.map_or_else(|| place(language, folder, manifest.as_ref()), |out| Ok(out.to_owned()))?;
    // Without a file it is as with one that says nothing.
    let mut bytes = language.build(folder, manifest.as_ref().unwrap_or(&Manifest::default()))?;
    if let Some(manifest) = &manifest {
        bytes = manifest::embed(&bytes, manifest).map_err(|error| BuildError::NotAPolicy(error.to_string()))?;
    }
    let description = describe(&bytes).map_err(|error| language.no_policy(&error))?;
    let wanted = manifest.as_ref().map_or(&Import::DEFAULT[..], Manifest::imports);
    let called = Import::ALL.into_iter().filter(|it| description.imports.contains(&contract::imported(*it)));
    imported(called, wanted)?;
    write(&path, &bytes)?;
    Ok(Built { path, manifest })
}

/// Where [`build`] leaves the component of `folder`, whether it is there or not.
///
/// # Errors
/// As in building.
pub fn output(folder: &Path) -> Result<PathBuf, BuildError> {
    let language = Language::of(folder).ok_or_else(|| BuildError::NothingToBuild(folder.to_owned()))?;
    let manifest = config::manifest::manifest(folder).map_err(BuildError::Manifest)?;
    place(language, folder, manifest.as_ref())
}

/// What it calls of the server must be what its manifest says, so that operators can rely on that.
fn imported(called: impl Iterator<Item = Import>, wanted: &[Import]) -> Result<(), BuildError> {
    let beyond: Vec<&str> = called.filter(|it| !wanted.contains(it)).map(Import::name).collect();
    if beyond.is_empty() {
        return Ok(());
    }
    let all: Vec<&str> = wanted.iter().map(|it| it.name()).chain(beyond.iter().copied()).collect();
    Err(BuildError::NotAPolicy(format!(
        "it calls {}, which {} does not import: add `imports: [{}]` to it, or do not call it",
        beyond.join(" and "),
        config::manifest::FILE,
        all.join(", ")
    )))
}

fn place(language: Language, folder: &Path, manifest: Option<&Manifest>) -> Result<PathBuf, BuildError> {
    let name = manifest.map_or_else(|| language.policy_name(folder), |it| Ok(it.name.clone()))?;
    Ok(folder.join(format!("{name}.wasm")))
}

fn folder_name(folder: &Path) -> Result<String, BuildError> {
    let folder = fs::canonicalize(folder).map_err(|error| BuildError::File { path: folder.to_owned(), error })?;
    Ok(folder.file_name().unwrap_or_default().to_string_lossy().into_owned())
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
