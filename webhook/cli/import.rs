//! `verdict import`: what somebody has for another server, as objects of ours.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tracing::warn;

use super::{
    CacheArgs, Ended, Failed, runtime,
    sources::{K8sWasm, any},
    terminal,
};
use crate::{
    cel,
    component::of_author,
    config::{self, ConfigError},
    loader::{Component, Components},
    spec::{
        ComponentRef, DEFAULT_ORDER, FailurePolicy, GroupSpec, Interface, Kind, Limits, Location, PolicySpec, Runs,
        Scope,
    },
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
    #[command(flatten)]
    cache: CacheArgs,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let wrong = |errors: Vec<ConfigError>| Failed::configurations(&errors);
    let mut specs = if args.files.is_empty() { Vec::new() } else { config::read(&args.files).map_err(wrong)? };
    if let Some(own) = specs.iter().find(|it| it.kubewarden.is_none()) {
        let words = format!("{}: {}: it is an object of Verdict already", own.source, own.title());
        return Err(Failed::configuration(words));
    }
    specs.extend(args.k8s_wasm.beside(&specs).map_err(wrong)?);
    let components = args.cache.components()?;
    runtime()?.block_on(components.fetch_all(specs.iter().flat_map(PolicySpec::references)));
    let (mut documents, mut all) = (Vec::new(), true);
    for spec in &specs {
        if let Err(why) = can_be_object(spec) {
            warn!(policy = spec.name, "not imported: {why}");
            all = false;
            continue;
        }
        documents.push(text::yaml(&object(spec, &components)?)?);
    }
    terminal::print(documents.join("---\n").trim_end());
    Ok(if all { Ended::Done } else { Ended::No })
}

fn can_be_object(spec: &PolicySpec) -> Result<(), &'static str> {
    if !is_label(&spec.name) {
        return Err("an object's name has at most 63 of a-z, 0-9 and -");
    }
    if spec.settings.as_ref().is_some_and(|it| !it.starts_with('{')) {
        return Err("an object's settings are a mapping");
    }
    Ok(())
}

/// Without what is as by default.
fn object(policy: &PolicySpec, components: &Components) -> Result<Value, Failed> {
    // Of these files every policy has a kind.
    let kind = policy.kind.unwrap_or(Kind::Validator);
    let mut spec = match &policy.runs {
        Runs::Component(component) => running(policy, component, components)?,
        Runs::Group(group) => Map::from_iter([
            ("expression".to_owned(), json!(group.expression)),
            ("members".to_owned(), members(policy, group, components)?.into()),
        ]),
    };
    let mut add = |name: &str, value: Value| {
        spec.insert(name.to_owned(), value);
    };
    match (kind, policy.actions.deny) {
        (_, true) => {}
        (Kind::Validator | Kind::PolicyGroup, false) => add("validationActions", json!(["Audit"])),
        (_, false) => add("shadow", json!(true)),
    }
    if policy.failure_policy != FailurePolicy::Fail {
        add("failurePolicy", json!(policy.failure_policy.name()));
    }
    if policy.order != DEFAULT_ORDER {
        add("order", json!(policy.order));
    }
    if matches!(kind.interface(), Interface::Validating | Interface::Mutating) {
        match constraints(policy, components)? {
            Some(constraints) => add("matchConstraints", constraints),
            None => warn!(
                policy = policy.name,
                "its modules have no rules, or not the same: it is asked about everything, unless you add matchConstraints"
            ),
        }
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

/// A component with all that it gets.
fn running(
    policy: &PolicySpec,
    component: &ComponentRef,
    components: &Components,
) -> Result<Map<String, Value>, Failed> {
    let place = match &component.location {
        Location::File(path) => json!({"path": path}),
        Location::Builtin(name) => json!({"builtin": name}),
        Location::Image(image) => json!({"image": image.to_string()}),
        // An object pins what lies there; Kubewarden's files do not.
        Location::Url(url) => json!({"url": url.as_str(), "sha256": load(component, components)?.digest.to_string()}),
        Location::Given(given) => json!({"sha256": given.digest().to_string()}),
    };
    let mut run = Map::from_iter([("component".to_owned(), place)]);
    if let Some(settings) = &policy.settings {
        run.insert("settings".to_owned(), serde_json::from_str(settings)?);
    }
    let granted = policy.grants.host_capabilities.granted();
    if !granted.is_empty() {
        run.insert("grants".to_owned(), json!({"hostCapabilities": granted}));
    }
    if policy.limits.time != Limits::default().time {
        let milliseconds = u64::try_from(policy.limits.time.as_millis()).unwrap_or(u64::MAX);
        run.insert("limits".to_owned(), json!({"timeoutMilliseconds": milliseconds}));
    }
    Ok(run)
}

/// Those that its expression asks: an object has no others.
fn members(policy: &PolicySpec, group: &GroupSpec, components: &Components) -> Result<Vec<Value>, Failed> {
    let names: Vec<&str> = group.members.iter().map(|it| GroupSpec::within(&it.name)).collect();
    let expression = cel::Group::compile(&group.expression, &names).map_err(Failed::configuration)?;
    let mut members = Vec::new();
    for (position, member) in group.members.iter().enumerate() {
        let name = GroupSpec::within(&member.name);
        let Some(component) = member.component().filter(|_| expression.asks(position)) else {
            warn!(policy = policy.name, member = name, "the expression never asks it: it is left out");
            continue;
        };
        let mut run = running(member, component, components)?;
        run.insert("name".to_owned(), json!(name));
        members.push(Value::Object(run));
    }
    Ok(members)
}

/// The rules of the file, or of the module where the file has none.
fn constraints(policy: &PolicySpec, components: &Components) -> Result<Option<Value>, Failed> {
    if policy.kubewarden.is_some() {
        let mut all = policy.references().map(|it| of_module(it, components));
        let first = all.next().transpose()?.flatten();
        for other in all {
            if other? != first {
                return Ok(None);
            }
        }
        return Ok(first);
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

/// The rules that the module's author wrote.
fn of_module(reference: &ComponentRef, components: &Components) -> Result<Option<Value>, Failed> {
    let failed = |words: String| Failed::configuration(format!("{}: {words}", reference.location));
    let component = load(reference, components)?;
    Ok(of_author(&component.bytes).map_err(failed)?.and_then(|it| it.match_constraints))
}

fn load(reference: &ComponentRef, components: &Components) -> Result<Component, Failed> {
    components.load(reference).map_err(|error| Failed::configuration(error.to_string()))
}

fn is_label(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 63 && name.bytes().all(fits) && !name.starts_with('-') && !name.ends_with('-')
}
