//! Sets the requests and limits that the containers of pods and pod templates lack, and overrides none.

mod quantity;
mod spec;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use verdict_sdk::{
    AdmissionRequest, Error, Mutation, Mutator, Operation, Patch, Policy, SettingsError, pointer, serde_json::Value,
};

use crate::{
    quantity::Quantity,
    spec::{Container, PodSpec},
};

/// Resources that may be asked for and not be used up to the limit. Of others a request must be the limit.
const RESOURCES: [&str; 3] = ["cpu", "ephemeral-storage", "memory"];

struct DefaultResources {
    requests: Defaults,
    limits: Defaults,
}

/// Amounts by resource.
type Defaults = BTreeMap<String, Default>;

struct Default {
    /// As the operator wrote it.
    text: String,
    amount: Quantity,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    requests: BTreeMap<String, Written>,
    #[serde(default)]
    limits: BTreeMap<String, Written>,
}

/// `cpu: 1` is a number in YAML, and a quantity in Kubernetes.
struct Written(String);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            _ => Err(serde::de::Error::custom("expected a quantity such as `100m` or `128Mi`")),
        }
    }
}

impl Policy for DefaultResources {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        if settings.requests.is_empty() && settings.limits.is_empty() {
            return Err(vec![SettingsError::new("", "expected at least one of requests and limits")]);
        }
        let mut errors = Vec::new();
        let requests = defaults("requests", settings.requests, &mut errors);
        let limits = defaults("limits", settings.limits, &mut errors);
        for (resource, request) in &requests {
            if limits.get(resource).is_some_and(|limit| request.amount > limit.amount) {
                let path = pointer(["requests", resource.as_str()]);
                errors.push(SettingsError::new(path, format!("{} is more than the limit", request.text)));
            }
        }
        if errors.is_empty() { Ok(Self { requests, limits }) } else { Err(errors) }
    }
}

fn defaults(field: &str, written: BTreeMap<String, Written>, errors: &mut Vec<SettingsError>) -> Defaults {
    let mut defaults = Defaults::new();
    for (resource, Written(text)) in written {
        let path = pointer([field, resource.as_str()]);
        if !RESOURCES.contains(&resource.as_str()) {
            let message = format!("expected one of {}, got `{resource}`", RESOURCES.join(", "));
            errors.push(SettingsError::new(path, message));
            continue;
        }
        match Quantity::parse(&text) {
            Some(amount) => {
                defaults.insert(resource, Default { text, amount });
            }
            None => errors.push(SettingsError::new(path, "expected a quantity such as `100m` or `128Mi`")),
        }
    }
    defaults
}

impl Mutator for DefaultResources {
    fn mutate(&self, request: &AdmissionRequest) -> Result<Mutation, Error> {
        let (Some(fields), Some(object)) = (request.pod_spec_fields(), request.object.as_deref()) else {
            return Ok(Mutation::unchanged());
        };
        if !may_change(request) {
            return Ok(Mutation::unchanged());
        }
        let Some(spec) = PodSpec::read(object, fields)? else {
            return Ok(Mutation::unchanged());
        };
        let mut patch = Patch::new();
        for (name, containers) in spec.lists() {
            for (index, container) in containers.iter().enumerate() {
                let index = index.to_string();
                let path = pointer(fields.iter().copied().chain([name, index.as_str()]));
                self.complete(&path, container, &spec, &mut patch);
            }
        }
        Ok(Mutation::json_patch(patch))
    }
}

/// The API server refuses changes of a pod's resources, and of a job's template, once they are created.
fn may_change(request: &AdmissionRequest) -> bool {
    let is_fixed = request.is_kind("", "Pod") || request.is_kind("batch", "Job");
    match request.operation {
        Operation::Create => request.subresource.is_empty(),
        Operation::Update => !is_fixed,
        Operation::Delete | Operation::Connect => false,
    }
}

impl DefaultResources {
    fn complete(&self, path: &str, container: &Container, spec: &PodSpec, patch: &mut Patch) {
        let mut requests = serde_json::Map::new();
        for (resource, default) in &self.requests {
            // Kubernetes makes the request of what has only a limit as large as that.
            let given = container.request(resource).is_some() || container.limit(resource).is_some();
            if !given && !spec.has_of_its_own(resource) {
                requests.insert(resource.clone(), Value::from(default.text.as_str()));
            }
        }
        let mut limits = serde_json::Map::new();
        for (resource, default) in &self.limits {
            let given = container.limit(resource).is_some();
            // A limit below the request would make the pod invalid.
            let fits = container
                .request(resource)
                .is_none_or(|request| Quantity::parse(request).is_some_and(|request| request <= default.amount));
            if !given && fits && !spec.has_of_its_own(resource) {
                limits.insert(resource.clone(), Value::from(default.text.as_str()));
            }
        }
        let resources = container.resources.as_ref();
        let has = [resources.is_some_and(|it| it.requests.is_some()), resources.is_some_and(|it| it.limits.is_some())];
        let missing = [("requests", requests), ("limits", limits)];
        if missing.iter().all(|(_, amounts)| amounts.is_empty()) {
            return;
        }
        let path = format!("{path}/resources");
        if resources.is_none() {
            patch.add(&path, Value::Object(serde_json::Map::new()));
        }
        for ((name, amounts), has) in missing.into_iter().zip(has) {
            if amounts.is_empty() {
                continue;
            }
            if has {
                for (resource, amount) in amounts {
                    patch.add(format!("{path}{}", pointer([name, resource.as_str()])), amount);
                }
            } else {
                patch.add(format!("{path}/{name}"), Value::Object(amounts));
            }
        }
    }
}

verdict_sdk::export!(DefaultResources: Mutator);

#[cfg(test)]
mod tests;
