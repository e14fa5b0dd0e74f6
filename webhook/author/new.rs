//! A new policy's folder, from the templates of this binary: the files of the kind, which are the same in every
//! language, those of the language, and those of the kind in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::build::{
    BuildError, Language,
    embedded::{self, TEMPLATES},
};
use crate::spec::Interface;

/// Writes the folder of a policy that is called `name`: lower-case letters, digits and `-`, a letter first.
///
/// # Errors
/// It exists and is not empty, or cannot be written.
pub fn write(folder: &Path, name: &str, language: Language, interface: Interface) -> Result<(), BuildError> {
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |error| BuildError::File { path, error }
    };
    fs::create_dir_all(folder).map_err(wrong(folder))?;
    if fs::read_dir(folder).map_err(wrong(folder))?.next().is_some() {
        return Err(BuildError::NotEmpty(folder.to_owned()));
    }
    let kind = kind(interface);
    let language_name = language.name();
    for part in [format!("kinds/{kind}/"), format!("{language_name}/common/"), format!("{language_name}/{kind}/")] {
        for file in TEMPLATES {
            let Some(relative) = file.path.strip_prefix(&part) else { continue };
            let path = folder.join(target(&renamed(relative, name)));
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(wrong(parent))?;
            }
            let text = String::from_utf8_lossy(file.bytes);
            fs::write(&path, renamed(&text, name)).map_err(wrong(&path))?;
        }
    }
    let (sdk, files) = language.sdk();
    embedded::refresh(folder, sdk, files).map(drop)
}

/// What policies that answer `interface` are called.
pub fn kind(interface: Interface) -> &'static str {
    match interface {
        Interface::Authentication => "authenticator",
        Interface::Authorization => "authorizer",
        Interface::Validating => "validator",
        Interface::Mutating => "mutator",
        Interface::Provider => "provider",
        Interface::Changes => "controller",
    }
}

/// Templates have names that no tool takes for its own files.
fn target(path: &str) -> PathBuf {
    let path = path.strip_suffix(".template").unwrap_or(path);
    match path {
        "gitignore" => ".gitignore".into(),
        "cargo-config.toml" => ".cargo/config.toml".into(),
        path => path.into(),
    }
}

/// The name in the three spellings that languages want.
fn renamed(text: &str, name: &str) -> String {
    let pascal: String = name
        .split('-')
        .map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_uppercase() + rest
        })
        .collect();
    text.replace("my-policy", name).replace("my_policy", &name.replace('-', "_")).replace("MyPolicy", &pascal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn names_are_spelt_as_each_language_wants_them() {
        assert_eq!(renamed("my-policy my_policy MyPolicy", "no-root"), "no-root no_root NoRoot");
        assert_eq!(target("gitignore"), Path::new(".gitignore"));
        assert_eq!(target("cargo-config.toml"), Path::new(".cargo/config.toml"));
        assert_eq!(target("Cargo.toml.template"), Path::new("Cargo.toml"));
    }

    #[test]
    fn every_language_has_every_kind_with_a_manifest_and_an_example() {
        for language in Language::ALL {
            for interface in Interface::ALL {
                let folder = tempfile::tempdir().unwrap();
                let folder = folder.path().join("no-root");
                write(&folder, "no-root", language, interface).unwrap();
                let manifest = config::manifest::manifest(&folder).unwrap().unwrap();
                assert_eq!(manifest.name, "no-root");
                assert!(!manifest.examples().is_empty());
                let specs = config::read(&[folder.join("policy.yaml")]).unwrap();
                assert_eq!(specs[0].name, "no-root");
                assert_eq!(Language::of(&folder), Some(language));
                for expected in ["README.md", ".gitignore", "reviews", "tests", ".verdict/wit/worlds.wit"] {
                    assert!(folder.join(expected).exists(), "{}: no {expected}", language.name());
                }
                assert!(matches!(write(&folder, "a", language, interface), Err(BuildError::NotEmpty(_))));
            }
        }
    }
}
