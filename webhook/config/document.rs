//! One document to one [`PolicySpec`]: every field but what it is asked about.

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::{
    ConfigError, component,
    fields::{Field, Object, Report},
    grants::grants,
    names::is_dns_label,
    quantity,
    rules::match_spec,
    yaml::{Node, Value},
};
use crate::spec::{
    Actions, FailurePolicy, Instances, Kind, LimitPolicy, Limits, MAX_MEMORY, MAX_TIME, MIN_MEMORY, PolicySpec,
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
    let mut report = Report { source: place.file, object: None, errors: Vec::new() };
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
    is("kind", &OF_AUTHORS) && is("apiVersion", &[AUTHOR_API_VERSION])
}

/// None only after an error was reported.
fn read(node: &Node, place: &Place<'_>, report: &mut Report<'_>) -> Option<PolicySpec> {
    let root = Field::root(node);
    let Value::Map(_) = &node.value else {
        root.expected(report, "an object");
        return None;
    };
    // Another kind would only give errors that lead astray. It is not passed over either: a policy whose kind is
    // misspelt would be missing without a word.
    let entries = root.entries(report);
    let find = |name: &str| entries.iter().find(|(key, _)| *key == name).map(|(_, field)| field);
    let kind = match find("kind") {
        Some(field) => Some(field.choice(&Kind::ALL.map(|kind| (kind.name(), kind)), report)?),
        None => None,
    };
    // The name first, since the other errors carry it.
    let name = find("metadata").and_then(|metadata| name(metadata, kind, report));
    report.object = name.as_ref().map(|name| format!("{} {name}", kind.map_or("policy", Kind::name)));

    let document = root.object(&["apiVersion", "kind", "metadata", "spec", "status"], report)?;
    document.required("kind", report);
    if let Some(version) = document.required("apiVersion", report) {
        version.choice(&[(API_VERSION, ())], report);
    }
    document.required("metadata", report);
    let spec = document.required("spec", report)?;
    let kind = kind?;
    let elsewhere = |key: &str| {
        let (_, kinds) = FIELDS.iter().find(|(field, _)| *field == key)?;
        let kinds: Vec<&str> = kinds.iter().map(|it| it.name()).collect();
        Some(format!("is not a field of {kind}, only of {}", kinds.join(", ")))
    };
    let spec = spec.object_with(&fields(kind), elsewhere, report)?;
    let component = component::read(&spec, place.folder, report);
    let (settings, settings_lines) = settings(&spec, place, report);
    let actions = actions(&spec, report);
    let failure_policy = choice(&spec, "failurePolicy", failure_policies(kind), FailurePolicy::Fail, report);
    let limit_policy = choice(&spec, "limitPolicy", LIMIT_POLICIES, LimitPolicy::Fail, report);
    let order = order(&spec, report);
    let own_constraints = spec.optional("matchConstraints").is_some();
    let matching = match_spec(&spec, kind, report);
    let limits = limits(&spec, report);
    let instance_policy = choice(&spec, "instancePolicy", INSTANCES, Instances::PerReview, report);
    let grants = grants(&spec, place, report);
    let message = message(&spec, report);
    Some(PolicySpec {
        kind: Some(kind),
        name: name?,
        source: place.document.clone(),
        component: component?,
        settings,
        settings_lines,
        actions,
        failure_policy,
        limit_policy,
        order,
        matching,
        own_constraints,
        limits,
        instance_policy,
        grants,
        message,
    })
}

/// What the spec of a kind may have.
fn fields(kind: Kind) -> Vec<&'static str> {
    FIELDS.iter().filter(|(_, kinds)| kinds.contains(&kind)).map(|(field, _)| *field).collect()
}

fn name(metadata: &Field<'_>, kind: Option<Kind>, report: &mut Report<'_>) -> Option<String> {
    let known: Vec<&'static str> = ["name", "labels", "annotations"].into_iter().chain(OF_SERVERS).collect();
    let scope = |key: &str| {
        let kind = kind.map_or("policy", Kind::name);
        (key == "namespace").then(|| format!("is not a field: a {kind} belongs to no namespace"))
    };
    let metadata = metadata.object_with(&known, scope, report)?;
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

/// As JSON, and the place of each value.
fn settings(spec: &Object<'_>, place: &Place<'_>, report: &mut Report<'_>) -> (String, BTreeMap<String, String>) {
    let mut lines = BTreeMap::new();
    let Some(field) = spec.optional("settings") else {
        return ("{}".into(), lines);
    };
    settings_lines(field.node, String::new(), place.file, &mut lines);
    if !matches!(field.node.value, Value::Map(_)) {
        field.expected_secret(report, "a mapping");
    }
    (field.node.json().to_string(), lines)
}

/// Depth is bounded since the tree's is.
fn settings_lines(node: &Node, pointer: String, file: &str, lines: &mut BTreeMap<String, String>) {
    match &node.value {
        Value::List(items) => {
            for (at, item) in items.iter().enumerate() {
                settings_lines(item, format!("{pointer}/{at}"), file, lines);
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                let key = key.replace('~', "~0").replace('/', "~1");
                settings_lines(value, format!("{pointer}/{key}"), file, lines);
            }
        }
        _ => {}
    }
    lines.insert(pointer, format!("{file}:{}", node.line));
}

/// As ValidatingAdmissionPolicyBinding has them; for the other kinds, whether they are in shadow.
fn actions(spec: &Object<'_>, report: &mut Report<'_>) -> Actions {
    let Some(field) = spec.optional("validationActions") else {
        let shadow = spec.optional("shadow").and_then(|field| field.boolean(report)).unwrap_or_default();
        return if shadow { Actions::SHADOW } else { Actions::DECIDE };
    };
    let items = field.list(report);
    if matches!(&field.node.value, Value::List(items) if items.is_empty()) {
        field.error(report, "expected at least one item");
    }
    let mut given = [false; 3];
    for item in items {
        if let Some(action) = item.choice(&[("Deny", 0), ("Warn", 1), ("Audit", 2)], report)
            && std::mem::replace(&mut given[action], true)
        {
            item.error(report, "is there twice");
        }
    }
    let [deny, warn, audit] = given;
    let actions = Actions { deny, warn, audit };
    if actions.deny && actions.warn {
        field.error(report, "Deny and Warn exclude each other: who is denied is told why in any case");
    }
    actions
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
    let Some(object) = field.and_then(|field| field.object(&["timeoutMilliseconds", "memory", "fuel"], report)) else {
        return limits;
    };
    if let Some(field) = object.optional("timeoutMilliseconds") {
        let time = match &field.node.value {
            Value::Number(number) => number.as_u64().map(Duration::from_millis),
            _ => None,
        };
        match time {
            Some(time) if !time.is_zero() && time <= MAX_TIME => limits.time = time,
            _ => field.expected(report, "a number of milliseconds, from 1 to 30000"),
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

fn message(spec: &Object<'_>, report: &mut Report<'_>) -> Option<String> {
    let field = spec.optional("message")?;
    let text = field.text(report)?;
    if text.trim().is_empty() || text.len() > MAX_MESSAGE {
        field.error(report, format!("a message has from 1 to {MAX_MESSAGE} bytes"));
    }
    Some(text.trim_end().into())
}

const API_VERSION: &str = "verdict.dev/v1alpha1";
/// Of what only authors write.
pub(crate) const AUTHOR_API_VERSION: &str = "author.verdict.dev/v1alpha1";
/// What names are.
pub(super) const NAME: &str = "at most 63 lower-case letters, digits and '-', with a letter or digit at each end";
/// The kinds of ours that are no policies.
const OF_AUTHORS: [&str; 2] = [super::manifest::KIND, "PolicyTest"];
/// Of metadata, what a server writes: it is there when an object was copied out of a cluster, and means nothing here.
const OF_SERVERS: [&str; 10] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "selfLink",
];
/// The fields of `spec`, and the kinds that have them.
const FIELDS: [(&str, &[Kind]); 13] = [
    ("component", &Kind::ALL),
    ("settings", &Kind::ALL),
    ("validationActions", &[Kind::Validator]),
    ("shadow", &[Kind::Mutator, Kind::Authorizer, Kind::Authenticator, Kind::Provider]),
    ("failurePolicy", &[Kind::Validator, Kind::Mutator, Kind::Authorizer]),
    ("limitPolicy", &[Kind::Validator, Kind::Mutator]),
    ("order", &Kind::ALL),
    ("matchConstraints", &[Kind::Validator, Kind::Mutator]),
    ("matchConditions", &[Kind::Validator, Kind::Mutator, Kind::Authorizer, Kind::Authenticator]),
    ("limits", &Kind::ALL),
    // Never Reuse for authenticators, which see tokens.
    ("instancePolicy", &[Kind::Validator, Kind::Mutator, Kind::Authorizer, Kind::Provider]),
    ("grants", &Kind::ALL),
    ("message", &[Kind::Validator, Kind::Mutator, Kind::Authorizer]),
];

fn failure_policies(kind: Kind) -> &'static [(&'static str, FailurePolicy)] {
    match kind {
        Kind::Authorizer => {
            &[("Fail", FailurePolicy::Fail), ("NoOpinion", FailurePolicy::NoOpinion), ("Deny", FailurePolicy::Deny)]
        }
        _ => &[("Fail", FailurePolicy::Fail), ("Ignore", FailurePolicy::Ignore)],
    }
}

const LIMIT_POLICIES: &[(&str, LimitPolicy)] = &[("Fail", LimitPolicy::Fail), ("Ignore", LimitPolicy::Ignore)];
const INSTANCES: &[(&str, Instances)] = &[("PerReview", Instances::PerReview), ("Reuse", Instances::Reuse)];
pub(super) const DEFAULT_ORDER: i32 = 100;
/// Bytes of `spec.message`.
const MAX_MESSAGE: usize = 1_024;
