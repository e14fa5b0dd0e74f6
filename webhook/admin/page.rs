//! What `/policies` shows of each object: how it fares, and what runs. No settings and no values: they may hold secrets.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    policy::{Current, Object, Policy, Unreadable},
    spec::{GroupSpec, Kind, PolicySpec},
};

/// All of it.
#[derive(Serialize, Default)]
pub(super) struct Page {
    /// Of what serves.
    digest: String,
    policies: Vec<Row>,
    /// Files that cannot be read now: what they declared before stays.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unreadable: Vec<Source>,
}

/// What cannot be read.
#[derive(Serialize)]
struct Source {
    source: String,
    reason: String,
}

impl Page {
    pub(super) fn of(current: &Current) -> Self {
        Self {
            digest: format!("sha256:{}", current.digest()),
            policies: current.objects().iter().flat_map(rows).collect(),
            unreadable: current
                .unreadable()
                .iter()
                .cloned()
                .map(|Unreadable { source, reason }| Source { source, reason })
                .collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
/// One policy.
pub(super) struct Row {
    kind: &'static str,
    name: String,
    state: &'static str,
    /// Why it is not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    since: String,
    #[serde(flatten)]
    component: Option<Code>,
    /// Of a group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    members: Vec<Member>,
    actions: Vec<&'static str>,
    failure_policy: &'static str,
    limit_policy: &'static str,
    order: i32,
    timeout_milliseconds: u128,
    memory_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<u64>,
    instance_policy: &'static str,
    source: String,
}

/// What runs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Code {
    component: String,
    digest: String,
    /// Of an image: of its manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_digest: Option<String>,
    start: &'static str,
    /// Why there is no snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_snapshot: Option<String>,
}

/// A policy within a group.
#[derive(Serialize)]
struct Member {
    name: String,
    #[serde(flatten)]
    component: Option<Code>,
}

/// The row of one object, if there is one.
pub(super) fn of_one(current: &Current, kind: Kind, name: &str) -> Option<Row> {
    let is = |it: &&Object| it.spec().kind == Some(kind) && it.spec().name == name;
    rows(current.objects().iter().find(is)?).into_iter().next()
}

/// Of an object; of a component by itself one for each kind that it can be.
fn rows(object: &Object) -> Vec<Row> {
    if object.policies().is_empty() {
        return vec![row(object, object.spec(), object.spec().kind.map_or("", Kind::name), None)];
    }
    object.policies().iter().map(|it| row(object, it.spec(), it.kind().name(), Some(it))).collect()
}

fn row(object: &Object, spec: &PolicySpec, kind: &'static str, policy: Option<&Arc<Policy>>) -> Row {
    let members = policy.map(|it| it.members()).unwrap_or_default();
    Row {
        kind,
        name: spec.name.clone(),
        state: object.state.name(),
        reason: object.reason.clone(),
        since: humantime::format_rfc3339_seconds(object.since).to_string(),
        component: policy.and_then(|it| code(it)),
        members: members
            .iter()
            .map(|it| Member { name: GroupSpec::within(&it.spec().name).to_owned(), component: code(it) })
            .collect(),
        actions: [("Deny", spec.actions.deny), ("Warn", spec.actions.warn), ("Audit", spec.actions.audit)]
            .into_iter()
            .filter_map(|(name, does)| does.then_some(name))
            .collect(),
        failure_policy: spec.failure_policy.name(),
        limit_policy: spec.limit_policy.name(),
        order: spec.order,
        timeout_milliseconds: spec.limits.time.as_millis(),
        memory_bytes: spec.limits.memory,
        fuel: spec.limits.fuel,
        instance_policy: spec.instance_policy.name(),
        source: object.spec().source.clone(),
    }
}

/// None: it is a group.
fn code(policy: &Policy) -> Option<Code> {
    let (reference, component) = (policy.spec().component()?, policy.component()?);
    let start = &component.about().start;
    Some(Code {
        component: reference.location.to_string(),
        digest: format!("sha256:{}", component.digest()),
        image_digest: component.manifest().map(|it| format!("sha256:{it}")),
        start: start.name(),
        no_snapshot: start.refusal().map(str::to_owned),
    })
}
