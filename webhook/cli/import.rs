//! `verdict import`: what somebody has for another server, as objects of ours.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tracing::warn;

use super::{
    Ended, Failed,
    sources::{K8sWasm, any},
    terminal,
};
use crate::{
    component::of_author,
    config::{self, ConfigError},
    loader,
    spec::{DEFAULT_ORDER, FailurePolicy, Kind, Limits, Location, PolicySpec, Scope},
    text,
};

/// Nothing is decided by it: read what it writes, above all the match rules, which stand in Kubewarden's own objects and
/// not in its files.
#[derive(clap::Args)]
#[command(group = any("files"))]
pub(super) struct Args {
    /// A `policies.yml` of Kubewarden's.
    files: Vec<PathBuf>,
    #[command(flatten)]
    k8s_wasm: K8sWasm,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let wrong = |errors: Vec<ConfigError>| Failed::configurations(&errors);
    let mut specs = if args.files.is_empty() { Vec::new() } else { config::read(&args.files).map_err(wrong)? };
    if let Some(own) = specs.iter().find(|it| it.kubewarden.is_none()) {
        let words = format!("{}: {}: it is an object of Verdict already", own.source, own.title());
        return Err(Failed::configuration(words));
    }
    specs.extend(args.k8s_wasm.beside(&specs).map_err(wrong)?);
    let (mut documents, mut all) = (Vec::new(), true);
    for spec in &specs {
        if let Err(why) = can_be_object(spec) {
            warn!(policy = spec.name, "not imported: {why}");
            all = false;
            continue;
        }
        documents.push(text::yaml(&object(spec)?)?);
    }
    terminal::print(documents.join("---\n").trim_end());
    Ok(if all { Ended::Done } else { Ended::No })
}

fn can_be_object(spec: &PolicySpec) -> Result<(), &'static str> {
    if spec.kubewarden.as_ref().is_some_and(|it| it.group.is_some()) {
        return Err("it is a member of a group, and there is no object for groups yet");
    }
    if !is_label(&spec.name) {
        return Err("an object's name has at most 63 of a-z, 0-9 and -");
    }
    if spec.settings.as_ref().is_some_and(|it| !it.starts_with('{')) {
        return Err("an object's settings are a mapping");
    }
    Ok(())
}

/// Without what is as by default.
fn object(policy: &PolicySpec) -> Result<Value, Failed> {
    // Of these files every policy has a kind.
    let kind = policy.kind.unwrap_or(Kind::Validator);
    let path = match &policy.component.location {
        Location::File(path) => json!({"path": path}),
        Location::Builtin(name) => json!({"builtin": name}),
    };
    let mut spec = Map::from_iter([("component".to_owned(), path)]);
    let mut add = |name: &str, value: Value| {
        spec.insert(name.to_owned(), value);
    };
    if let Some(settings) = &policy.settings {
        add("settings", serde_json::from_str(settings)?);
    }
    match (kind, policy.actions.deny) {
        (_, true) => {}
        (Kind::Validator, false) => add("validationActions", json!(["Audit"])),
        (_, false) => add("shadow", json!(true)),
    }
    if policy.failure_policy != FailurePolicy::Fail {
        add("failurePolicy", json!(policy.failure_policy.name()));
    }
    if policy.order != DEFAULT_ORDER {
        add("order", json!(policy.order));
    }
    if matches!(kind, Kind::Validator | Kind::Mutator) {
        match constraints(policy)? {
            Some(constraints) => add("matchConstraints", constraints),
            None => warn!(
                policy = policy.name,
                "its module has no rules: it is asked about everything, unless you add matchConstraints"
            ),
        }
    }
    if policy.limits.time != Limits::default().time {
        let milliseconds = u64::try_from(policy.limits.time.as_millis()).unwrap_or(u64::MAX);
        add("limits", json!({"timeoutMilliseconds": milliseconds}));
    }
    if let Some(message) = &policy.message {
        add("message", json!(message));
    }
    Ok(json!({
        "apiVersion": "verdict.dev/v1alpha1",
        "kind": kind.name(),
        "metadata": {"name": policy.name},
        "spec": spec,
    }))
}

/// The rules of the file, or of the module where the file has none.
fn constraints(policy: &PolicySpec) -> Result<Option<Value>, Failed> {
    if policy.kubewarden.is_some() {
        let failed = |words: String| Failed::configuration(format!("{}: {words}", policy.component.location));
        let component = loader::load(&policy.component).map_err(|error| Failed::configuration(error.to_string()))?;
        return Ok(of_author(&component.bytes).map_err(failed)?.and_then(|it| it.match_constraints));
    }
    let rules: Vec<Value> = policy
        .matching
        .resource_rules
        .iter()
        .map(|it| {
            let mut rule = json!({"apiGroups": it.api_groups, "apiVersions": it.api_versions, "resources": it.resources,
                "operations": it.operations});
            match it.scope {
                Scope::All => {}
                Scope::Cluster => rule["scope"] = json!("Cluster"),
                Scope::Namespaced => rule["scope"] = json!("Namespaced"),
            }
            rule
        })
        .collect();
    Ok((!rules.is_empty()).then(|| json!({"resourceRules": rules})))
}

fn is_label(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 63 && name.bytes().all(fits) && !name.starts_with('-') && !name.ends_with('-')
}
