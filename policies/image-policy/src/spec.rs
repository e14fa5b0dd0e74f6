//! The images of a pod, and where they are named.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use verdict_sdk::{Error, FieldPath};

/// The fields of a pod's spec that name images. Null is the same as absent.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodSpec {
    #[serde(default, deserialize_with = "nullable")]
    init_containers: Vec<Container>,
    #[serde(default, deserialize_with = "nullable")]
    containers: Vec<Container>,
    #[serde(default, deserialize_with = "nullable")]
    ephemeral_containers: Vec<Container>,
    #[serde(default, deserialize_with = "nullable")]
    volumes: Vec<Volume>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Container {
    image: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Volume {
    image: Option<ImageVolume>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct ImageVolume {
    reference: Option<String>,
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

    /// Every image with its path; `path` is that of the spec. Those that are not named are left out: a template may
    /// leave them to others, and in a pod the API server refuses them.
    pub(crate) fn images(&self, path: &FieldPath) -> Vec<(FieldPath, &str)> {
        let lists = [
            ("initContainers", &self.init_containers),
            ("containers", &self.containers),
            ("ephemeralContainers", &self.ephemeral_containers),
        ];
        let mut images = Vec::new();
        for (name, list) in lists {
            for (index, container) in list.iter().enumerate() {
                if let Some(image) = container.image.as_deref() {
                    images.push((path.field(name).index(index).field("image"), image));
                }
            }
        }
        for (index, volume) in self.volumes.iter().enumerate() {
            if let Some(image) = volume.image.as_ref().and_then(|it| it.reference.as_deref()) {
                images.push((path.field("volumes").index(index).field("image.reference"), image));
            }
        }
        images.retain(|(_, image)| !image.is_empty());
        images
    }
}

fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
