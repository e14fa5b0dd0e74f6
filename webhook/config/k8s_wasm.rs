//! The three files of k8s-wasm (`dvob/k8s-wasm`, docs/user-doc/README.md), unchanged: lists of modules, of which the file decides what they
//! are asked.
//!
//! Owns how their modules become policies, and what an operator must know of the difference. Says nothing of what modules are.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use super::{
    ConfigError, about, document, duplicates,
    fields::{Field, Object, Report},
    rules, text,
    walk::{Schema, without_nulls},
    yaml::{self, Node, Value},
};
use crate::spec::{
    FailurePolicy, Family, Kind, MatchSpec, PolicySpec,
    declared::{Constraints, ResourceRule},
    schema,
};

/// Where the files are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Of kube-apiserver's `--authentication-wasm-config-file` there.
    pub authentication: Option<PathBuf>,
    /// Of `--authorization-wasm-config-file`.
    pub authorization: Option<PathBuf>,
    /// Of the admission plug-in `WASM`, or the AdmissionConfiguration that names it.
    pub admission: Option<PathBuf>,
}

impl Files {
    /// Each with what its modules are asked.
    fn named(&self) -> impl Iterator<Item = (Of, &Path)> {
        let all = [
            (Of::Authentication, &self.authentication),
            (Of::Authorization, &self.authorization),
            (Of::Admission, &self.admission),
        ];
        all.into_iter().filter_map(|(of, path)| Some((of, path.as_deref()?)))
    }
}

/// What the files say.
#[derive(Debug, Default)]
pub struct Modules {
    /// Each module that can be asked. Their order is that of the file, from zero.
    pub policies: Vec<PolicySpec>,
    /// What an operator should know of them, each with its place.
    pub warnings: Vec<ConfigError>,
}

/// Reads the modules of all files, to be served beside `others`. Relative paths are relative to the folder of the file in which they
/// stand.
///
/// # Errors
/// Everything that is wrong with any of them, names that others have, and that there is nothing at all to serve; never empty.
pub fn read(files: &Files, others: &[PolicySpec]) -> Result<Modules, Vec<ConfigError>> {
    let mut reader = Reader::default();
    for (of, path) in files.named() {
        reader.file(of, path, of == Of::Admission);
    }
    let Reader { modules, mut errors } = reader;
    errors.extend(duplicates(others.iter().chain(&modules.policies)));
    if modules.policies.is_empty() && others.is_empty() && errors.is_empty() {
        let named: Vec<String> = files.named().map(|(_, path)| path.display().to_string()).collect();
        errors.push(about(Path::new(&named.join(", ")), "expected at least one module with rules, found none"));
    }
    if errors.is_empty() { Ok(modules) } else { Err(errors) }
}

/// What a file's modules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Authentication,
    Authorization,
    Admission,
}

#[derive(Default)]
struct Reader {
    modules: Modules,
    errors: Vec<ConfigError>,
}

impl Reader {
    /// `names_another`: it may be an AdmissionConfiguration, which may name the file of the modules.
    fn file(&mut self, of: Of, path: &Path, names_another: bool) {
        let node = match node(path) {
            Ok(node) => node,
            Err(wrong) => return self.errors.extend(wrong),
        };
        let named = path.display().to_string();
        let place = Place { of, file: &named, folder: path.parent().unwrap_or(Path::new(".")) };
        let mut report = Report::new(&named);
        let root = Field::root(&node);
        let found = if names_another && (root.at("kind").is_some() || root.at("plugins").is_some()) {
            plug_in(&root, place.folder, &mut report)
        } else {
            Some(Found::Here(root))
        };
        let elsewhere = match found {
            Some(Found::Here(configuration)) => {
                self.configuration(&configuration, &place, &mut report);
                None
            }
            Some(Found::In(path)) => Some(path),
            None => None,
        };
        self.errors.extend(report.finish().err().unwrap_or_default());
        if let Some(path) = elsewhere {
            self.file(of, &path, false);
        }
    }

    fn configuration(&mut self, configuration: &Field<'_>, place: &Place<'_>, report: &mut Report<'_>) {
        let Some(fields) = configuration.object(&["modules"], report) else { return };
        let Some(modules) = fields.required("modules", report) else { return };
        match &modules.node.value {
            Value::List(items) if items.is_empty() => modules.error(report, "expected at least one module"),
            _ => {}
        }
        if place.of == Of::Authorization {
            self.warn(
                place,
                modules,
                "an error of one of these modules is no opinion, as in k8s-wasm: the next is asked",
            );
        }
        for (order, module) in (0..).zip(modules.list(report)) {
            let policy = self.module(&module, order, place, report);
            self.modules.policies.extend(policy);
        }
    }

    /// None after an error was reported, or a warning that it is never asked.
    fn module(
        &mut self,
        module: &Field<'_>,
        order: i32,
        place: &Place<'_>,
        report: &mut Report<'_>,
    ) -> Option<PolicySpec> {
        let of_admission = place.of == Of::Admission;
        let known = if of_admission { &FIELDS[..] } else { &FIELDS[..COMMON] };
        let why = |key: &str| FIELDS.contains(&key).then(|| "is a field of modules for admission only".to_owned());
        let fields = module.object_with(known, why, report)?;
        let path = fields.required("module", report).and_then(|field| match field.text(report)? {
            "" => {
                field.expected(report, "the path of a file");
                None
            }
            path => Some(path),
        });
        let name = name(module, &fields, path, report);
        let debug = fields.optional("debug").filter(|it| it.boolean(report) == Some(true));
        let family = fields.optional("type").and_then(|it| it.choice(&TYPES, report)).unwrap_or(Family::K8sWasm);
        let mutates = fields.optional("mutating").and_then(|it| it.boolean(report)).unwrap_or_default();
        let rules = fields.optional("rules").map(|it| resource_rules(it, report)).unwrap_or_default();
        let settings = fields.optional("settings");
        if let Some(settings) = settings
            && family == Family::Kubewarden
            && !matches!(settings.node.value, Value::Map(_))
        {
            settings.expected_secret(report, "a mapping");
        }
        if let Some(debug) = debug {
            self.warn(place, debug, DEBUG_IS_IGNORED);
        }
        if of_admission && rules.is_empty() {
            self.warn(place, module, "left out: a module without rules is never asked, as in k8s-wasm");
            return None;
        }
        let mut settings_lines = BTreeMap::new();
        if let Some(settings) = settings {
            document::lines(settings.node, String::new(), place.file, &mut settings_lines);
        }
        let path: PathBuf = place.folder.join(path?).components().collect();
        let common = PolicySpec {
            source: format!("{}:{}", place.file, module.node.line),
            fields: FIELDS_OF_OBJECTS.map(|(ours, theirs)| (ours, format!("{}{theirs}", module.path))).into(),
            expects: Some(family),
            settings: settings.map(|it| it.node.json().to_string()),
            settings_lines,
            order,
            ..PolicySpec::file(&name?, &path)
        };
        Some(match place.of {
            Of::Authentication => PolicySpec { kind: Some(Kind::Authenticator), ..common },
            Of::Authorization => {
                PolicySpec { kind: Some(Kind::Authorizer), failure_policy: FailurePolicy::NoOpinion, ..common }
            }
            Of::Admission => PolicySpec {
                kind: Some(if mutates { Kind::Mutator } else { Kind::Validator }),
                matching: matching(rules),
                own_constraints: true,
                ..common
            },
        })
    }

    fn warn(&mut self, place: &Place<'_>, field: &Field<'_>, message: &str) {
        self.modules.warnings.push(ConfigError {
            source: format!("{}:{}", place.file, field.node.line),
            object: None,
            field: Some(field.path.clone()),
            message: message.to_owned(),
        });
    }
}

/// A file of modules, or the part of one that holds them.
struct Place<'a> {
    of: Of,
    file: &'a str,
    folder: &'a Path,
}

/// Where the configuration of a plug-in is.
enum Found<'n> {
    Here(Field<'n>),
    In(PathBuf),
}

/// The plug-in `WASM` of an AdmissionConfiguration; others are none of ours. None after an error was reported.
fn plug_in<'n>(root: &Field<'n>, folder: &Path, report: &mut Report<'_>) -> Option<Found<'n>> {
    let fields = root.object(&["apiVersion", "kind", "plugins"], report)?;
    for (name, word) in [("apiVersion", "apiserver.config.k8s.io/v1"), ("kind", "AdmissionConfiguration")] {
        if let Some(field) = fields.required(name, report) {
            field.choice(&[(word, ())], report);
        }
    }
    let plugins = fields.required("plugins", report)?;
    let is_ours = |it: &Field<'_>| it.at("name").is_some_and(|name| name.words() == Some(PLUG_IN));
    let mut ours = plugins.list(report).into_iter().filter(is_ours);
    let Some(plugin) = ours.next() else {
        plugins.error(report, format!("expected the plug-in {PLUG_IN}"));
        return None;
    };
    if let Some(again) = ours.next() {
        again.error(report, format!("the plug-in {PLUG_IN} is listed twice"));
    }
    let fields = plugin.object(&["name", "path", "configuration"], report)?;
    match (fields.optional("path"), fields.optional("configuration")) {
        (None, Some(configuration)) => Some(Found::Here(configuration.clone())),
        (Some(path), None) => Some(Found::In(folder.join(path.text(report)?))),
        _ => {
            plugin.error(report, "expected one of path and configuration");
            None
        }
    }
}

/// The one document of a file.
fn node(path: &Path) -> Result<Node, Vec<ConfigError>> {
    let text = text(path).map_err(|message| vec![about(path, message)])?;
    let mut documents = yaml::documents(&text).into_iter();
    match (documents.next(), documents.next()) {
        (Some(document), None) => document.map_err(|wrong| super::problems(&path.display().to_string(), wrong)),
        _ => Err(vec![about(path, "expected one document")]),
    }
}

/// What a module is called: as it is written, else as its file. None after an error was reported.
fn name(module: &Field<'_>, fields: &Object<'_>, path: Option<&str>, report: &mut Report<'_>) -> Option<String> {
    let (field, written) = match fields.optional("name") {
        Some(field) => (field, field.text(report)?),
        None => {
            let file = Path::new(path?).file_name().and_then(|it| it.to_str()).unwrap_or_default();
            (module, file.strip_suffix(".wasm").unwrap_or(file))
        }
    };
    let label = label(written);
    if label.is_empty() {
        field.error(report, "expected a name with a letter from a to z or a digit");
        return None;
    }
    Some(label)
}

/// The DNS-1123 label nearest to a text; empty if nothing of it can stay.
fn label(text: &str) -> String {
    let mut label = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            label.push(letter.to_ascii_lowercase());
        } else if !label.is_empty() && !label.ends_with('-') {
            label.push('-');
        }
    }
    label.truncate(MAX_NAME);
    label.trim_end_matches('-').to_owned()
}

/// Admissionregistration's RuleWithOperations; empty after an error was reported, too.
fn resource_rules(rules: &Field<'_>, report: &mut Report<'_>) -> Vec<ResourceRule> {
    let before = report.errors.len();
    for rule in rules.list(report) {
        // Of our own rules they lack only this.
        if let Some(names) = rule.at("resourceNames") {
            names.error(report, "is not a field of k8s-wasm's rules");
        }
        if let Some(schema) = &*RULE {
            schema.check(&rule, report, &|_, _| None);
        }
    }
    if report.errors.len() > before {
        return Vec::new();
    }
    serde_json::from_value(without_nulls(rules.node)).unwrap_or_else(|_| {
        rules.error(report, "it cannot be read");
        Vec::new()
    })
}

fn matching(resource_rules: Vec<ResourceRule>) -> MatchSpec {
    rules::read(Some(Constraints { resource_rules, ..Constraints::default() }), Vec::new())
}

static RULE: LazyLock<Option<Schema>> = LazyLock::new(|| Schema::compile(&schema::schema::<ResourceRule>()).ok());

/// Of a module; those for admission only come after [`COMMON`] others.
const FIELDS: [&str; 7] = ["name", "module", "settings", "debug", "type", "mutating", "rules"];
const COMMON: usize = 4;
const TYPES: [(&str, Family); 2] = [("wasi", Family::K8sWasm), ("kubewarden", Family::Kubewarden)];
/// What loading complains about, and how it is called below a module.
const FIELDS_OF_OBJECTS: [(&str, &str); 4] =
    [("metadata.name", ".name"), ("spec", ""), ("spec.component", ".module"), ("spec.settings", ".settings")];
/// As kube-apiserver would know it.
const PLUG_IN: &str = "WASM";
const DEBUG_IS_IGNORED: &str =
    "ignored: what modules are asked and answer is never logged, since it holds tokens and secrets";
/// Bytes of a DNS-1123 label.
const MAX_NAME: usize = 63;

#[cfg(test)]
mod tests;
