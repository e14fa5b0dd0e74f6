//! Which files hold documents: the folders that an operator names, walked without reading anything twice.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, WalkDir};

use super::ConfigError;

/// Files below `paths`, in order, and what is wrong with those that cannot be looked at.
///
/// A file that is named is taken whatever it is called. Of folders, `*.yaml`, `*.yml` and `*.json` are taken,
/// subfolders included; what begins with a dot is not. So a mounted ConfigMap, in which `policy.yaml` is a symlink to
/// `..data/policy.yaml`, gives each document once.
pub(super) fn find(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<ConfigError>) {
    let mut walk = Walk::default();
    for path in paths {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                let before = (walk.files.len(), walk.errors.len());
                walk.folder(path);
                if before == (walk.files.len(), walk.errors.len()) {
                    walk.error(path, "the folder has no .yaml, .yml or .json file, or none that is not read already");
                }
            }
            Ok(_) => walk.file(path),
            Err(error) => walk.error(path, &error.to_string()),
        }
    }
    (walk.files, walk.errors)
}

#[derive(Default)]
struct Walk {
    files: Vec<PathBuf>,
    errors: Vec<ConfigError>,
    /// Without symlinks: what was already seen under whatever name.
    seen: BTreeSet<PathBuf>,
}

impl Walk {
    fn folder(&mut self, folder: &Path) {
        let hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
        // The folder itself may be called anything.
        let shown = move |entry: &DirEntry| entry.depth() == 0 || !hidden(entry.file_name());
        let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().max_depth(MAX_DEPTH + 1);
        for entry in entries.into_iter().filter_entry(shown) {
            match entry {
                Ok(entry) if entry.depth() > MAX_DEPTH && entry.file_type().is_dir() => {
                    self.error(entry.path(), "folders are nested too deep");
                }
                Ok(entry) if entry.file_type().is_file() && is_document(entry.path()) => self.file(entry.path()),
                Ok(_) => {}
                // A symlink that leads back is read where it leads to.
                Err(error) if error.loop_ancestor().is_some() => {}
                Err(error) => {
                    let path = error.path().unwrap_or(folder).to_owned();
                    // A dangling symlink that nobody would read is nobody's concern.
                    if is_document(&path) || !path.is_symlink() {
                        let words = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                        self.error(&path, &words);
                    }
                }
            }
        }
    }

    fn file(&mut self, path: &Path) {
        match self.is_new(path) {
            Ok(true) if self.files.len() == MAX_FILES => self.error(path, "there are too many files"),
            Ok(true) => self.files.push(path.into()),
            Ok(false) => {}
            Err(error) => self.error(path, &error.to_string()),
        }
    }

    fn is_new(&mut self, path: &Path) -> io::Result<bool> {
        Ok(self.seen.insert(fs::canonicalize(path)?))
    }

    fn error(&mut self, path: &Path, message: &str) {
        self.errors.push(ConfigError {
            source: path.display().to_string(),
            object: None,
            field: None,
            message: message.into(),
        });
    }
}

fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

/// Folders in folders.
const MAX_DEPTH: usize = 16;
const MAX_FILES: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn found(folder: &Path, paths: &[&Path]) -> Vec<String> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
        let (files, errors) = find(&paths);
        assert_eq!(errors, []);
        files.iter().map(|file| file.strip_prefix(folder).unwrap().display().to_string()).collect()
    }

    #[test]
    fn folders_are_walked_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/deep")).unwrap();
        fs::create_dir(root.join(".git")).unwrap();
        for file in ["c.yaml", "a.yml", "b/x.json", "b/deep/y.yaml", "README.md", ".hidden.yaml", ".git/z.yaml"] {
            fs::write(root.join(file), "").unwrap();
        }
        assert_eq!(found(root, &[root]), ["a.yml", "b/deep/y.yaml", "b/x.json", "c.yaml"]);
        let named = root.join("README.md");
        assert_eq!(found(root, &[&named, root, &named]).len(), 5);
        let (_, errors) = find(&[root.join(".git"), root.join("missing")]);
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn a_mounted_config_map_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("..2026_11_21")).unwrap();
        fs::write(root.join("..2026_11_21/team.yaml"), "").unwrap();
        symlink("..2026_11_21", root.join("..data")).unwrap();
        symlink("..data/team.yaml", root.join("team.yaml")).unwrap();
        assert_eq!(found(root, &[root]), ["team.yaml"]);
    }

    #[test]
    fn loops_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::write(root.join("a.yaml"), "").unwrap();
        symlink(".", root.join("again")).unwrap();
        assert_eq!(found(root, &[root]), ["a.yaml"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let (files, errors) = find(&["/no/such/folder".into()]);
        assert!(files.is_empty());
        assert!(errors[0].to_string().starts_with("/no/such/folder: No such file"), "{}", errors[0]);
    }
}
