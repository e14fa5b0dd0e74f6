//! `verdict.yaml`: the manifest that an author writes, as [`crate::component::manifest::Manifest`].

use std::{path::Path, sync::LazyLock};

use serde_json::{Value as Json, json};

use super::{
    ConfigError, about,
    fields::{Field, Report},
    rules::{self, NamespaceLabels},
    text,
    walk::{Schema as Walker, without_nulls},
    yaml::{self, Value},
};
use crate::{
    component::manifest::{MAX_TEXT, Manifest, Wanted, schema::Schema},
    spec::{
        Kind, MatchSpec,
        declared::manifest::{Matches, PolicyManifest},
        schema,
    },
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
    let mut report = Report::new(&named);
    let root = Field::root(&node);
    if let Some(schema) = &*DOCUMENT {
        schema.check(&root, &mut report, &|_, _| None);
    }
    // What a manifest says of it is for admission.
    rules::check(&root, Kind::Validator, NamespaceLabels::OnlyName, &mut report);
    lines(&root, &mut report);
    let settings = root.at("settings").and_then(|field| settings(&field, folder, &mut report));
    report.finish()?;
    let declared = serde_json::from_value(without_nulls(&node)).map_err(|_| vec![about(&path, "it cannot be read")])?;
    Ok(Some(read(declared, &root, settings)))
}

/// The default match rules of a component's manifest.
///
/// # Errors
/// What is wrong with them; never empty.
pub fn default_match(manifest: &Manifest) -> Result<MatchSpec, Vec<ConfigError>> {
    let given = json!({"matchConstraints": manifest.match_constraints, "matchConditions": manifest.match_conditions});
    let named = "the component's manifest";
    let mut report = Report::new(named);
    let Some(document) = yaml::documents(&given.to_string()).into_iter().next() else {
        return Ok(MatchSpec::default());
    };
    let node = document.map_err(|problems| super::problems(named, problems))?;
    let root = Field::root(&node);
    if let Some(schema) = &*MATCHES {
        schema.check(&root, &mut report, &|_, _| None);
    }
    rules::check(&root, Kind::Validator, NamespaceLabels::OnlyName, &mut report);
    report.finish()?;
    let cannot = |_| vec![about(Path::new(named), "it cannot be read")];
    let declared: Matches = serde_json::from_value(without_nulls(&node)).map_err(cannot)?;
    Ok(rules::read(declared.match_constraints, declared.match_conditions))
}

/// Of what the schema allows.
fn read(declared: PolicyManifest, root: &Field<'_>, settings: Option<Json>) -> Manifest {
    let trimmed = |text: Option<String>| text.map(|it| it.trim().to_owned());
    let json = |name| root.at(name).map(|field| field.node.json());
    Manifest {
        name: declared.name,
        version: declared.version,
        description: trimmed(declared.description),
        authors: declared.authors.into_iter().map(|it| it.trim().to_owned()).collect(),
        license: trimmed(declared.license),
        source: trimmed(declared.source),
        settings,
        match_constraints: json("matchConstraints"),
        match_conditions: json("matchConditions"),
        imports: declared.imports,
        reads: declared.reads,
        grants: Wanted {
            env: declared.grants.env.into_iter().map(|(name, what)| (name, what.trim().to_owned())).collect(),
            log: declared.grants.log,
        },
    }
}

/// What will be shown is one line each.
fn lines(root: &Field<'_>, report: &mut Report<'_>) {
    let one = ["description", "license", "source"].into_iter().filter_map(|name| root.at(name));
    let authors = root.at("authors").map(|it| it.items()).unwrap_or_default();
    let grants = root.at("grants").and_then(|it| it.at("env")).map(|it| it.keys()).unwrap_or_default();
    for field in one.chain(authors).chain(grants.into_iter().map(|(_, field)| field)) {
        let Some(text) = field.words().map(str::trim) else { continue };
        if text.is_empty() || text.len() > MAX_TEXT || text.contains(is_hostile) {
            field.error(report, format!("expected one line of at most {MAX_TEXT} bytes, without invisible characters"));
        }
    }
    if let Some(field) = root.at("version")
        && field.words().is_some_and(|it| semver::Version::parse(it).is_err())
    {
        field.expected(report, "a semantic version such as 0.1.0");
    }
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

static DOCUMENT: LazyLock<Option<Walker>> = LazyLock::new(|| Walker::compile(schema::manifest()).ok());
static MATCHES: LazyLock<Option<Walker>> = LazyLock::new(|| Walker::compile(&schema::schema::<Matches>()).ok());

pub(super) const KIND: &str = "PolicyManifest";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::spec::Import;

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
            ("name: a\nimports: [log, log]\n", "{}", "verdict.yaml:4: imports[1]: \"log\" is listed twice"),
            ("name: a\ngrants: {env: [A]}\n", "{}", "verdict.yaml:4: grants.env: expected a mapping"),
        ] {
            let found = read(text, schema).unwrap_err();
            assert!(found.starts_with(expected), "{text}: {found}");
        }
    }
}
