//! The policy's own packages, installed as `requirements.lock` has them, and what of them goes into the component.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    lock,
    stage::{self, Stage},
    tool::{self, Tool},
};
use crate::author::build::{BuildError, beside, embedded, read};

/// The folder that they are installed in, where editors and unit tests find them; none without a `requirements.txt`.
pub(super) fn install(tool: &Tool, folder: &Path) -> Result<Option<PathBuf>, BuildError> {
    if !folder.join(lock::REQUIREMENTS).is_file() {
        return Ok(None);
    }
    let lock = lock::up_to_date(tool, folder)?;
    let packages = folder.join(embedded::FOLDER).join("packages");
    let (mark, digest) = (packages.join(MARK), tool::short(&[&read(&lock)?]));
    if fs::read_to_string(&mark).is_ok_and(|it| it == digest) {
        return Ok(Some(packages));
    }
    crate::author::tell(&format!("verdict: installing the packages of {}", lock.display()));
    let unfinished = tool::Unfinished(beside(&packages, "unfinished"));
    let mut pip = Command::new(&tool.python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--no-deps",
        "--require-hashes",
        "--only-binary=:all:",
    ]);
    pip.arg("--target").arg(&unfinished.0).args(lock::PURE).args(tool::QUIETLY).arg("--requirement").arg(&lock);
    tool::progress("pip", &mut pip).map_err(|error| match error {
        BuildError::ToolFailed { tool, status } => BuildError::NotAPolicy(format!(
            "{tool} failed ({status}): what {} names cannot be installed as wheels of pure Python with these hashes: remove it \
             and build again for a new one",
            lock.display()
        )),
        error => error,
    })?;
    let file = |path: &Path| {
        let path = path.to_owned();
        move |error| BuildError::File { path, error }
    };
    fs::create_dir_all(&unfinished.0).map_err(file(&unfinished.0))?;
    fs::write(unfinished.0.join(MARK), digest).map_err(file(&mark))?;
    if packages.exists() {
        fs::remove_dir_all(&packages).map_err(file(&packages))?;
    }
    fs::rename(&unfinished.0, &packages).map_err(file(&packages))?;
    Ok(Some(packages))
}

/// Copies what a component can use: no programs, and nothing that tells when and where they were installed.
pub(super) fn stage(packages: &Path, stage: &Stage) -> Result<(), BuildError> {
    for file in stage::files(packages)? {
        if !is_of_this_machine(&file) {
            stage.write(&format!("packages/{}", file.display()), &read(&packages.join(&file))?)?;
        }
    }
    Ok(())
}

fn is_of_this_machine(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let first = file.components().next().map(|it| it.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
    first == "bin"
        || name == MARK
        || name.ends_with(".pyc")
        || first.ends_with(".dist-info") && ["RECORD", "INSTALLER", "REQUESTED", "direct_url.json"].contains(&&*name)
}

/// The folders and modules of packages whose files are too many to be kept in the memory of the component: the largest.
pub(super) fn too_large(stage: &Stage) -> Result<Vec<String>, BuildError> {
    let root = stage.path("packages");
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    if root.is_dir() {
        for file in stage::files(&root)? {
            let first = file.components().next().map(|it| it.as_os_str().to_string_lossy().into_owned());
            let size = fs::metadata(root.join(&file)).map_or(0, |it| it.len());
            *sizes.entry(first.unwrap_or_default()).or_default() += size;
        }
    }
    Ok(beyond(sizes, MOST_KEPT))
}

/// The largest, until the rest are at most `most` bytes.
fn beyond(sizes: BTreeMap<String, u64>, most: u64) -> Vec<String> {
    let mut rest: u64 = sizes.values().sum();
    let mut sizes: Vec<_> = sizes.into_iter().collect();
    sizes.sort_by_key(|(_, size)| *size);
    let mut left_out = Vec::new();
    while rest > most
        && let Some((name, size)) = sizes.pop()
    {
        rest -= size;
        left_out.push(name);
    }
    left_out
}

const MARK: &str = ".requirements";
/// Bytes of files in the memory of a component, which has a limit where it runs.
const MOST_KEPT: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_left_out_until_the_rest_fit() {
        let sizes = || BTreeMap::from([("a".to_owned(), 5), ("b".to_owned(), 70), ("c".to_owned(), 30)]);
        assert_eq!(beyond(sizes(), 34), ["b", "c"]);
        assert_eq!(beyond(sizes(), 35), ["b"]);
        assert!(beyond(sizes(), 105).is_empty());
    }

    #[test]
    fn what_tells_of_a_machine_is_not_staged() {
        for (file, out) in [
            ("bin/tool", true),
            ("a-1.dist-info/RECORD", true),
            ("a/__pycache__/b.cpython-314.pyc", true),
            (".requirements", true),
            ("a-1.dist-info/METADATA", false),
            ("a/bin/b.py", false),
            ("a/RECORD", false),
        ] {
            assert_eq!(is_of_this_machine(Path::new(file)), out, "{file}");
        }
    }
}
