//! `verdict import`: what somebody has for another server, as objects of ours.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tracing::warn;

use super::{Ended, Failed, terminal};
use crate::{
    component::{manifest::Manifest, of_author},
    config, loader,
    spec::{Kind, Limits, Location, PolicySpec},
    text,
};

/// Nothing is decided by it: read what it writes, above all the match rules, which stand in Kubewarden's own objects and
/// not in its files.
#[derive(clap::Args)]
pub(super) struct Args {
    /// A `policies.yml` of Kubewarden's.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let specs = config::read(&args.files).map_err(|errors| Failed::configurations(&errors))?;
    let mut documents = Vec::new();
    let mut all = true;
    for spec in &specs {
        let Some(kubewarden) = &spec.kubewarden else {
            return Err(Failed::configuration(format!(
                "{}: {}: it is an object of Verdict already",
                spec.source,
                spec.title()
            )));
        };
        if let Some(group) = &kubewarden.group {
            warn!(
                group = group.name,
                member = spec.name,
                "members of groups are not imported: there is no object for them yet"
            );
            all = false;
            continue;
        }
        if !is_label(&spec.name) {
            warn!(policy = spec.name, "not imported: an object's name has at most 63 of a-z, 0-9 and -");
            all = false;
            continue;
        }
        let component = loader::load(&spec.component).map_err(|error| Failed::configuration(error.to_string()))?;
        let manifest = of_author(&component.bytes)
            .map_err(|error| Failed::configuration(format!("{}: {error}", spec.component.location)))?;
        let object = text::yaml(&object(spec, kubewarden.may_mutate, manifest.as_ref()))?;
        documents.push(object);
    }
    terminal::print(documents.join("---\n").trim_end());
    Ok(if all { Ended::Done } else { Ended::No })
}

/// Without what is as by default.
fn object(policy: &PolicySpec, may_mutate: bool, manifest: Option<&Manifest>) -> Value {
    let kind = if may_mutate { Kind::Mutator } else { Kind::Validator };
    let path = match &policy.component.location {
        Location::File(path) => json!({"path": path}),
        Location::Builtin(name) => json!({"builtin": name}),
    };
    let mut spec = Map::from_iter([("component".to_owned(), path)]);
    let mut add = |name: &str, value: Value| {
        spec.insert(name.to_owned(), value);
    };
    if let Some(settings) = policy.settings.as_ref().and_then(|it| serde_json::from_str(it).ok()) {
        add("settings", settings);
    }
    match (kind, policy.actions.deny) {
        (_, true) => {}
        (Kind::Validator, false) => add("validationActions", json!(["Audit"])),
        (_, false) => add("shadow", json!(true)),
    }
    match manifest.and_then(|it| it.match_constraints.clone()) {
        Some(constraints) => add("matchConstraints", constraints),
        None => warn!(
            policy = policy.name,
            "its module has no rules: it is asked about everything, unless you add matchConstraints"
        ),
    }
    if policy.limits.time != Limits::default().time {
        add(
            "limits",
            json!({"timeoutMilliseconds": u64::try_from(policy.limits.time.as_millis()).unwrap_or(u64::MAX)}),
        );
    }
    if let Some(message) = &policy.message {
        add("message", json!(message));
    }
    json!({
        "apiVersion": "verdict.dev/v1alpha1",
        "kind": kind.name(),
        "metadata": {"name": policy.name},
        "spec": spec,
    })
}

fn is_label(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 63 && name.bytes().all(fits) && !name.starts_with('-') && !name.ends_with('-')
}
