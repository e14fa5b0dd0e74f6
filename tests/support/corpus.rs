//! Files of questions that are asked of an oracle, too, and what came of it.

use std::{collections::BTreeSet, fs, path::Path};

/// The files of a folder below `tests/`: names without their endings, and texts.
pub fn files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<(String, String)> = entries
        .map(|entry| {
            let path = entry.expect("a readable folder").path();
            let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect();
    files.sort();
    files
}

/// Nothing differs but what is known to, and all of that still does.
pub fn settle(differences: &[String], known: &BTreeSet<String>, seen: &BTreeSet<String>) {
    let gone: Vec<&String> = known.difference(seen).collect();
    assert!(
        differences.is_empty() && gone.is_empty(),
        "{} differences; {} of the known ones are none: {gone:#?}\n{}",
        differences.len(),
        gone.len(),
        differences.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n"),
    );
}

/// Differences that a failed test shows.
const SHOWN: usize = 60;
