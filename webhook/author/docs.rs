//! A manifest as a page of Markdown, for people who choose and operate policies.
//!
//! What it says comes from a component's author, so nothing of it can end a table or begin markup of its own.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{
    component::manifest::Manifest,
    text::{is_hostile, lines, yaml},
};

/// The page. `kinds` is what the component can be; empty where no component is at hand.
pub fn markdown(manifest: &Manifest, kinds: &[&str]) -> String {
    let mut page = format!("# {}\n\n", escaped(&manifest.name));
    if let Some(description) = &manifest.description {
        let _ = writeln!(page, "{}\n", escaped(description));
    }
    let mut facts = Vec::new();
    if !kinds.is_empty() {
        facts.push(format!("Kinds: {}", kinds.join(", ")));
    }
    for (name, value) in [("Version", &manifest.version), ("Licence", &manifest.license), ("Sources", &manifest.source)]
    {
        facts.extend(value.as_ref().map(|value| format!("{name}: {}", escaped(value))));
    }
    if !manifest.authors.is_empty() {
        facts.push(format!("Authors: {}", escaped(&manifest.authors.join(", "))));
    }
    if !manifest.reads.is_empty() {
        let fields: Vec<String> = manifest.reads.iter().map(|it| code(it)).collect();
        facts.push(format!("Is given of objects, with apiVersion, kind and metadata: {}", fields.join(", ")));
    }
    for fact in facts {
        let _ = writeln!(page, "- {fact}");
    }
    settings(manifest, &mut page);
    rules(manifest, &mut page);
    grants(manifest, &mut page);
    page
}

fn settings(manifest: &Manifest, page: &mut String) {
    page.push_str("\n## Settings\n\n");
    let Some(schema) = &manifest.settings else {
        page.push_str("The manifest has no schema of them.\n");
        return;
    };
    let mut rows = Vec::new();
    properties(schema, schema, "", 0, &mut rows);
    if rows.is_empty() {
        page.push_str("None.\n");
    } else {
        page.push_str("| setting | type | | |\n|---|---|---|---|\n");
        for row in rows {
            let _ = writeln!(page, "{row}");
        }
    }
    for example in manifest.examples().iter().take(MAX_EXAMPLES) {
        if let Ok(yaml) = yaml(example) {
            let _ = write!(page, "\n```yaml\n{}\n```\n", fenced(&yaml));
        }
    }
}

/// One row for each property below `schema`.
fn properties(root: &Value, schema: &Value, path: &str, depth: usize, rows: &mut Vec<String>) {
    let schema = resolved(root, schema);
    if depth > MAX_DEPTH || rows.len() > MAX_ROWS {
        return;
    }
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        row(root, property, &path, required.contains(&name.as_str()), rows);
        below(root, property, &path, depth, rows);
    }
}

/// What lies in the items of a list and the values of a mapping.
fn below(root: &Value, schema: &Value, path: &str, depth: usize, rows: &mut Vec<String>) {
    let schema = resolved(root, schema);
    properties(root, schema, path, depth + 1, rows);
    if schema["items"].is_object() && depth < MAX_DEPTH {
        below(root, &schema["items"], &format!("{path}[]"), depth + 1, rows);
    }
    if schema["additionalProperties"].is_object() && depth < MAX_DEPTH {
        below(root, &schema["additionalProperties"], &format!("{path}.*"), depth + 1, rows);
    }
    for alternative in alternatives(schema).take(MAX_EXAMPLES) {
        properties(root, alternative, path, depth + 1, rows);
    }
}

fn row(root: &Value, property: &Value, path: &str, required: bool, rows: &mut Vec<String>) {
    let schema = resolved(root, property);
    let mut facts = Vec::new();
    if required {
        facts.push("required".to_owned());
    }
    for (name, words) in [
        ("default", "default"),
        ("enum", "one of"),
        ("const", "always"),
        ("pattern", "matches"),
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "characters, at least"),
        ("maxLength", "characters, at most"),
        ("minItems", "items, at least"),
        ("maxItems", "items, at most"),
        ("minProperties", "entries, at least"),
    ] {
        if let Some(value) = schema.get(name) {
            facts.push(format!("{words} {}", code(&value.to_string())));
        }
    }
    let description = property.get("description").or_else(|| schema.get("description"));
    let description = description.and_then(Value::as_str).unwrap_or_default();
    let kind = code(&kind(root, schema, 0));
    rows.push(format!("| {} | {kind} | {} | {} |", code(path), facts.join(", "), escaped(description)));
}

fn kind(root: &Value, schema: &Value, depth: usize) -> String {
    let schema = resolved(root, schema);
    if depth > MAX_DEPTH {
        return "any".to_owned();
    }
    let shown = match &schema["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => {
            let kinds: Vec<String> =
                alternatives(schema).take(MAX_EXAMPLES).map(|it| kind(root, it, depth + 1)).collect();
            if kinds.is_empty() { "any".to_owned() } else { kinds.join(" or ") }
        }
    };
    if shown == "array" && schema["items"].is_object() {
        return format!("array of {}", kind(root, &schema["items"], depth + 1));
    }
    shown
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|name| schema[name].as_array()).flatten()
}

/// The schema that a reference within the document means.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..MAX_DEPTH {
        let target = schema["$ref"].as_str().and_then(|it| it.strip_prefix('#')).and_then(|it| root.pointer(it));
        match target {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

fn rules(manifest: &Manifest, page: &mut String) {
    let (constraints, conditions) = (&manifest.match_constraints, &manifest.match_conditions);
    let rules = [("matchConstraints", constraints), ("matchConditions", conditions)];
    let rules: serde_json::Map<String, Value> =
        rules.into_iter().filter_map(|(name, it)| Some((name.to_owned(), it.clone()?))).collect();
    if rules.is_empty() {
        return;
    }
    page.push_str("\n## What it is asked about\n\nWhere the object has no `matchConstraints` of its own:\n");
    if let Ok(yaml) = serde_saphyr::to_string(&rules) {
        let _ = write!(page, "\n```yaml\n{}\n```\n", fenced(&yaml));
    }
}

fn grants(manifest: &Manifest, page: &mut String) {
    page.push_str("\n## What it wants to be granted\n\n");
    if manifest.grants.is_nothing() {
        page.push_str("Nothing.\n");
    }
    for (name, what) in &manifest.grants.env {
        let _ = writeln!(page, "- the environment variable {}: {}", code(name), escaped(what));
    }
    if manifest.grants.log {
        page.push_str("- `log`: that what it prints and logs is kept, though it sees tokens\n");
    }
}

/// As words of a paragraph or a cell, whatever is in it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars().take(MAX_TEXT) {
        match letter {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '!' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            letter if is_hostile(letter) => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// As the lines of a block of code.
fn fenced(yaml: &str) -> String {
    lines(yaml.trim_end()).replace("```", "'''")
}

/// As code in a cell.
fn code(text: &str) -> String {
    let text: String = text.chars().take(MAX_TEXT).collect();
    let text = text.replace('`', "'").replace('|', "\\|").replace(is_hostile, " ");
    format!("`{text}`")
}

const MAX_DEPTH: usize = 8;
const MAX_ROWS: usize = 500;
const MAX_EXAMPLES: usize = 8;
/// Characters of one text.
const MAX_TEXT: usize = 1000;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::{component::manifest, config, loader};

    #[test]
    fn a_page_has_all_that_the_manifest_says() {
        let manifest: Manifest = serde_json::from_value(json!({
            "name": "team-labels", "version": "1.0.0", "description": "Requires a *team*.", "license": "MIT",
            "settings": {
                "type": "object", "required": ["labels"],
                "properties": {"labels": {"type": "array", "items": {"$ref": "#/$defs/Entry"}, "description": "Which | ones."}},
                "$defs": {"Entry": {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"key": {"type": "string", "default": "a"}}}]}},
                "examples": [{"labels": ["team"]}],
            },
            "matchConstraints": {"resourceRules": [{"resources": ["pods"]}]},
            "grants": {"env": {"KEY": "signs"}, "log": true},
        }))
        .unwrap();
        let page = markdown(&manifest, &["Validator"]);
        for expected in [
            "# team-labels\n",
            "Requires a \\*team\\*.",
            "- Kinds: Validator\n",
            "| `labels` | `array of string or object` | required | Which \\| ones. |",
            "| `labels[].key` | `string` | default `\"a\"` |  |",
            "labels:\n",
            "resources:\n",
            "- the environment variable `KEY`: signs\n",
            "- `log`",
        ] {
            assert!(page.contains(expected), "no {expected:?} in\n{page}");
        }
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let settings = json!({"$ref": "#", "properties": {"a": {"$ref": "#"}, "b": {"items": {"$ref": "#"}}}});
        let manifest = Manifest { name: "a".to_owned(), settings: Some(settings), ..Manifest::default() };
        assert!(markdown(&manifest, &[]).len() < 1 << 20);
        let settings = json!({"properties": {"a": {"$ref": "#/properties/a"}, "b": {"properties": {"c": {"$ref": "#/properties/b"}, "d": {"$ref": "#/properties/b"}}}}});
        let manifest = Manifest { name: "a".to_owned(), settings: Some(settings), ..Manifest::default() };
        assert!(markdown(&manifest, &[]).len() < 1 << 20);
    }

    #[test]
    fn every_builtin_policy_has_the_manifest_of_its_folder() {
        for builtin in loader::builtin::all() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(builtin.name);
            let written = config::manifest::manifest(&folder).unwrap().unwrap();
            assert_eq!(manifest::embedded(builtin.component).unwrap().as_ref(), Some(&written), "{}", builtin.name);
            assert_eq!(written.name, builtin.name);
            let page = markdown(&written, &[]);
            assert!(written.description.is_some() && !page.contains("no schema"), "{page}");
        }
    }
}
