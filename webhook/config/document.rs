//! One document to one [`PolicySpec`]: every field but `spec.match`.

use std::{collections::BTreeMap, path::Path};

use super::{
    fields::{Field, Object, Report},
    names::is_dns_label,
    quantity,
    rules::match_spec,
    schema::{ComponentRef, ConfigError, FailurePolicy, MAX_MEMORY, MAX_TIME, MIN_MEMORY, Mode, OnLimit, PolicySpec},
    yaml::{Node, Value},
};
use crate::{
    engine::{Grants, Instances, Limits},
    loader::file,
};

/// Where a document stands.
pub(super) struct Place<'a> {
    /// The file, as messages name it.
    pub(super) file: &'a str,
    /// The file, with the document's number where it has several.
    pub(super) document: String,
    /// What relative paths are relative to.
    pub(super) folder: &'a Path,
}

/// Parses one document, or says everything that is wrong with it.
pub(super) fn policy(node: &Node, place: &Place<'_>) -> Result<PolicySpec, Vec<ConfigError>> {
    let mut report = Report { source: place.file, policy: None, errors: Vec::new() };
    match read(node, place, &mut report) {
        Some(spec) if report.errors.is_empty() => Ok(spec),
        _ => Err(report.errors),
    }
}

/// Whether a document is one of those that authors keep for their tools.
pub(super) fn is_of_author(node: &Node) -> bool {
    let Value::Map(entries) = &node.value else { return false };
    let is = |name: &str, words: &[&str]| {
        let mut entries = entries.iter();
        entries.any(|(key, it)| key == name && matches!(&it.value, Value::Text(text) if words.contains(&text.as_str())))
    };
    is("kind", &OF_AUTHORS) && is("apiVersion", &[API_VERSION])
}

/// None only after an error was reported.
fn read(node: &Node, place: &Place<'_>, report: &mut Report<'_>) -> Option<PolicySpec> {
    let root = Field::root(node);
    let Value::Map(_) = &node.value else {
        root.expected(report, "a document of kind Policy");
        return None;
    };
    // Another kind would only give errors that lead astray. It is not passed over either: a policy whose kind is
    // misspelt would be missing without a word.
    let known = ["apiVersion", "kind", "metadata", "spec"];
    let entries = root.entries(report);
    let kind = entries.iter().find(|(key, _)| *key == "kind");
    if let Some((_, kind)) = kind
        && !matches!(&kind.node.value, Value::Text(text) if text == KIND)
    {
        kind.expected(report, &format!("{KIND}, the only kind that is read here"));
        return None;
    }
    // The name first, since the other errors carry it.
    let metadata = entries.iter().find(|(key, _)| *key == "metadata");
    let name = metadata.and_then(|(_, metadata)| name(metadata, report));
    report.policy = name.clone();

    let document = root.object(&known, report)?;
    document.required("kind", report);
    if let Some(version) = document.required("apiVersion", report) {
        version.choice(&[(API_VERSION, ())], report);
    }
    document.required("metadata", report);
    let spec = document.required("spec", report)?.object(SPEC, report)?;
    let component = component(&spec, place, report);
    let settings = settings(&spec, report);
    let mode = choice(&spec, "mode", MODES, Mode::Enforce, report);
    let failure_policy = choice(&spec, "failurePolicy", FAILURE_POLICIES, FailurePolicy::Fail, report);
    let on_limit = choice(&spec, "onLimit", ON_LIMIT, OnLimit::Fail, report);
    let order = order(&spec, report);
    let matching = spec.optional("match").map(|field| match_spec(field, report));
    let own_match = matching.is_some();
    let limits = limits(&spec, report);
    let instances = choice(&spec, "instances", INSTANCES, Instances::PerReview, report);
    let grants = grants(&spec, place, report);
    let message = message(&spec, report);
    Some(PolicySpec {
        name: name?,
        source: place.document.clone(),
        component: component?,
        settings,
        mode,
        failure_policy,
        on_limit,
        order,
        matching: matching.unwrap_or_default(),
        own_match,
        limits,
        instances,
        grants,
        message,
    })
}

fn name(metadata: &Field<'_>, report: &mut Report<'_>) -> Option<String> {
    let metadata = metadata.object(&["name", "labels", "annotations"], report)?;
    for field in ["labels", "annotations"] {
        for (_, value) in metadata.optional(field).map(|map| map.entries(report)).unwrap_or_default() {
            value.text(report);
        }
    }
    let field = metadata.required("name", report)?;
    let name = field.text(report)?;
    if !is_dns_label(name) {
        field.expected(report, NAME);
        return None;
    }
    Some(name.into())
}

fn component(spec: &Object<'_>, place: &Place<'_>, report: &mut Report<'_>) -> Option<ComponentRef> {
    let field = spec.required("component", report)?;
    match ComponentRef::parse(field.text(report)?, place.folder) {
        Ok(reference) => Some(reference),
        Err(message) => {
            field.error(report, message);
            None
        }
    }
}

fn settings(spec: &Object<'_>, report: &mut Report<'_>) -> String {
    let Some(field) = spec.optional("settings") else {
        return "{}".into();
    };
    if !matches!(field.node.value, Value::Map(_)) {
        field.expected_secret(report, "a mapping");
    }
    field.node.json().to_string()
}

fn choice<T: Copy>(spec: &Object<'_>, name: &str, choices: &[(&str, T)], default: T, report: &mut Report<'_>) -> T {
    let field = spec.optional(name);
    field.and_then(|field| field.choice(choices, report)).unwrap_or(default)
}

fn order(spec: &Object<'_>, report: &mut Report<'_>) -> i32 {
    let Some(field) = spec.optional("order") else {
        return DEFAULT_ORDER;
    };
    if let Value::Number(number) = &field.node.value
        && let Some(order) = number.as_i64().and_then(|order| i32::try_from(order).ok())
    {
        return order;
    }
    field.expected(report, "a whole number of 32 bits");
    DEFAULT_ORDER
}

/// `limits` of an object that may have them.
pub(crate) fn limits(spec: &Object<'_>, report: &mut Report<'_>) -> Limits {
    let mut limits = Limits::default();
    let field = spec.optional("limits");
    let Some(object) = field.and_then(|field| field.object(&["time", "memory", "fuel"], report)) else {
        return limits;
    };
    if let Some(field) = object.optional("time") {
        let time = match &field.node.value {
            Value::Text(text) => quantity::duration(text),
            _ => None,
        };
        match time {
            Some(time) if !time.is_zero() && time <= MAX_TIME => limits.time = time,
            _ => field.expected(report, "a time such as 500ms or 2s, from 1ms to 30s"),
        }
    }
    if let Some(field) = object.optional("memory") {
        let bytes = match &field.node.value {
            Value::Text(text) => quantity::bytes(text),
            Value::Number(number) => number.as_u64(),
            _ => None,
        };
        match bytes.and_then(|bytes| usize::try_from(bytes).ok()) {
            Some(bytes) if (MIN_MEMORY..=MAX_MEMORY).contains(&bytes) => limits.memory = bytes,
            _ => field.expected(report, "an amount of memory such as 64Mi, from 1Mi to 1Gi"),
        }
    }
    if let Some(field) = object.optional("fuel") {
        match &field.node.value {
            Value::Number(number) if number.as_u64().is_some_and(|fuel| fuel > 0) => limits.fuel = number.as_u64(),
            _ => field.expected(report, "a number of instructions, at least 1"),
        }
    }
    limits
}

fn grants(spec: &Object<'_>, place: &Place<'_>, report: &mut Report<'_>) -> Grants {
    let mut grants = Grants::default();
    let field = spec.optional("grants");
    let Some(object) = field.and_then(|field| field.object(&["env", "log"], report)) else {
        return grants;
    };
    if let Some(field) = object.optional("log") {
        grants.log = field.boolean(report).unwrap_or_default();
    }
    if let Some(field) = object.optional("env") {
        grants.env = environment(field, place, report);
    }
    grants
}

fn environment(field: &Field<'_>, place: &Place<'_>, report: &mut Report<'_>) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for (name, value) in field.entries(report) {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=') {
            value.error(report, "the name of an environment variable has printable ASCII characters, and no '='");
            continue;
        }
        if let Some(text) = variable(&value, place, report) {
            environment.insert(name.into(), text);
        }
    }
    environment
}

/// What is wrong never repeats the value: it may be a secret.
fn variable(field: &Field<'_>, place: &Place<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = match &field.node.value {
        Value::Text(text) => text.clone(),
        Value::Map(_) => {
            let object = field.object(&["file"], report)?;
            let file = object.required("file", report)?;
            match from_file(&place.folder.join(file.text(report)?)) {
                Ok(text) => text,
                Err(message) => {
                    file.error(report, message);
                    return None;
                }
            }
        }
        _ => {
            field.expected_secret(report, "a string (in quotes), or {file: PATH}");
            return None;
        }
    };
    if text.len() as u64 > MAX_VARIABLE || text.contains('\0') {
        field.error(report, "a value has at most 65536 bytes, none of them zero");
        return None;
    }
    Some(text)
}

fn from_file(path: &Path) -> Result<String, String> {
    let named = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let bytes = file::read(path, MAX_VARIABLE).map_err(|error| named(&error))?;
    let mut text = String::from_utf8(bytes).map_err(|_| named(&"it is not UTF-8"))?;
    // Editors end files with a line break that nobody means.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn message(spec: &Object<'_>, report: &mut Report<'_>) -> Option<String> {
    let field = spec.optional("message")?;
    let text = field.text(report)?;
    if text.trim().is_empty() || text.len() > MAX_MESSAGE {
        field.error(report, format!("a message has from 1 to {MAX_MESSAGE} bytes"));
    }
    Some(text.trim_end().into())
}

pub(super) const API_VERSION: &str = "verdict.dev/v1alpha1";
/// What names are.
pub(super) const NAME: &str = "at most 63 lower-case letters, digits and '-', with a letter or digit at each end";
/// The kinds of ours that are no policies.
const OF_AUTHORS: [&str; 2] = [super::manifest::KIND, "PolicyTest"];
const KIND: &str = "Policy";
const SPEC: &[&str] = &[
    "component",
    "settings",
    "mode",
    "failurePolicy",
    "onLimit",
    "order",
    "match",
    "limits",
    "instances",
    "grants",
    "message",
];
const MODES: &[(&str, Mode)] = &[("Enforce", Mode::Enforce), ("Warn", Mode::Warn), ("Audit", Mode::Audit)];
const FAILURE_POLICIES: &[(&str, FailurePolicy)] = &[
    ("Fail", FailurePolicy::Fail),
    ("Ignore", FailurePolicy::Ignore),
    ("NoOpinion", FailurePolicy::NoOpinion),
    ("Deny", FailurePolicy::Deny),
];
const ON_LIMIT: &[(&str, OnLimit)] = &[("Fail", OnLimit::Fail), ("Ignore", OnLimit::Ignore)];
const INSTANCES: &[(&str, Instances)] = &[("PerReview", Instances::PerReview), ("Reuse", Instances::Reuse)];
pub(super) const DEFAULT_ORDER: i32 = 100;
/// Bytes of one environment variable.
const MAX_VARIABLE: u64 = 65_536;
/// Bytes of `spec.message`.
const MAX_MESSAGE: usize = 1_024;
