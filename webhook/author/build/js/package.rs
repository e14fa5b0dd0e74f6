//! What an author's package.json says to `verdict build`: the name, what is installed, and the key `verdict`.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::author::build::{BuildError, read};

/// package.json, as far as it matters here.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Package {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    verdict: Options,
}

/// Its key `verdict`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    /// Options of esbuild's build function.
    #[serde(default)]
    esbuild: Map<String, Value>,
    /// Whether `verdict build` runs tsc; it does where typescript is among the dependencies.
    type_check: Option<bool>,
}

impl Package {
    pub(super) fn read(folder: &Path) -> Result<Self, BuildError> {
        let path = folder.join("package.json");
        let package: Self = serde_json::from_slice(&read(&path)?)
            .map_err(|error| BuildError::NotAPolicy(format!("{}: {error}", path.display())))?;
        if let Some(ours) = package.verdict.esbuild.keys().find(|it| OURS.contains(&it.as_str())) {
            let path = path.display();
            return Err(BuildError::NotAPolicy(format!(
                "{path}: verdict.esbuild.{ours}: verdict build decides that itself"
            )));
        }
        Ok(package)
    }

    pub(super) fn type_checks(&self) -> bool {
        let installed =
            self.dependencies.contains_key("typescript") || self.dev_dependencies.contains_key("typescript");
        self.verdict.type_check.unwrap_or(installed)
    }

    /// Options of esbuild: those that every build has, the author's, and `ours`.
    pub(super) fn esbuild(&self, ours: &Value) -> Value {
        let mut options = json!({
            "target": "es2023",
            // Packages have two faces: one of them needs Node.
            "platform": "browser",
            "define": {"process.env.NODE_ENV": "\"production\""},
            "legalComments": "none",
        });
        let theirs = Value::Object(self.verdict.esbuild.clone());
        for more in [&theirs, &json!({"bundle": true, "format": "esm", "charset": "utf8", "write": true}), ours] {
            merge(&mut options, more);
        }
        options
    }
}

/// Objects in it key by key, everything else as it is in `more`.
fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

/// Options whose values make the component what it is.
const OURS: [&str; 14] = [
    "absWorkingDir",
    "allowOverwrite",
    "bundle",
    "charset",
    "entryPoints",
    "external",
    "format",
    "logLevel",
    "metafile",
    "outdir",
    "outfile",
    "sourcemap",
    "stdin",
    "write",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn package(text: &str) -> Result<Package, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("package.json"), text).unwrap();
        Package::read(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn authors_give_options_of_esbuild_but_not_those_that_make_the_component() {
        let package =
            |text: &str| package(&format!(r#"{{"devDependencies": {{"typescript": "7"}}, "verdict": {text}}}"#));
        let ok = package(r#"{"esbuild": {"alias": {"a": "./b.js"}, "define": {"X": "1"}, "conditions": ["worker"]}}"#);
        let ok = ok.unwrap();
        let options = ok.esbuild(&json!({"outfile": "o"}));
        assert_eq!(options["alias"], json!({"a": "./b.js"}));
        assert_eq!(options["define"], json!({"X": "1", "process.env.NODE_ENV": "\"production\""}));
        assert_eq!((&options["conditions"], &options["outfile"]), (&json!(["worker"]), &json!("o")));
        assert!(ok.type_checks() && !package(r#"{"typeCheck": false}"#).unwrap().type_checks());
        let error = package(r#"{"esbuild": {"outfile": "o"}}"#).unwrap_err();
        assert!(error.ends_with("package.json: verdict.esbuild.outfile: verdict build decides that itself"), "{error}");
        let error = package(r#"{"esbuilt": {}}"#).unwrap_err();
        assert!(error.contains("unknown field `esbuilt`, expected `esbuild` or `typeCheck`"), "{error}");
    }
}
