//! An AdmissionResponse of admission.k8s.io/v1 as guests write it; what is absent, or null, is empty.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer};
use wasmtime::format_err;

use super::reviews::Said;
use crate::review::admission::{Annotation, Cause, Change, Denial};

/// AdmissionResponse of admission.k8s.io/v1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdmissionResponse {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) uid: String,
    #[serde(default, deserialize_with = "lenient")]
    allowed: bool,
    #[serde(default, deserialize_with = "lenient")]
    status: Status,
    #[serde(default, deserialize_with = "lenient")]
    patch: String,
    #[serde(default, deserialize_with = "lenient")]
    patch_type: String,
    #[serde(default, deserialize_with = "lenient")]
    warnings: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    audit_annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default, deserialize_with = "lenient")]
    message: String,
    code: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    reason: String,
    #[serde(default, deserialize_with = "lenient")]
    details: Details,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    #[serde(default, deserialize_with = "lenient")]
    causes: Vec<StatusCause>,
    retry_after_seconds: Option<u32>,
}

#[derive(Deserialize)]
struct StatusCause {
    #[serde(default, deserialize_with = "lenient")]
    field: String,
    #[serde(default, deserialize_with = "lenient")]
    reason: String,
    #[serde(default, deserialize_with = "lenient")]
    message: String,
}

impl AdmissionResponse {
    /// # Errors
    /// Its patch cannot be read.
    pub(super) fn read(self) -> wasmtime::Result<Said> {
        let annotations = self.audit_annotations.into_iter();
        let annotations = annotations.map(|(key, value)| Annotation { key, value }).collect();
        let outcome = if self.allowed { Ok(change(&self.patch_type, &self.patch)?) } else { Err(denial(self.status)) };
        Ok(Said { outcome, warnings: self.warnings, annotations })
    }
}

fn denial(Status { message, code, reason, details }: Status) -> Denial {
    let causes = details.causes.into_iter();
    Denial {
        message,
        code: code.and_then(|it| u16::try_from(it).ok()).filter(|it| *it != 0),
        reason,
        causes: causes.map(|it| Cause { field: it.field, reason: it.reason, message: it.message }).collect(),
        retry_after: details.retry_after_seconds.filter(|it| *it != 0),
    }
}

/// Nothing changes without a patch, whatever its type.
fn change(patch_type: &str, patch: &str) -> wasmtime::Result<Change> {
    if patch.is_empty() {
        return Ok(Change::Unchanged);
    }
    let bytes = STANDARD.decode(patch).map_err(|_| format_err!("its patch is not base64"))?;
    let text = String::from_utf8(bytes).map_err(|_| format_err!("its patch is not UTF-8"))?;
    match patch_type {
        "Full" => Ok(Change::Full(text)),
        "JSONPatch" => Ok(Change::JsonPatch(text)),
        _ => Err(format_err!("its patchType: expected Full or JSONPatch")),
    }
}

/// `null` is what is absent.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(json: Value) -> wasmtime::Result<Said> {
        serde_json::from_value::<AdmissionResponse>(json).unwrap().read()
    }

    #[test]
    fn patches_are_whole_objects_or_none() {
        let allowed = |patch_type: &str, patch: &str| {
            read(json!({"uid": "u", "allowed": true, "patchType": patch_type, "patch": STANDARD.encode(patch)}))
        };
        assert_eq!(allowed("Full", "{}").unwrap().outcome.unwrap(), Change::Full("{}".to_owned()));
        assert_eq!(allowed("JSONPatch", "[]").unwrap().outcome.unwrap(), Change::JsonPatch("[]".to_owned()));
        assert_eq!(allowed("Full", "").unwrap().outcome.unwrap(), Change::Unchanged);
        assert_eq!(allowed("", "").unwrap().outcome.unwrap(), Change::Unchanged);
        assert!(allowed("Merge", "{}").err().unwrap().to_string().contains("patchType: expected Full"));
        assert!(read(json!({"allowed": true, "patchType": "Full", "patch": "*"})).is_err());
        assert!(read(json!({"allowed": true, "patchType": "Full", "patch": STANDARD.encode([0xff])})).is_err());
        // Not an object that somebody meant.
        assert!(read(json!({"allowed": false, "patch": "*"})).unwrap().outcome.is_err());
    }

    #[test]
    fn nulls_are_absent() {
        let said = read(json!({
            "uid": null, "allowed": null, "status": null, "patch": null, "patchType": null, "warnings": null,
            "auditAnnotations": null,
        }))
        .unwrap();
        assert_eq!(said.outcome, Err(Denial::default()));
        assert!(said.warnings.is_empty() && said.annotations.is_empty());
    }
}
