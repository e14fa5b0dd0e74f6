//! `requirements.lock`: the policy's own packages, each with its version and the hash of its wheel, as pip reads them.
//!
//! pip decides which versions go together. It is asked twice where that matters: as for a machine, and for wheels of pure
//! Python alone, which is all that runs in a component. Whatever that costs in versions is said, here and in the file.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Deserialize;

use super::tool::{self, PYTHON, Tool, short};
use crate::author::build::{BuildError, beside, read, started, write};

/// The lock file of a folder with a `requirements.txt`: the one that is there, if it was made of the same requirements,
/// or is an author's own; else a new one.
pub(super) fn up_to_date(tool: &Tool, folder: &Path) -> Result<PathBuf, BuildError> {
    let (requirements, lock) = (folder.join(REQUIREMENTS), folder.join(LOCK));
    let mut lines = Vec::new();
    declared(&requirements, &mut Vec::new(), &mut lines)?;
    let mark = format!("{MARK}{}", short(&[lines.join("\n").as_bytes()]));
    if lock.is_file() {
        let found = read(&lock)?;
        let found = String::from_utf8_lossy(&found);
        match found.lines().find(|line| line.starts_with(MARK)) {
            // Made by another tool, or by hand.
            None => return Ok(lock),
            Some(line) if line == mark => return Ok(lock),
            Some(_) => {
                crate::author::tell(&format!("verdict: {}: changed since {LOCK} was written", requirements.display()))
            }
        }
    }
    crate::author::tell(&format!("verdict: choosing the packages of {}", requirements.display()));
    let Chosen { packages, told } = choose(tool, &requirements)?;
    let mut text = format!(
        "# Written by `verdict build`, which builds from it: wheels of pure Python for CPython {PYTHON}. Commit it. Without it, or\n\
         # when {REQUIREMENTS} changes, the newest versions are chosen anew.\n{mark}\n"
    );
    for line in &told {
        crate::author::tell(&format!("verdict: {}: {line}", requirements.display()));
        let _ = writeln!(text, "# {line}");
    }
    for package in packages {
        let _ = writeln!(text, "{}=={} \\\n    --hash=sha256:{}", package.name, package.version, package.sha256);
    }
    write(&lock, text.as_bytes())?;
    Ok(lock)
}

/// What the file asks for, with the files that it names, without comments.
fn declared(file: &Path, seen: &mut Vec<PathBuf>, lines: &mut Vec<String>) -> Result<(), BuildError> {
    if seen.iter().any(|it| it == file) {
        return Ok(());
    }
    seen.push(file.to_owned());
    for line in String::from_utf8_lossy(&read(file)?).lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        lines.push(line.to_owned());
        let named = ["-r", "--requirement", "-c", "--constraint"].iter().find_map(|it| line.strip_prefix(it));
        if let Some(named) = named {
            let named = named.trim_start_matches([' ', '=']).trim();
            declared(&file.with_file_name(named), seen, lines)?;
        }
    }
    Ok(())
}

struct Chosen {
    packages: Vec<Package>,
    /// What the author should know of the choice.
    told: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    /// As packages are compared: lower case, with hyphens.
    name: String,
    version: String,
    sha256: String,
    pure: bool,
}

impl std::fmt::Display for Package {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

fn choose(tool: &Tool, requirements: &Path) -> Result<Chosen, BuildError> {
    // One that is not there for the machine may still be there in pure Python.
    let newest = resolve(tool, requirements, &MACHINE)?.unwrap_or_default();
    if !newest.is_empty() && newest.iter().all(|it| it.pure) {
        return Ok(Chosen { packages: newest, told: Vec::new() });
    }
    match resolve(tool, requirements, &PURE)? {
        Ok(packages) => Ok(Chosen { told: told(&newest, &packages), packages }),
        Err(words) => {
            let native = names(newest.iter().filter(|it| !it.pure));
            let native = if native.is_empty() {
                String::new()
            } else {
                format!(" The newest versions need native code: {native}.")
            };
            Err(BuildError::NotAPolicy(format!(
                "{}: these packages cannot be had as wheels of pure Python, and nothing else runs in a component.{native} \
                 pip says:\n{}",
                requirements.display(),
                words.trim()
            )))
        }
    }
}

/// What was given up for pure Python.
fn told(newest: &[Package], chosen: &[Package]) -> Vec<String> {
    let of = |all: &[Package], name: &str| all.iter().find(|it| it.name == name).cloned();
    let native =
        names(newest.iter().filter(|it| !it.pure && of(chosen, &it.name).is_none_or(|own| own.version != it.version)));
    let mut told = Vec::new();
    if !native.is_empty() {
        told.push(format!("the newest versions need native code, which does not run in a component: {native}"));
    }
    for package in chosen {
        if let Some(newer) = of(newest, &package.name).filter(|it| it.version != package.version) {
            told.push(format!("{package} was taken instead of {}", newer.version));
        }
    }
    told
}

fn names<'a>(packages: impl Iterator<Item = &'a Package>) -> String {
    packages.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What pip would install for the component's Python on a platform, sorted by name; its words where nothing fits.
fn resolve(tool: &Tool, requirements: &Path, platform: &[&str]) -> Result<Result<Vec<Package>, String>, BuildError> {
    let report = beside(&requirements.with_file_name(LOCK), "report");
    let mut pip = Command::new(&tool.python);
    pip.args(["-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--only-binary=:all:"]);
    // It is written to nobody's folder.
    pip.args(["--target", "unused", "--report"]).arg(&report).args(platform).args(tool::QUIETLY);
    pip.arg("--requirement").arg(requirements).stdin(Stdio::null());
    let output = started("pip", tool::ADVICE, tool::outside(&mut pip).output())?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let bytes = read(&report);
    let _ = fs::remove_file(&report);
    let packages = packages(&bytes?).map_err(|words| BuildError::NotAPolicy(format!("pip's report: {words}")))?;
    Ok(Ok(packages))
}

/// Of pip's installation report.
fn packages(report: &[u8]) -> Result<Vec<Package>, String> {
    #[derive(Deserialize)]
    struct Report {
        install: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        metadata: Metadata,
        download_info: Download,
    }
    #[derive(Deserialize)]
    struct Metadata {
        name: String,
        version: String,
    }
    #[derive(Deserialize)]
    struct Download {
        url: String,
        archive_info: Option<Archive>,
    }
    #[derive(Deserialize)]
    struct Archive {
        #[serde(default)]
        hashes: std::collections::BTreeMap<String, String>,
    }
    let report: Report = serde_json::from_slice(report).map_err(|error| error.to_string())?;
    let mut packages = Vec::new();
    for Item { metadata: Metadata { name, version }, download_info } in report.install {
        let sha256 = download_info.archive_info.and_then(|it| it.hashes.get("sha256").cloned());
        let Some(sha256) = sha256 else {
            return Err(format!("{name} is no wheel with a hash: put such sources beside policy.py"));
        };
        let name = name.to_lowercase().replace(['_', '.'], "-");
        packages.push(Package { name, version, sha256, pure: download_info.url.ends_with("-none-any.whl") });
    }
    packages.sort();
    Ok(packages)
}

pub(super) const REQUIREMENTS: &str = "requirements.txt";
pub(super) const LOCK: &str = "requirements.lock";
const MARK: &str = "# requirements.txt: ";
/// Wheels that run anywhere.
pub(super) const PURE: [&str; 4] = ["--platform=any", "--implementation=py", "--abi=none", "--python-version=3.14"];
/// A usual machine, to see what the newest versions are.
const MACHINE: [&str; 7] = [
    "--platform=manylinux2014_x86_64",
    "--platform=manylinux_2_28_x86_64",
    "--implementation=cp",
    "--abi=cp314",
    "--abi=abi3",
    "--abi=none",
    "--python-version=3.14",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, pure: bool) -> Package {
        Package { name: name.to_owned(), version: version.to_owned(), sha256: "0".to_owned(), pure }
    }

    #[test]
    fn what_pure_python_costs_is_told() {
        let newest = [package("core", "2.5", false), package("quick", "1.0", false), package("schema", "2.1", true)];
        let chosen = [package("quick", "1.0", true), package("schema", "1.10", true)];
        assert_eq!(
            told(&newest, &chosen),
            [
                "the newest versions need native code, which does not run in a component: core 2.5",
                "schema 1.10 was taken instead of 2.1"
            ]
        );
        assert!(told(&chosen, &chosen).is_empty());
    }

    #[test]
    fn requirements_are_compared_without_comments_and_with_the_files_that_they_name() {
        let folder = tempfile::tempdir().unwrap();
        let requirements = folder.path().join("requirements.txt");
        fs::write(folder.path().join("more.txt"), "b>=2\n-r requirements.txt\n").unwrap();
        fs::write(&requirements, "# why\n\na==1 # because\n-r more.txt\n").unwrap();
        let mut lines = Vec::new();
        declared(&requirements, &mut Vec::new(), &mut lines).unwrap();
        assert_eq!(lines, ["a==1", "-r more.txt", "b>=2", "-r requirements.txt"]);
    }

    #[test]
    fn reports_name_what_is_native() {
        let report = br#"{"install": [
            {"metadata": {"name": "B_c", "version": "1"}, "download_info": {"url": "https://x/B_c-1-cp314-cp314-linux.whl", "archive_info": {"hashes": {"sha256": "0"}}}},
            {"metadata": {"name": "a", "version": "2"}, "download_info": {"url": "https://x/a-2-py3-none-any.whl", "archive_info": {"hashes": {"sha256": "0"}}}}]}"#;
        assert_eq!(packages(report).unwrap(), [package("a", "2", true), package("b-c", "1", false)]);
        let local = br#"{"install": [{"metadata": {"name": "a", "version": "2"}, "download_info": {"url": "file:///a", "dir_info": {}}}]}"#;
        assert!(packages(local).unwrap_err().contains("put such sources beside policy.py"));
    }
}
