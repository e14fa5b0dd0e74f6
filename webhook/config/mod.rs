//! Policies as YAML, one object each, parsed once into values that need no further checks.
//!
//! Owns which files are read and what is wrong with them: every error of every file is reported, with its place.

mod cluster;
mod component;
pub(crate) mod document;
mod elsewhere;
mod error;
mod events;
pub(crate) mod fields;
mod files;
mod grants;
mod group;
pub mod k8s_wasm;
mod kubewarden;
pub(crate) mod limits;
pub mod manifest;
pub(crate) mod quantity;
mod refs;
pub(crate) mod rules;
mod settings;
mod verification;
mod walk;
pub(crate) mod yaml;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use cluster::{NamespacedCaps, Values, cluster};
use document::Origin;
pub use error::ConfigError;
pub use refs::wanted;
pub use verification::verification;

use crate::{
    loader::file,
    spec::{self, PolicySpec},
};

/// Reads policies from files and folders; every error of every file is reported. Documents of the kinds that authors
/// keep beside them (PolicyManifest, PolicyTest) are passed over.
///
/// In folders, every file that ends with `.yaml`, `.yml` or `.json` is read, folders in them too; each file once. Names
/// that start with a dot are passed over: that is where Kubernetes keeps the versions of a mounted ConfigMap.
///
/// # Errors
/// What is wrong, in the order of the files, and files without any policy; never empty.
pub fn read(paths: &[PathBuf]) -> Result<Vec<PolicySpec>, Vec<ConfigError>> {
    let found = read_each(paths);
    let mut wrong = found.wrong();
    if wrong.is_empty() {
        wrong.extend(found.nothing(paths));
    }
    if wrong.is_empty() { Ok(found.specs().cloned().collect()) } else { Err(wrong) }
}

/// Its policies; or those of its documents that are good, and what is wrong with the others.
pub type InFile = Result<Vec<PolicySpec>, (Vec<PolicySpec>, Vec<ConfigError>)>;

/// What is in files and folders, file by file.
#[derive(Debug)]
pub struct Found {
    /// Each with its policies.
    pub files: Vec<(PathBuf, InFile)>,
    /// What cannot be looked at.
    pub errors: Vec<ConfigError>,
}

impl Found {
    /// The policies of all documents that are good.
    pub fn specs(&self) -> impl Iterator<Item = &PolicySpec> + Clone {
        self.files.iter().flat_map(|(_, found)| match found {
            Ok(specs) | Err((specs, _)) => specs.iter(),
        })
    }

    /// Everything that is wrong with any file, names that several policies have included.
    pub fn wrong(&self) -> Vec<ConfigError> {
        let of_files = self.files.iter().filter_map(|(_, found)| found.as_ref().err()).flat_map(|(_, wrong)| wrong);
        let mut errors: Vec<ConfigError> = self.errors.iter().chain(of_files).cloned().collect();
        errors.extend(duplicates(self.specs()));
        errors
    }

    /// That there is no policy at all, where there should be some: whoever names `paths` wants policies, and without any, a server would be
    /// ready and refuse nothing.
    pub fn nothing(&self, paths: &[PathBuf]) -> Option<ConfigError> {
        let named: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let words = "expected at least one policy, found none";
        self.specs().next().is_none().then(|| about(Path::new(&named.join(", ")), words))
    }
}

/// As [`read`], each file by itself. Names that several have are not looked for.
pub fn read_each(paths: &[PathBuf]) -> Found {
    let (files, errors) = files::find(paths);
    let read = |path: PathBuf| {
        let (mut specs, mut errors) = (Vec::new(), Vec::new());
        match text(&path) {
            Ok(text) => {
                let folder = path.parent().unwrap_or(Path::new("."));
                documents(&text, &path.display().to_string(), folder, &mut specs, &mut errors);
            }
            Err(message) => errors.push(about(&path, message)),
        }
        (path, if errors.is_empty() { Ok(specs) } else { Err((specs, errors)) })
    };
    Found { files: files.into_iter().map(read).collect(), errors }
}

/// The files that hold documents, of files and folders; None: something cannot be looked at.
pub fn files(paths: &[PathBuf]) -> Option<Vec<PathBuf>> {
    let (files, errors) = files::find(paths);
    errors.is_empty().then_some(files)
}

/// Parses the documents of one text. `source` names it in messages; paths in it are relative to `base_dir`.
///
/// # Errors
/// What is wrong with each document; never empty.
pub fn parse(text: &str, source: &str, base_dir: &Path) -> Result<Vec<PolicySpec>, Vec<ConfigError>> {
    let mut specs = Vec::new();
    let mut errors = Vec::new();
    documents(text, source, base_dir, &mut specs, &mut errors);
    finished(specs, errors)
}

/// The object of a request: one document, which names no file. `given` are the components that came with it, or before, by their digest.
/// `fetches`: whether it may name what has to be fetched.
///
/// # Errors
/// What is wrong with it; never empty.
pub fn registered(
    text: &str,
    given: &dyn Fn(spec::Digest) -> Option<spec::Given>,
    fetches: bool,
) -> Result<PolicySpec, Vec<ConfigError>> {
    let mut documents = yaml::documents(text).into_iter();
    let (Some(document), None) = (documents.next(), documents.next()) else {
        return Err(vec![about(Path::new(REGISTERED), "expected one object")]);
    };
    let node = document.map_err(|wrong| problems(REGISTERED, wrong))?;
    let origin = Origin::Request { given, fetches };
    let place = document::Place { file: REGISTERED, document: REGISTERED.to_owned(), origin };
    document::policy(&node, &place)
}

impl PolicySpec {
    /// A policy named like the built-in component that it runs, with every default.
    pub fn builtin(name: &str) -> Self {
        Self::alone(name, spec::Location::Builtin(name.to_owned()), format!("builtin:{name}"))
    }

    /// A policy of a component's file, with every default.
    pub fn file(name: &str, path: &Path) -> Self {
        Self::alone(name, spec::Location::File(path.to_owned()), path.display().to_string())
    }

    /// A policy of an image in a registry, named like its repository, with every default.
    pub fn image(image: spec::Image) -> Self {
        let path = image.repository().path();
        let name = path.rsplit('/').next().unwrap_or(path).replace(['.', '_'], "-");
        let source = image.to_string();
        Self::alone(&name, spec::Location::Image(image), source)
    }

    /// One of which nobody knows more than that it was there.
    pub(crate) fn unknown(kind: spec::Kind, name: &str) -> Self {
        let location = spec::Location::Builtin(name.to_owned());
        let runs = spec::Runs::Component(spec::ComponentRef::new(location));
        Self::of(Some(kind), name, runs, REGISTERED.to_owned())
    }

    fn alone(name: &str, location: spec::Location, source: String) -> Self {
        Self::of(None, name, spec::Runs::Component(spec::ComponentRef::new(location)), source)
    }

    /// With every default.
    fn of(kind: Option<spec::Kind>, name: &str, runs: spec::Runs, source: String) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            source,
            revision: None,
            fields: BTreeMap::new(),
            expects: None,
            runs,
            settings: None,
            settings_lines: BTreeMap::new(),
            actions: spec::Actions::DECIDE,
            failure_policy: spec::FailurePolicy::Fail,
            limit_policy: spec::LimitPolicy::Fail,
            order: spec::DEFAULT_ORDER,
            matching: spec::MatchSpec::default(),
            own_constraints: false,
            limits: spec::Limits::default(),
            instance_policy: spec::Instances::default(),
            grants: spec::Grants::default(),
            files: Vec::new(),
            message: None,
            kubewarden: None,
            operation: None,
            events: Vec::new(),
            account: None,
            also_answers: Vec::new(),
        }
    }
}

/// Adds what is good to `specs` even where the rest is wrong, so that names are compared over everything.
fn documents(text: &str, source: &str, folder: &Path, specs: &mut Vec<PolicySpec>, errors: &mut Vec<ConfigError>) {
    let documents = yaml::documents(text);
    if documents.is_empty() {
        errors.push(about(Path::new(source), "it holds no policy"));
    }
    let several = documents.len() > 1;
    for (index, document) in documents.into_iter().enumerate() {
        let named = if several { format!("{source}, document {}", index + 1) } else { source.to_owned() };
        let place = document::Place { file: source, document: named, origin: Origin::Folder(folder) };
        match document {
            // What authors keep beside an example of a policy.
            Ok(node) if document::is_of_author(&node) => {}
            Ok(node) if kubewarden::is_policies(&node) => {
                match kubewarden::policies(&node, place.file, &place.document, folder) {
                    Ok(found) => specs.extend(found),
                    Err(wrong) => errors.extend(wrong),
                }
            }
            Ok(node) => match document::policy(&node, &place) {
                Ok(spec) => specs.push(spec),
                Err(wrong) => errors.extend(wrong),
            },
            Err(wrong) => errors.extend(problems(source, wrong)),
        }
    }
}

/// What made `source` unreadable.
pub(crate) fn problems(source: &str, problems: Vec<yaml::Problem>) -> Vec<ConfigError> {
    let error = |problem: yaml::Problem| ConfigError {
        source: format!("{source}:{}", problem.line),
        object: None,
        field: None,
        message: problem.message,
    };
    problems.into_iter().map(error).collect()
}

fn finished(specs: Vec<PolicySpec>, mut errors: Vec<ConfigError>) -> Result<Vec<PolicySpec>, Vec<ConfigError>> {
    errors.extend(duplicates(&specs));
    if errors.is_empty() { Ok(specs) } else { Err(errors) }
}

/// Names that two policies of one kind have.
pub(crate) fn duplicates<'a>(specs: impl IntoIterator<Item = &'a PolicySpec> + Clone) -> Vec<ConfigError> {
    let mut seen: BTreeMap<(Option<spec::Kind>, String), &str> = BTreeMap::new();
    let mut errors = Vec::new();
    for spec in specs {
        if let Some(first) = seen.insert(name_of(spec), &spec.source) {
            errors.push(ConfigError {
                source: spec.source.clone(),
                object: Some(spec.title()),
                field: Some(spec.field("metadata.name")),
                message: format!("the name is already used in {first}"),
            });
        }
    }
    errors
}

/// What no two objects have in common: those that are asked at the same path cannot have the same name.
pub(crate) fn name_of(spec: &PolicySpec) -> (Option<spec::Kind>, String) {
    let kind = match spec.kind {
        Some(spec::Kind::PolicyGroup) => Some(spec::Kind::Validator),
        Some(_) if spec.kubewarden.is_some() => Some(spec::Kind::Validator),
        kind => kind,
    };
    (kind, spec.name.clone())
}

/// A file of at most [`MAX_FILE`] bytes.
fn text(path: &Path) -> Result<String, String> {
    let bytes = file::read(path, MAX_FILE).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn about(path: &Path, message: impl Into<String>) -> ConfigError {
    ConfigError { source: path.display().to_string(), object: None, field: None, message: message.into() }
}

/// What messages call an object that is in no file.
const REGISTERED: &str = "registered";
/// Bytes of one file of policies.
const MAX_FILE: u64 = 4 << 20;

#[cfg(test)]
mod tests;
