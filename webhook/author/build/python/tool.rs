//! What comes from elsewhere: python3 from the author's machine, pip and componentize-py from PyPI.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use sha2::{Digest as _, Sha256};

use super::said;
use crate::author::build::{BuildError, beside, embedded, read, started, write};

/// componentize-py, installed.
pub(super) struct Tool {
    /// Changes with the lock file and with Python.
    pub(super) name: String,
    /// The Python that can import it.
    pub(super) python: PathBuf,
}

/// A Python that is new enough and can make virtual environments.
pub(super) fn python() -> Result<PathBuf, BuildError> {
    let found = ["python3", "python"].iter().find(|name| {
        let version = Command::new(name).arg("--version").stdin(Stdio::null()).output();
        version.is_ok_and(|it| it.status.success())
    });
    let python = PathBuf::from(found.ok_or(BuildError::ToolMissing { tool: "python3", advice: ADVICE })?);
    about(&python).map(|_| python)
}

/// Its path and version.
fn about(python: &Path) -> Result<String, BuildError> {
    said("python3", Command::new(python).args(["-I", "-c", include_str!("venv.py")]))
}

/// Where what can be made again is kept: the user's cache folder, else one in the author's.
pub(super) fn cache(folder: &Path) -> PathBuf {
    let from = |name| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    let default =
        || from("XDG_CACHE_HOME").or_else(|| from("HOME").map(|it| it.join(".cache"))).map(|it| it.join("verdict"));
    let cache =
        from("VERDICT_CACHE_DIR").or_else(default).unwrap_or_else(|| folder.join(embedded::FOLDER).join("cache"));
    std::path::absolute(&cache).unwrap_or(cache)
}

/// The tool that `build-requirements.lock` of the folder names, or that of this binary where there is none.
pub(super) fn componentize(python: &Path, folder: &Path, cache: &Path) -> Result<Tool, BuildError> {
    let own = folder.join(LOCK);
    let lock = if own.is_file() { read(&own)? } else { default_lock().to_vec() };
    let name = format!("python-{}", short(&[&lock, about(python)?.as_bytes()]));
    let venv = cache.join(&name);
    let tool = |venv: &Path| Tool { name: name.clone(), python: venv.join("bin/python") };
    // It has its name only when it is whole. The author may have removed the Python that it stands on.
    if tool(&venv).python.exists() {
        return Ok(tool(&venv));
    }
    crate::author::tell(&format!("verdict: installing componentize-py into {}", venv.display()));
    let unfinished = Unfinished(beside(&venv, "unfinished"));
    let file = |path: &Path| {
        let path = path.to_owned();
        move |error| BuildError::File { path, error }
    };
    fs::create_dir_all(cache).map_err(file(cache))?;
    progress("python3", Command::new(python).args(["-I", "-m", "venv"]).arg(&unfinished.0))?;
    let lock_file = unfinished.0.join(LOCK);
    fs::write(&lock_file, &lock).map_err(file(&lock_file))?;
    let mut install = Command::new(tool(&unfinished.0).python);
    install.args(["-m", "pip", "install", "--require-hashes", "--only-binary=:all:"]).args(QUIETLY);
    progress("pip", install.arg("--requirement").arg(&lock_file))?;
    if venv.exists() {
        // Broken, or another build was quicker; then theirs is as good.
        let _ = fs::remove_dir_all(&venv);
    }
    match fs::rename(&unfinished.0, &venv) {
        Err(error) if !tool(&venv).python.exists() => Err(BuildError::File { path: venv, error }),
        _ => Ok(tool(&venv)),
    }
}

/// Keeps a component for the next build of the same sources, and forgets those that were made longest ago.
pub(super) fn keep(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let folder = path.parent().unwrap_or(path);
    let file = |error| BuildError::File { path: folder.to_owned(), error };
    fs::create_dir_all(folder).map_err(file)?;
    let mut others: Vec<(SystemTime, PathBuf)> = fs::read_dir(folder)
        .map_err(file)?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    others.sort();
    for (_, old) in others.iter().rev().skip(MOST_KEPT - 1) {
        // Another build may have been quicker.
        let _ = fs::remove_file(old);
    }
    write(path, bytes)
}

/// Runs it with all its words on standard error.
pub(super) fn progress(tool: &'static str, command: &mut Command) -> Result<(), BuildError> {
    let command = command.stdin(Stdio::null()).stdout(std::io::stderr()).stderr(Stdio::inherit());
    match started(tool, ADVICE, outside(command).status())? {
        status if status.success() => Ok(()),
        status => Err(BuildError::ToolFailed { tool, status }),
    }
}

/// A virtual environment that the author is in, and where their pip installs to, are not for what we run.
pub(super) fn outside(command: &mut Command) -> &mut Command {
    command.env_remove("VIRTUAL_ENV").env_remove("PYTHONPATH").env_remove("PYTHONHOME").env_remove("PIP_TARGET");
    // Into folders of our own, root or not.
    command.env("PIP_ROOT_USER_ACTION", "ignore")
}

fn default_lock() -> &'static [u8] {
    let lock = embedded::TEMPLATES.iter().find(|it| it.path.strip_prefix("python/common/") == Some(LOCK));
    lock.map_or(b"", |it| it.bytes)
}

/// A digest that is short enough for a name.
pub(super) fn short(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(Sha256::digest(part));
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A folder that is gone, unless it was renamed.
pub(super) struct Unfinished(pub(super) PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // It is there only if something failed.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where Python comes from.
pub(super) const ADVICE: &str = "install Python 3.10 or later, with venv: https://www.python.org/downloads, or on Debian and Ubuntu `apt install python3 python3-venv`";
/// The version of Python in a component.
pub(super) const PYTHON: &str = "3.14";
/// Of the tools of the build. Whoever has none builds with those of this binary.
const LOCK: &str = "build-requirements.lock";
pub(super) const QUIETLY: [&str; 2] = ["--disable-pip-version-check", "--no-input"];
/// Components of 18 MB each.
const MOST_KEPT: usize = 8;
