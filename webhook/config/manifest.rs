//! `verdict.yaml`: the manifest that an author writes, as [`crate::component::manifest::Manifest`].

use std::{collections::BTreeMap, path::Path};

use serde_json::Value as Json;

use super::{
    ConfigError, MAX_FILE, about, document,
    fields::{Field, Object, Report},
    names::is_dns_label,
    rules::match_spec,
    yaml::{self, Node, Value},
};
use crate::{
    component::manifest::{Import, MAX_TEXT, Manifest, Wanted, schema::Schema},
    loader::file,
    spec::{Kind, MatchSpec},
    text::is_hostile,
};

/// The file of a policy's folder that holds its manifest.
pub const FILE: &str = "verdict.yaml";

/// Reads `verdict.yaml` of `folder`; None: there is none.
///
/// # Errors
/// What is wrong with it, each with its line; never empty.
pub fn manifest(folder: &Path) -> Result<Option<Manifest>, Vec<ConfigError>> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let text = text(&path).map_err(|message| vec![about(&path, message)])?;
    let named = path.display().to_string();
    let mut documents = yaml::documents(&text).into_iter();
    let (Some(document), None) = (documents.next(), documents.next()) else {
        return Err(vec![about(&path, format!("expected one document of kind {KIND}"))]);
    };
    let node = document.map_err(|problems| super::problems(&named, problems))?;
    let mut report = Report { source: &named, object: None, errors: Vec::new() };
    let manifest = read(&node, folder, &mut report);
    if report.errors.is_empty() { Ok(manifest) } else { Err(report.errors) }
}

/// The default match rules of a component's manifest.
///
/// # Errors
/// What is wrong with them; never empty.
pub fn default_match(manifest: &Manifest) -> Result<MatchSpec, Vec<ConfigError>> {
    let (constraints, conditions) = (&manifest.match_constraints, &manifest.match_conditions);
    let given = MATCH.into_iter().zip([constraints, conditions]).filter_map(|(name, it)| Some((name, it.clone()?)));
    let rules = Json::Object(given.map(|(name, it)| (name.to_owned(), it)).collect());
    let named = "the component's manifest";
    let mut report = Report { source: named, object: None, errors: Vec::new() };
    let Some(document) = yaml::documents(&rules.to_string()).into_iter().next() else {
        return Ok(MatchSpec::default());
    };
    let node = document.map_err(|problems| super::problems(named, problems))?;
    let spec = Field::root(&node)
        .object(&MATCH, &mut report)
        .map(|it| match_spec(&it, Kind::Validator, &mut report))
        .unwrap_or_default();
    if report.errors.is_empty() { Ok(spec) } else { Err(report.errors) }
}

/// None only after an error was reported.
fn read(node: &Node, folder: &Path, report: &mut Report<'_>) -> Option<Manifest> {
    let document = Field::root(node).object(FIELDS, report)?;
    for (name, word) in [("apiVersion", document::AUTHOR_API_VERSION), ("kind", KIND)] {
        if let Some(field) = document.required(name, report) {
            field.choice(&[(word, ())], report);
        }
    }
    let name = document.required("name", report).and_then(|field| {
        let name = field.text(report)?;
        if is_dns_label(name) {
            return Some(name.to_owned());
        }
        field.expected(report, document::NAME);
        None
    });
    let version = text_of(&document, "version", report);
    if let (Some(version), Some(field)) = (&version, document.optional("version"))
        && semver::Version::parse(version).is_err()
    {
        field.expected(report, "a semantic version such as 0.1.0");
    }
    let authors = document.optional("authors").map(|field| field.texts(report)).unwrap_or_default();
    let authors = authors.into_iter().filter_map(|(field, text)| line(&field, text, report)).collect();
    // What a manifest says of it is for admission.
    match_spec(&document, Kind::Validator, report);
    let json = |name| document.optional(name).map(|field| field.node.json());
    Some(Manifest {
        version,
        description: text_of(&document, "description", report),
        authors,
        license: text_of(&document, "license", report),
        source: text_of(&document, "source", report),
        settings: document.optional("settings").and_then(|field| settings(field, folder, report)),
        match_constraints: json("matchConstraints"),
        match_conditions: json("matchConditions"),
        imports: document.optional("imports").map(|field| imports(field, report)),
        grants: document.optional("grants").map(|field| grants(field, report)).unwrap_or_default(),
        name: name?,
    })
}

fn text_of(document: &Object<'_>, name: &str, report: &mut Report<'_>) -> Option<String> {
    let field = document.optional(name)?;
    line(field, field.text(report)?, report)
}

/// As it will be shown: one line.
fn line(field: &Field<'_>, text: &str, report: &mut Report<'_>) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_TEXT || text.contains(is_hostile) {
        field.error(report, format!("expected one line of at most {MAX_TEXT} bytes, without invisible characters"));
        return None;
    }
    Some(text.to_owned())
}

/// The schema, written here or in a file of JSON. It must be one, and its examples must be settings by it.
fn settings(field: &Field<'_>, folder: &Path, report: &mut Report<'_>) -> Option<Json> {
    let schema = match &field.node.value {
        Value::Map(_) => field.node.json(),
        Value::Text(name) => {
            let path = folder.join(name);
            let parsed = text(&path).and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
            match parsed {
                Ok(schema) => schema,
                Err(message) => {
                    field.error(report, format!("{}: {message}", path.display()));
                    return None;
                }
            }
        }
        _ => {
            field.expected(report, "a JSON Schema, or the path of a JSON file that is one");
            return None;
        }
    };
    match Schema::compile(&schema) {
        Ok(compiled) => {
            let examples = schema.get("examples").and_then(Json::as_array);
            for (index, example) in examples.into_iter().flatten().enumerate() {
                for wrong in compiled.check(example) {
                    field.error(report, format!("/examples/{index}{}: {}", wrong.path, wrong.message));
                }
            }
        }
        Err(message) => field.error(report, format!("this is no JSON Schema: {message}")),
    }
    Some(schema)
}

/// Each of them once.
fn imports(field: &Field<'_>, report: &mut Report<'_>) -> Vec<Import> {
    let mut imports = Vec::new();
    for item in field.list(report) {
        let Some(import) = item.choice(&Import::ALL.map(|it| (it.name(), it)), report) else { continue };
        if imports.contains(&import) {
            item.error(report, "is listed twice");
        }
        imports.push(import);
    }
    imports
}

fn grants(field: &Field<'_>, report: &mut Report<'_>) -> Wanted {
    let Some(object) = field.object(&["env", "log"], report) else {
        return Wanted::default();
    };
    let mut env = BTreeMap::new();
    for (name, what) in object.optional("env").map(|field| field.entries(report)).unwrap_or_default() {
        if let Some(text) = what.text(report).and_then(|text| line(&what, text, report)) {
            env.insert(name.to_owned(), text);
        }
    }
    Wanted { env, log: object.optional("log").and_then(|field| field.boolean(report)).unwrap_or_default() }
}

fn text(path: &Path) -> Result<String, String> {
    let bytes = file::read(path, MAX_FILE).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

pub(super) const KIND: &str = "PolicyManifest";
const FIELDS: &[&str] = &[
    "apiVersion",
    "kind",
    "name",
    "version",
    "description",
    "authors",
    "license",
    "source",
    "settings",
    "matchConstraints",
    "matchConditions",
    "imports",
    "grants",
];
const MATCH: [&str; 2] = ["matchConstraints", "matchConditions"];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HEAD: &str = "apiVersion: author.verdict.dev/v1alpha1\nkind: PolicyManifest\n";

    fn read(text: &str, schema: &str) -> Result<Manifest, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), format!("{HEAD}{text}")).unwrap();
        fs::write(folder.path().join("schema.json"), schema).unwrap();
        let found = manifest(folder.path());
        let place = format!("{}/", folder.path().display());
        found
            .map(Option::unwrap)
            .map_err(|errors| errors.iter().map(|it| it.to_string().replace(&place, "")).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn a_whole_manifest() {
        let text = "name: a\nversion: 1.0.0\ndescription: It does.\nauthors: [Jane]\nlicense: MIT\n\
            settings: schema.json\nmatchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [CREATE]}]}\n\
            imports: [review]\ngrants: {env: {KEY: signs tokens}, log: true}\n";
        let found = read(text, r#"{"type": "object", "examples": [{}]}"#).unwrap();
        assert_eq!((found.name.as_str(), found.authors.len(), found.examples().len()), ("a", 1, 1));
        assert_eq!(found.imports(), [Import::Review]);
        assert_eq!(read("name: a\n", "{}").unwrap().imports(), Import::DEFAULT);
        assert_eq!(found.grants.env["KEY"], "signs tokens");
        let rules = default_match(&found).unwrap();
        assert_eq!(rules.resource_rules[0].resources, ["pods"]);
        assert!(manifest(tempfile::tempdir().unwrap().path()).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, schema, expected) in [
            ("name: A b\n", "{}", "verdict.yaml:3: name: expected at most 63 lower-case letters"),
            ("name: a\nversion: one\n", "{}", "verdict.yaml:4: version: expected a semantic version such as 0.1.0"),
            ("name: a\nlicence: MIT\n", "{}", "verdict.yaml:4: licence: is not a field; did you mean license?"),
            ("name: a\nsettings: other.json\n", "{}", "verdict.yaml:4: settings: other.json: No such file"),
            ("name: a\nsettings: schema.json\n", "{", "verdict.yaml:4: settings: schema.json: EOF while parsing"),
            ("name: a\nsettings: {type: objekt}\n", "{}", "verdict.yaml:4: settings: this is no JSON Schema: "),
            (
                "name: a\nsettings: schema.json\n",
                r#"{"properties": {"a": {"type": "string"}}, "examples": [{}, {"a": 1}]}"#,
                "verdict.yaml:4: settings: /examples/1/a: ",
            ),
            (
                "name: a\nmatchConstraints: {resources: []}\n",
                "{}",
                "verdict.yaml:4: matchConstraints.resources: is not a field",
            ),
            ("name: a\nimports: [log, audit]\n", "{}", "verdict.yaml:4: imports[1]: "),
            ("name: a\nimports: [log, log]\n", "{}", "verdict.yaml:4: imports[1]: is listed twice"),
            ("name: a\ngrants: {env: [A]}\n", "{}", "verdict.yaml:4: grants.env: expected a mapping"),
        ] {
            let found = read(text, schema).unwrap_err();
            assert!(found.starts_with(expected), "{text}: {found}");
        }
    }
}
