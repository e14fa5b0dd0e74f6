//! Objects of a cluster: read as documents are, with values from ConfigMaps and Secrets, and without files. Whoever can write an object chose every
//! byte of it, so that whatever comes is at most an error.

use std::time::Duration;

use serde_json::Value as Json;

use super::{
    ConfigError, about,
    document::{self, Origin},
    fields::{Field, Report},
    quantity,
    yaml::{NO_LINE, Node, Value},
};
use crate::{
    loader::registry::Pattern,
    spec::{Image, Limits, PolicySpec, ValueRef},
};

/// Finds the text of a key, or says why there is none.
pub type Values<'a> = &'a dyn Fn(&ValueRef) -> Result<String, String>;

/// What namespaced policies may have at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespacedCaps {
    /// Of `limits.timeoutMilliseconds`.
    pub time: Duration,
    /// Of `limits.memory`, in bytes.
    pub memory: usize,
    /// Of `limits.concurrentReviews`.
    pub reviews: u32,
    /// What images and URLs they may name. None: as everybody else.
    pub registries: Option<Vec<Pattern>>,
}

impl Default for NamespacedCaps {
    fn default() -> Self {
        Self { time: Duration::from_secs(1), memory: 64 << 20, reviews: 16, registries: None }
    }
}

/// An object of a cluster. `values` is asked for what it refers to ([`super::wanted`] lists that beforehand).
///
/// # Errors
/// What is wrong with it, whatever it is; never empty. Of values nothing is repeated.
pub fn cluster(object: &Json, values: Values<'_>, caps: &NamespacedCaps) -> Result<PolicySpec, Vec<ConfigError>> {
    let Some(node) = essential(object) else {
        return Err(vec![about(SOURCE.as_ref(), "it holds more values, or is nested deeper, than an object may")]);
    };
    let origin = Origin::Cluster { values, caps };
    document::policy(&node, &document::Place { file: SOURCE, document: SOURCE.to_owned(), origin })
}

/// Without what the cluster writes beside it. None: it is too large, or nested too deep.
fn essential(object: &Json) -> Option<Node> {
    let Json::Object(fields) = object else { return Node::of(object) };
    let mut kept = Vec::new();
    for (key, value) in fields.iter().filter(|(key, _)| *key != "status") {
        let value = match value {
            Json::Object(head) if key == "metadata" => {
                let is_ours =
                    |(key, it): &(&String, &Json)| ["name", "namespace"].contains(&key.as_str()) && !it.is_null();
                let named = head.iter().filter(is_ours);
                let named = named.map(|(key, it)| Some((key.clone(), Node::of(it)?))).collect::<Option<_>>()?;
                Node { line: NO_LINE, value: Value::Map(named) }
            }
            value => Node::of(value)?,
        };
        kept.push((key.clone(), value));
    }
    Some(Node { line: NO_LINE, value: Value::Map(kept) })
}

/// What of `spec`, which belongs to a namespace, is more than it may have.
pub(super) fn check(spec: &Field<'_>, caps: &NamespacedCaps, report: &mut Report<'_>) {
    let limits = spec.at("limits");
    let limit = |name: &str| limits.as_ref().and_then(|it| it.at(name));
    if let Some(field) = limit("timeoutMilliseconds")
        && let Value::Number(number) = &field.node.value
        && number.as_u64().is_some_and(|it| Duration::from_millis(it) > caps.time)
    {
        let most = caps.time.as_millis();
        field.error(report, format!("namespaced policies may take at most {most} ms here; got {number}"));
    }
    if let Some(field) = limit("memory") {
        let bytes = match &field.node.value {
            Value::Number(number) => number.as_u64(),
            Value::Text(text) => quantity::bytes(text),
            _ => None,
        };
        if bytes.is_some_and(|it| usize::try_from(it).map_or(true, |it| it > caps.memory)) {
            field.error(report, format!("namespaced policies may have at most {} bytes here", caps.memory));
        }
    }
    if let Some(field) = limit("concurrentReviews")
        && let Value::Number(number) = &field.node.value
        && number.as_u64().is_some_and(|it| it > caps.reviews.into())
    {
        let most = caps.reviews;
        field.error(
            report,
            format!("namespaced policies may have at most {most} reviews at the same time here; got {number}"),
        );
    }
    let (Some(patterns), Some(component)) = (&caps.registries, spec.at("component")) else { return };
    if let Some(field) = component.at("image")
        && let Some(image) = field.words().and_then(|it| it.parse::<Image>().ok())
        && !patterns.iter().any(|it| it.fits_image(image.repository()))
    {
        field.error(report, NOT_ALLOWED);
    }
    if let Some(field) = component.at("url")
        && let Some(url) = field.words().and_then(|it| super::component::web(it).ok())
        && !patterns.iter().any(|it| it.fits_url(&url))
    {
        field.error(report, NOT_ALLOWED);
    }
}

/// What it has where it says nothing is never more than it may have.
pub(super) fn capped(limits: Limits, caps: &NamespacedCaps) -> Limits {
    Limits {
        time: limits.time.min(caps.time),
        memory: limits.memory.min(caps.memory),
        concurrent: Some(limits.concurrent.map_or(caps.reviews, |it| it.min(caps.reviews))),
        ..limits
    }
}

const NOT_ALLOWED: &str = "is none of the places that namespaced policies may name here: ask the operator, who allows them with --namespaced-registry";
/// What messages call where it is.
const SOURCE: &str = "cluster";

#[cfg(test)]
mod tests;
