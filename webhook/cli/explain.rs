//! `verdict explain`: what a field is for, in the manner of `kubectl explain`.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Ended, Failed, terminal};
use crate::{
    config::fields::is_near,
    spec::{
        Kind,
        declared::AUTHOR_API_VERSION,
        schema::{self, API_VERSION},
    },
};

/// What the fields of a document are for, for example `verdict explain validator.spec.matchConstraints`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A kind, and fields below it. Without: the kinds.
    field: Option<String>,
    /// All fields below it, without their descriptions.
    #[arg(long)]
    recursive: bool,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let page = match &args.field {
        Some(field) => page(field, args.recursive)?,
        None => kinds(),
    };
    terminal::print(page.trim_end());
    Ok(Ended::Done)
}

/// The documents that this program reads, by their kind.
pub(super) fn documents() -> impl Iterator<Item = (&'static str, &'static Value)> {
    let declared = Kind::ALL.into_iter().map(|kind| (kind.name(), schema::object(kind)));
    declared.chain([("PolicyManifest", schema::manifest())])
}

/// The schema of a kind, whose name may be in lower case and plural.
pub(super) fn document(name: &str) -> Result<&'static Value, Failed> {
    let lower = name.to_lowercase();
    let named = |kind: &str| [kind.to_lowercase(), format!("{}s", kind.to_lowercase())].contains(&lower);
    documents().find(|(kind, _)| named(kind)).map(|(_, schema)| schema).ok_or_else(|| {
        let kinds: Vec<&str> = documents().map(|(kind, _)| kind).collect();
        Failed::Usage(format!("{name} is not a kind; expected one of {}", kinds.join(", ")))
    })
}

fn kinds() -> String {
    let mut page = String::from("KINDS:\n");
    for (kind, schema) in documents() {
        let _ = writeln!(page, "  {kind}\n{}", indented(description(schema), 4));
    }
    page + "\nMore: verdict explain KIND, verdict explain KIND.spec.FIELD, verdict explain --recursive KIND\n"
}

fn page(path: &str, recursive: bool) -> Result<String, Failed> {
    let mut names = path.split('.');
    let kind = names.next().unwrap_or_default();
    let document = document(kind)?;
    let (mut schema, mut field, mut shown) = (document, None, kind.to_owned());
    for name in names {
        let name = name.trim_end_matches("[]");
        let fields = fields(schema);
        schema = fields.iter().find(|it| it.0 == name).map(|it| it.1).ok_or_else(|| {
            let known: Vec<&str> = fields.iter().map(|it| it.0).collect();
            let words = match known.iter().find(|it| is_near(name, it)) {
                Some(near) => format!("did you mean {near}?"),
                None if known.is_empty() => "it has no fields".to_owned(),
                None => format!("expected one of {}", known.join(", ")),
            };
            Failed::Usage(format!("{shown} has no field {name}: {words}"))
        })?;
        field = Some(name.to_owned());
        let _ = write!(shown, ".{name}");
    }
    let of = &document["properties"];
    let name = of["kind"]["enum"][0].as_str().unwrap_or(kind);
    let version = if of["metadata"].is_object() { API_VERSION } else { AUTHOR_API_VERSION };
    let mut page = format!("KIND:     {name}\nVERSION:  {version}\n\n");
    if let Some(field) = field {
        let _ = writeln!(page, "FIELD: {field} <{}>{}\n", type_of(schema), facts(schema));
    }
    let _ = writeln!(page, "DESCRIPTION:\n{}\n", indented(description(schema), 4));
    if fields(schema).is_empty() {
        return Ok(page);
    }
    page.push_str("FIELDS:\n");
    list(schema, 2, recursive, &mut page);
    Ok(page)
}

/// Recursion is bounded by the depth of our own schemas.
fn list(schema: &Value, indent: usize, recursive: bool, page: &mut String) {
    let required: Vec<&str> =
        within(schema)["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in fields(schema) {
        let required = if required.contains(&name) { " -required-" } else { "" };
        let _ = writeln!(page, "{:indent$}{name} <{}>{required}{}", "", type_of(field), facts(field));
        if recursive {
            list(field, indent + 2, true, page);
        } else {
            let _ = writeln!(page, "{}\n", indented(description(field), indent + 2));
        }
    }
}

/// Of a list, what its items are.
fn within(schema: &Value) -> &Value {
    if schema["items"].is_object() { within(&schema["items"]) } else { schema }
}

fn fields(schema: &Value) -> Vec<(&str, &Value)> {
    let properties = within(schema)["properties"].as_object().into_iter().flatten();
    properties.map(|(name, it)| (name.as_str(), it)).collect()
}

fn type_of(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "IntOrString".to_owned();
    }
    match schema["type"].as_str() {
        Some("array") => format!("[]{}", type_of(&schema["items"])),
        Some("object") if schema["properties"].is_null() && schema["additionalProperties"].is_object() => {
            format!("map[string]{}", type_of(&schema["additionalProperties"]))
        }
        Some("object") => "Object".to_owned(),
        Some(other) => other.to_owned(),
        None => "any".to_owned(),
    }
}

/// What it may be, and is otherwise.
fn facts(schema: &Value) -> String {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut facts = String::new();
    if let Some(words) = within(schema)["enum"].as_array() {
        let words: Vec<String> = words.iter().map(shown).collect();
        let _ = write!(facts, "  enum: {}", words.join(", "));
    }
    if let Some(default) = schema.get("default") {
        let _ = write!(facts, "  default: {}", shown(default));
    }
    if let Some(words) = within(schema)["x-expected"].as_str() {
        let _ = write!(facts, "  ({words})");
    }
    facts
}

fn description(schema: &Value) -> &str {
    let own = schema["description"].as_str();
    own.or_else(|| within(schema)["description"].as_str()).unwrap_or_default()
}

/// Folded at 100 columns.
fn indented(text: &str, indent: usize) -> String {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            if !line.is_empty() && indent + line.len() + word.len() >= 100 {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines.iter().map(|line| format!("{:indent$}{line}", "").trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
