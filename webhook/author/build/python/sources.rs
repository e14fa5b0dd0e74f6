//! An author's modules: which files of the folder go into the component.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::author::build::BuildError;

/// Files relative to the folder, sorted, `policy.py` among them.
pub(super) struct Sources {
    folder: PathBuf,
    files: Vec<PathBuf>,
}

impl Sources {
    /// Modules and what lies in packages beside them, but no tests, nothing hidden, and no virtual environments.
    pub(super) fn find(folder: &Path) -> Result<Self, BuildError> {
        let mut files = Vec::new();
        find(folder, Path::new(""), &mut files).map_err(|error| BuildError::File { path: folder.to_owned(), error })?;
        files.sort();
        Ok(Self { folder: folder.to_owned(), files })
    }

    /// Those that Python compiles, `policy.py` first.
    pub(super) fn modules(&self) -> impl Iterator<Item = &Path> {
        let others = self.files.iter().map(PathBuf::as_path).filter(|it| is_module(it) && *it != Path::new(POLICY));
        std::iter::once(Path::new(POLICY)).chain(others)
    }

    pub(super) fn copy(&self, to: &Path) -> Result<(), BuildError> {
        for file in &self.files {
            let (from, to) = (self.folder.join(file), to.join(file));
            let copied = to.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::copy(&from, &to));
            copied.map_err(|error| BuildError::File { path: from, error })?;
        }
        Ok(())
    }
}

fn find(folder: &Path, below: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = below.join(&*name);
        // A link to a folder may lead in a circle, a link to a file does not.
        let kind = entry.file_type()?;
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            // Only packages are folders that Python imports from, and their data lies in them.
            if name != "tests" && (!below.as_os_str().is_empty() || has_module(&entry.path())?) {
                find(folder, &path, files)?;
            }
        } else if entry.path().is_file() && !is_test(&path) && (is_module(&path) || !below.as_os_str().is_empty()) {
            files.push(path);
        }
    }
    Ok(())
}

fn has_module(folder: &Path) -> io::Result<bool> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?.into_iter();
    Ok(!folder.join("pyvenv.cfg").exists() && entries.any(|it| is_module(&it.path())))
}

fn is_module(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "py")
}

fn is_test(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    is_module(path) && (name.starts_with("test_") || name.ends_with("_test.py") || name == "conftest.py")
        || path.extension().is_some_and(|it| it == "pyc")
}

const POLICY: &str = "policy.py";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_packages_are_taken_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "policy.py",
            "other.py",
            "test_policy.py",
            "README.md",
            "helpers/__init__.py",
            "helpers/words.json",
            "helpers/tests/test_a.py",
            "helpers/__pycache__/a.cpython-314.pyc",
            "tests/cases.py",
            "reviews/a.json",
            "venv/pyvenv.cfg",
            "venv/a.py",
            ".verdict/sdk/python/verdict_policy/__init__.py",
        ] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let sources = Sources::find(folder.path()).unwrap();
        let files: Vec<String> = sources.files.iter().map(|it| it.display().to_string()).collect();
        assert_eq!(files, ["helpers/__init__.py", "helpers/words.json", "other.py", "policy.py"]);
        let modules: Vec<&Path> = sources.modules().collect();
        assert_eq!(modules, [Path::new("policy.py"), Path::new("helpers/__init__.py"), Path::new("other.py")]);
    }
}
