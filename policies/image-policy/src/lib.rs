//! Which images may run: from which registries, under which tags, with or without a digest.
//!
//! Looks at every container of pods and pod templates, and at volumes that are images.

mod reference;
mod spec;

use serde::Deserialize;
use verdict_sdk::{
    AdmissionRequest, Cause, Denial, Error, FieldPath, Operation, Policy, SettingsError, Validation, Validator,
};

use crate::{
    reference::{Reference, Registry},
    spec::PodSpec,
};

/// Causes of one denial, so that an object with thousands of images still gets its answer.
const MAX_CAUSES: usize = 64;
/// Characters of an image's name that are repeated to the user.
const MAX_SHOWN: usize = 256;

struct ImagePolicy {
    registries: Option<Vec<Registry>>,
    forbid_latest: bool,
    require_digest: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Settings {
    allowed_registries: Option<Vec<String>>,
    #[serde(default)]
    forbid_latest: bool,
    #[serde(default)]
    require_digest: bool,
}

impl Policy for ImagePolicy {
    type Settings = Settings;

    fn new(settings: Settings) -> Result<Self, Vec<SettingsError>> {
        let Settings { allowed_registries, forbid_latest, require_digest } = settings;
        if allowed_registries.is_none() && !forbid_latest && !require_digest {
            let message = "expected at least one of allowedRegistries, forbidLatest and requireDigest";
            return Err(vec![SettingsError::new("", message)]);
        }
        let mut errors = Vec::new();
        let registries = allowed_registries.map(|list| registries(&list, &mut errors));
        if errors.is_empty() { Ok(Self { registries, forbid_latest, require_digest }) } else { Err(errors) }
    }
}

fn registries(list: &[String], errors: &mut Vec<SettingsError>) -> Vec<Registry> {
    if list.is_empty() {
        errors.push(SettingsError::new("/allowedRegistries", "expected at least one: no image is from none"));
    }
    let mut registries = Vec::new();
    for (index, text) in list.iter().enumerate() {
        match Registry::parse(text) {
            Some(registry) => registries.push(registry),
            None => errors.push(SettingsError::new(
                format!("/allowedRegistries/{index}"),
                "expected a host and maybe a path, such as `ghcr.io/team`",
            )),
        }
    }
    registries
}

impl Validator for ImagePolicy {
    fn validate(&self, request: &AdmissionRequest) -> Result<Validation, Error> {
        if !matches!(request.operation, Operation::Create | Operation::Update) {
            return Ok(Validation::allow());
        }
        let (Some(fields), Some(object)) = (request.pod_spec_fields(), request.object.as_deref()) else {
            return Ok(Validation::allow());
        };
        let Some(spec) = PodSpec::read(object, fields)? else {
            return Ok(Validation::allow());
        };
        // An update that touches no image is let through: else nobody could take a finalizer off an older object.
        if request.operation == Operation::Update
            && let Some(old) = request.old_object.as_deref()
            && PodSpec::read(old, fields)?.as_ref() == Some(&spec)
        {
            return Ok(Validation::allow());
        }
        let mut causes = Vec::new();
        for (field, image) in spec.images(&FieldPath::new(&fields.join("."))) {
            self.check(&field, image, &mut causes);
        }
        Ok(answer(causes))
    }
}

impl ImagePolicy {
    fn check(&self, field: &FieldPath, image: &str, causes: &mut Vec<Cause>) {
        let mut deny = |why: &str| {
            causes.push(Cause::new(field, "FieldValueForbidden", format!("the image {} {why}", shown(image))));
        };
        let Some(reference) = Reference::parse(image) else {
            return deny("is no image reference");
        };
        if let Some(registries) = &self.registries
            && !registries.iter().any(|registry| registry.has(&reference))
        {
            deny("is not from an allowed registry");
        }
        if self.forbid_latest && reference.is_latest() {
            deny("must have a tag other than latest, or a digest");
        }
        if self.require_digest && !reference.has_digest() {
            deny("must have a digest");
        }
    }
}

fn answer(mut causes: Vec<Cause>) -> Validation {
    let Some(first) = causes.first() else {
        return Validation::allow();
    };
    let mut message = format!("{}: {}", first.field, first.message);
    if causes.len() > 1 {
        message.push_str(&format!(" (and {} more)", causes.len() - 1));
    }
    causes.truncate(MAX_CAUSES);
    Validation::deny(Denial { causes, ..Denial::new(message) })
}

fn shown(image: &str) -> String {
    if image.chars().nth(MAX_SHOWN).is_none() {
        return format!("{image:?}");
    }
    let short: String = image.chars().take(MAX_SHOWN).collect();
    format!("{short:?}...")
}

verdict_sdk::export!(ImagePolicy: Validator);

#[cfg(test)]
mod tests;
