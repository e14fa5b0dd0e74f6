//! Policies as YAML: `kind: Policy`, parsed once into values that need no further checks.
//!
//! Owns which files are read and what is wrong with them: every error of every file is reported, with its place.
//! What can only be judged with the component at hand is in [`interfaces`].

mod component;
mod document;
mod fields;
mod interfaces;
pub(crate) mod names;
mod quantity;
mod rules;
pub mod schema;
mod yaml;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use schema::{ConfigError, PolicySpec};

use crate::loader::file;

/// Reads policies from files and folders; every error of every file is reported.
///
/// In folders, every file that ends with `.yaml`, `.yml` or `.json` is read, folders in them too. Names that start
/// with a dot are passed over: that is where Kubernetes keeps the versions of a mounted ConfigMap.
///
/// # Errors
/// What is wrong, in the order of the files; never empty.
pub fn read(paths: &[PathBuf]) -> Result<Vec<PolicySpec>, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut files = BTreeSet::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            list(path, 0, &mut files, &mut errors);
            if files.len() == before && errors.is_empty() {
                errors.push(about(path, "the folder has no .yaml, .yml or .json file"));
            }
        } else {
            files.insert(path.clone());
        }
    }
    let mut specs = Vec::new();
    for path in files {
        let text = match file::read(&path, MAX_FILE) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        let parsed = text
            .map_err(|message| vec![about(&path, message)])
            .and_then(|text| parse(&text, &path.display().to_string(), path.parent().unwrap_or(Path::new("."))));
        match parsed {
            Ok(parsed) => specs.extend(parsed),
            Err(wrong) => errors.extend(wrong),
        }
    }
    errors.extend(duplicates(&specs));
    if errors.is_empty() { Ok(specs) } else { Err(errors) }
}

/// Parses the documents of one text. `source` names it in messages; paths in it are relative to `base_dir`.
///
/// # Errors
/// What is wrong with each document; never empty.
pub fn parse(text: &str, source: &str, base_dir: &Path) -> Result<Vec<PolicySpec>, Vec<ConfigError>> {
    let documents = yaml::documents(text);
    let several = documents.len() > 1;
    let mut specs = Vec::new();
    let mut errors = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let named = if several { format!("{source}, document {}", index + 1) } else { source.to_owned() };
        let place = document::Place { file: source, document: named, folder: base_dir };
        match document {
            Ok(node) => match document::policy(&node, &place) {
                Ok(spec) => specs.push(spec),
                Err(wrong) => errors.extend(wrong),
            },
            Err(problems) => errors.extend(problems.into_iter().map(|problem| ConfigError {
                source: format!("{source}:{}", problem.line),
                policy: None,
                field: None,
                message: problem.message,
            })),
        }
    }
    if specs.is_empty() && errors.is_empty() {
        errors.push(about(Path::new(source), "it holds no document of kind Policy"));
    }
    if errors.is_empty() { Ok(specs) } else { Err(errors) }
}

impl PolicySpec {
    /// A policy named like the built-in component that it runs, with every default.
    pub fn builtin(name: &str) -> Self {
        Self::of(name, schema::Location::Builtin(name.to_owned()), format!("builtin:{name}"))
    }

    /// A policy of a component's file, with every default.
    pub fn file(name: &str, path: &Path) -> Self {
        Self::of(name, schema::Location::File(path.to_owned()), path.display().to_string())
    }

    fn of(name: &str, location: schema::Location, source: String) -> Self {
        Self {
            name: name.to_owned(),
            source,
            component: schema::ComponentRef { location, digest: None },
            settings: "{}".to_owned(),
            mode: schema::Mode::Enforce,
            failure_policy: schema::FailurePolicy::Fail,
            on_limit: schema::OnLimit::Fail,
            order: document::DEFAULT_ORDER,
            matching: schema::MatchSpec::default(),
            limits: crate::engine::Limits::default(),
            grants: crate::engine::Grants::default(),
            message: None,
        }
    }
}

fn list(folder: &Path, depth: usize, files: &mut BTreeSet<PathBuf>, errors: &mut Vec<ConfigError>) {
    if depth > MAX_DEPTH {
        errors.push(about(folder, format!("folders nest deeper than {MAX_DEPTH}")));
        return;
    }
    let entries = match fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => {
            errors.push(about(folder, error.to_string()));
            return;
        }
    };
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            list(&path, depth + 1, files, errors);
        } else if path.extension().is_some_and(|it| it == "yaml" || it == "yml" || it == "json") {
            files.insert(path);
        }
    }
}

fn duplicates(specs: &[PolicySpec]) -> Vec<ConfigError> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let mut errors = Vec::new();
    for spec in specs {
        if let Some(first) = seen.insert(&spec.name, &spec.source) {
            errors.push(ConfigError {
                source: spec.source.clone(),
                policy: Some(spec.name.clone()),
                field: Some("metadata.name".to_owned()),
                message: format!("the name is already used in {first}"),
            });
        }
    }
    errors
}

fn about(path: &Path, message: impl Into<String>) -> ConfigError {
    ConfigError { source: path.display().to_string(), policy: None, field: None, message: message.into() }
}

/// Bytes of one file of policies.
const MAX_FILE: u64 = 4 << 20;
const MAX_DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, more: &str) -> String {
        format!(
            "apiVersion: verdict.dev/v1alpha1\nkind: Policy\nmetadata: {{name: {name}}}\nspec:\n  component: builtin:x\n{more}"
        )
    }

    fn errors(text: &str) -> Vec<String> {
        parse(text, "f.yaml", Path::new("/p")).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_example_of_the_design_is_read() {
        let specs = parse(
            r#"
apiVersion: verdict.dev/v1alpha1
kind: Policy
metadata: {name: team-labels}
spec:
  component: ./required-labels.wasm
  settings: {labels: [team], big: 12345678901234567890123}
  mode: Warn
  failurePolicy: Ignore
  onLimit: Ignore
  order: 7
  match:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], resources: [deployments], operations: [CREATE, UPDATE]}
  limits: {time: 250ms, memory: 32Mi}
  grants: {env: {SHIFT_AMOUNT: "5"}, log: true}
  message: every deployment names its team
"#,
            "f.yaml",
            Path::new("/p"),
        )
        .unwrap();
        let spec = &specs[0];
        assert_eq!(spec.settings, r#"{"big":12345678901234567890123,"labels":["team"]}"#);
        assert_eq!((spec.mode, spec.order), (schema::Mode::Warn, 7));
        assert_eq!(spec.limits.memory, 32 << 20);
        assert_eq!(spec.grants.env["SHIFT_AMOUNT"], "5");
        assert_eq!(spec.matching.resource_rules[0].resources, ["deployments"]);
    }

    #[test]
    fn every_error_names_its_line_policy_and_field() {
        let text = format!(
            "{}---\n{}",
            policy(
                "one",
                "  match: {resourceRules: [{apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [create]}]}\n  modes: Warn\n"
            ),
            policy("two", "  limits: {time: 5h}\n")
        );
        let all = errors(&text);
        assert_eq!(all.len(), 3, "{all:#?}");
        assert!(
            all.iter()
                .any(|it| it.starts_with("f.yaml:6: policy one: spec.match.resourceRules[0].operations[0]: expected")),
            "{all:#?}"
        );
        assert!(all.iter().any(|it| it.starts_with("f.yaml:7: policy one: spec.modes: ")), "{all:#?}");
        assert!(all.iter().any(|it| it.starts_with("f.yaml:14: policy two: spec.limits.time: expected")), "{all:#?}");
    }

    #[test]
    fn a_name_is_used_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), policy("same", "")).unwrap();
        fs::write(folder.path().join("b.yml"), policy("same", "")).unwrap();
        fs::write(folder.path().join(".hidden.yaml"), "not: [yaml").unwrap();
        let errors = read(&[folder.path().to_owned()]).unwrap_err();
        assert!(errors[0].to_string().contains("the name is already used in"), "{errors:?}");
    }

    #[test]
    fn nothing_to_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(&[folder.path().to_owned()]).is_err());
        assert!(read(&[folder.path().join("missing.yaml")]).is_err());
        assert!(!errors("# nothing\n").is_empty());
    }
}
