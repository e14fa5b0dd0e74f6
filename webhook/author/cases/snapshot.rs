//! Snapshots: the whole answer of a case as its author once approved it, in `snapshots/` beside the case's file.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Came, Case, Mismatch, text::pretty};

/// How a snapshot compares.
pub(super) enum Compared {
    Same,
    /// It was written.
    Blessed(PathBuf),
    Differs(Mismatch),
}

/// Compares with the snapshot, or writes it.
pub(super) fn compare(case: &Case, came: &Came, bless: bool) -> Compared {
    let path = path(&case.file, &case.name);
    let fresh = serde_json::to_value(came).unwrap_or_default();
    let failed = |error: &dyn std::fmt::Display| {
        Compared::Differs(Mismatch::new("snapshot", path.display().to_string(), error.to_string()))
    };
    let kept = match fs::read_to_string(&path) {
        Ok(text) => match serde_json::from_str::<Value>(&text) {
            Ok(kept) => Some(kept),
            Err(_) if bless => None,
            Err(error) => return failed(&error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return failed(&error),
    };
    match kept {
        Some(kept) if kept == fresh => Compared::Same,
        _ if bless => match write(&path, &fresh) {
            Ok(()) => Compared::Blessed(path),
            Err(error) => failed(&error),
        },
        Some(kept) => Compared::Differs(Mismatch::values("snapshot", &kept, &fresh)),
        None => Compared::Differs(Mismatch::new(
            "snapshot",
            path.display().to_string(),
            format!(
                "there is none yet; look at the answer, and keep it with `verdict test --bless`:\n{}",
                pretty(&fresh)
            ),
        )),
    }
}

/// Where the snapshot of a case is kept. Cases whose names differ in letters and digits only have different ones.
pub(super) fn path(file: &Path, name: &str) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    file.with_file_name(FOLDER).join(format!("{stem}@{}.json", slug(name)))
}

/// Snapshots beside these files that none of their cases has: left behind by a case that was renamed or removed.
pub(super) fn left_behind(cases: &[Case]) -> Vec<PathBuf> {
    let kept = |it: &&Case| it.expect.snapshot;
    let used: BTreeSet<PathBuf> = cases.iter().filter(kept).map(|it| path(&it.file, &it.name)).collect();
    let folders: BTreeSet<PathBuf> = cases.iter().map(|it| it.file.with_file_name(FOLDER)).collect();
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let mut left: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|it| it == "json") && !used.contains(path))
        .collect();
    left.sort();
    left
}

pub(super) fn slug(name: &str) -> String {
    let words = name.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty());
    let slug = words.collect::<Vec<_>>().join("-").to_lowercase();
    let end = slug.floor_char_boundary(MAX_SLUG);
    slug[..end].to_owned()
}

fn write(path: &Path, value: &Value) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, pretty(value) + "\n")
}

const FOLDER: &str = "snapshots";
/// Bytes of a case's name in a file's name.
const MAX_SLUG: usize = 100;
