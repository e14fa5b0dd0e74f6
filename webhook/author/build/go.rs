//! Go: the standard toolchain makes a core module for WASI preview 1; this makes a component of it, with an adapter of
//! our own that holds no handles, so that a snapshot after init can carry all of the guest.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{BuildError, beside, read, run, world};

pub(super) fn build(folder: &Path) -> Result<Vec<u8>, BuildError> {
    let folder = std::path::absolute(folder).map_err(|error| BuildError::File { path: folder.to_owned(), error })?;
    // In the folder, since nothing says that a temporary one elsewhere is large enough.
    let module = beside(&folder.join("go.wasm"), "module");
    check_version(&folder)?;
    check_package(&folder)?;
    let compiled = compile(&folder, &module).and_then(|()| read(&module));
    // It is there only if go got that far.
    let _ = fs::remove_file(&module);
    world::component(&compiled?)
}

fn compile(folder: &Path, module: &Path) -> Result<(), BuildError> {
    let mut go = go(folder);
    go.args(["build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o"])
        .arg(module)
        .arg(".");
    run("go", ADVICE, &mut go).map(drop)
}

/// An older one fails with words that do not tell why.
fn check_version(folder: &Path) -> Result<(), BuildError> {
    let printed = run("go", ADVICE, go(folder).args(["env", "GOVERSION"]))?;
    let found = String::from_utf8_lossy(&printed).trim().to_owned();
    match release(&found) {
        Some(release) if release < OLDEST => Err(BuildError::ToolTooOld { tool: "go", found, advice: ADVICE }),
        _ => Ok(()),
    }
}

/// A policy is a package main. Where the folder is none, the packages below it that are.
fn check_package(folder: &Path) -> Result<(), BuildError> {
    let list = |packages: &str| {
        let format = "{{if eq .Name \"main\"}}{{.Dir}}{{end}}";
        let printed = run("go", ADVICE, go(folder).args(["list", "-e", "-f", format, packages]))?;
        Ok(String::from_utf8_lossy(&printed).lines().filter(|it| !it.is_empty()).map(PathBuf::from).collect())
    };
    let here: Vec<PathBuf> = list(".")?;
    if !here.is_empty() {
        return Ok(());
    }
    let mut below: Vec<PathBuf> = list("./...")?;
    below.sort();
    let relative = |it: &PathBuf| it.strip_prefix(folder).unwrap_or(it).display().to_string();
    let below: Vec<String> = below.iter().map(relative).collect();
    let place = folder.display();
    Err(BuildError::NotAPolicy(if below.is_empty() {
        format!("{place}: expected a package main, which is what a policy in Go is")
    } else {
        format!("{place}: it holds no package main, but folders that do: build one of {}", below.join(", "))
    }))
}

/// The folder of the module that `folder` belongs to: the nearest with a go.mod, as Go looks for it.
pub(super) fn module(folder: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(folder).ok()?;
    let module = absolute.ancestors().find(|it| it.join(MODULE).is_file())?;
    // As it was written, where that is the folder itself.
    Some(if module == absolute { folder.to_owned() } else { module.to_owned() })
}

/// Whether it holds sources of a module.
pub(super) fn is_package(folder: &Path) -> bool {
    let is_source = |it: &fs::DirEntry| it.path().extension().is_some_and(|it| it == "go");
    let mut files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.any(|it| is_source(&it)) && module(folder).is_some()
}

/// Of `go1.26.3`, `go1.27rc1`, `devel go1.28-4f3a`.
fn release(version: &str) -> Option<(u32, u32)> {
    let (_, numbers) = version.split_once("go")?;
    let mut numbers = numbers.split(|it: char| !it.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn go(folder: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(folder)
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        // What the author's shell adds would change the bytes.
        .env_remove("GOFLAGS")
        .env_remove("GOWASM")
        .env_remove("GOEXPERIMENT");
    go
}

/// That of the folder; of the module's own package the last element of its path, without a major version.
pub(super) fn name(folder: &Path) -> Result<String, BuildError> {
    let path = folder.join(MODULE);
    if !path.is_file() {
        return super::folder_name(folder);
    }
    let text = String::from_utf8_lossy(&read(&path)?).into_owned();
    let module = text.lines().find_map(|line| line.trim().strip_prefix("module ")).unwrap_or_default();
    let module = module.split("//").next().unwrap_or_default().trim().trim_matches('"');
    let version =
        |it: &&str| it.strip_prefix('v').is_some_and(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit()));
    let name = module.rsplit('/').find(|it| !version(it)).unwrap_or_default();
    if name.is_empty() {
        return Err(BuildError::NotAPolicy(format!("{}: expected a line `module NAME`", path.display())));
    }
    Ok(name.to_owned())
}

const MODULE: &str = "go.mod";
const OLDEST: (u32, u32) = (1, 26);
const ADVICE: &str = "install Go 1.26 or later from https://go.dev/dl";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_as_go_prints_them() {
        for (version, expected) in [
            ("go1.26.8", Some((1, 26))),
            ("go1.27rc1", Some((1, 27))),
            ("devel go1.28-4f3a Mon", Some((1, 28))),
            ("go1.9", Some((1, 9))),
            ("", None),
            ("gotip", None),
        ] {
            assert_eq!(release(version), expected, "{version}");
        }
    }
}
