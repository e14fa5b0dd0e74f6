//! The resources of a pod and its containers.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use verdict_sdk::{Error, serde_json::Value};

/// The fields of a pod's spec that have to do with resources. Null is the same as absent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodSpec {
    #[serde(default, deserialize_with = "nullable")]
    init_containers: Vec<Container>,
    #[serde(default, deserialize_with = "nullable")]
    containers: Vec<Container>,
    /// For all containers together.
    resources: Option<Resources>,
}

#[derive(Deserialize)]
pub(crate) struct Container {
    pub(crate) resources: Option<Resources>,
}

#[derive(Deserialize)]
pub(crate) struct Resources {
    pub(crate) requests: Option<BTreeMap<String, Value>>,
    pub(crate) limits: Option<BTreeMap<String, Value>>,
}

impl PodSpec {
    /// The spec at `fields` of the object; None if it has none.
    pub(crate) fn read(object: &str, fields: &[&str]) -> Result<Option<Self>, Error> {
        let mut at = object;
        for field in fields {
            let level: BTreeMap<String, &RawValue> = serde_json::from_str(at)?;
            match level.get(*field) {
                Some(value) if value.get() != "null" => at = value.get(),
                _ => return Ok(None),
            }
        }
        Ok(Some(serde_json::from_str(at)?))
    }

    /// The lists of containers that may have resources, by name. Ephemeral ones may not.
    pub(crate) fn lists(&self) -> [(&'static str, &[Container]); 2] {
        [("initContainers", &self.init_containers), ("containers", &self.containers)]
    }

    /// Whether the pod as a whole says how much of `resource` it gets: then its containers share that.
    pub(crate) fn has_of_its_own(&self, resource: &str) -> bool {
        let of =
            |amounts: &Option<BTreeMap<String, Value>>| amounts.as_ref().is_some_and(|it| it.contains_key(resource));
        self.resources.as_ref().is_some_and(|it| of(&it.requests) || of(&it.limits))
    }
}

impl Container {
    /// How much it asks for, if it does.
    pub(crate) fn request(&self, resource: &str) -> Option<&str> {
        amount(self.resources.as_ref()?.requests.as_ref()?, resource)
    }

    /// How much it may have, if there is a limit.
    pub(crate) fn limit(&self, resource: &str) -> Option<&str> {
        amount(self.resources.as_ref()?.limits.as_ref()?, resource)
    }
}

/// The API server writes quantities as strings; what is none counts as given, and is left to it.
fn amount<'a>(amounts: &'a BTreeMap<String, Value>, resource: &str) -> Option<&'a str> {
    match amounts.get(resource)? {
        Value::Null => None,
        value => Some(value.as_str().unwrap_or_default()),
    }
}

fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
