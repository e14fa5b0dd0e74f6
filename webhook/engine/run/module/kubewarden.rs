//! What Kubewarden's policies read and answer: `{"request": AdmissionRequest, "settings"}` and its ValidationResponse, the same in waPC
//! and in WASI commands. Those in Rego are for `rego.rs`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wasmtime::{Instance, Store, format_err};

use super::{
    super::{question::Reply, state::State},
    Asked, Module, rego,
    reviews::{Request, Said, parsed, then},
};
use crate::{
    component::protocol::Protocol,
    review::admission::{AdmissionRequest, Annotation, Change, Denial, Mutation, Validation},
};

pub(in crate::engine::run) async fn validate(
    asked: Asked<'_>,
    request: &AdmissionRequest<'_>,
    object: Option<&str>,
) -> Reply<Validation> {
    then(admit(asked, request, object).await?, Said::validation)
}

pub(in crate::engine::run) async fn mutate(
    asked: Asked<'_>,
    request: &AdmissionRequest<'_>,
    object: Option<&str>,
) -> Reply<Mutation> {
    Ok(admit(asked, request, object).await?.map(Said::mutation))
}

/// Any JSON instead of an AdmissionRequest.
pub(in crate::engine::run) async fn validate_raw(asked: Asked<'_>, request: &str) -> Reply<Mutation> {
    let request: &RawValue = serde_json::from_str(request).map_err(|error| format_err!("{error}"))?;
    if asked.module.protocol() == Protocol::KubewardenGatekeeper {
        return Ok(Err(
            "policies of Gatekeeper's are asked about AdmissionRequests only, not about any JSON".to_owned()
        ));
    }
    Ok(put(asked, request, true).await?.map(Said::mutation))
}

/// What is wrong with the settings, in the guest's words; None: nothing. A guest that fails says so too.
pub(in crate::engine) async fn refused_settings(
    module: &Module,
    store: &mut Store<State>,
    instance: &Instance,
    settings: Option<&str>,
) -> wasmtime::Result<Option<String>> {
    let operation = match module.protocol() {
        Protocol::KubewardenWasi => "validate-settings",
        _ => "validate_settings",
    };
    let input = settings.unwrap_or("{}").as_bytes().to_vec();
    let answer = match module.ask(store, instance, operation, input, MAX_ANSWER).await? {
        Ok(answer) => answer,
        Err(words) => return Ok(Some(words)),
    };
    let said: SettingsResponse = match parsed(&answer, true) {
        Ok(said) => said,
        Err(error) => return Ok(Some(format!("the answer of {operation} is not valid: {error}"))),
    };
    let none = "the policy does not say what is wrong".to_owned();
    Ok((!said.valid).then(|| said.message.filter(|it| !it.is_empty()).unwrap_or(none)))
}

/// Whether a waPC guest knows Kubewarden's operations: it answers `protocol_version` with v1.
pub(in crate::engine) async fn is_policy(module: &Module, store: &mut Store<State>, instance: &Instance) -> bool {
    let said = module.ask(store, instance, "protocol_version", Vec::new(), MAX_ANSWER).await;
    matches!(said, Ok(Ok(answer)) if answer.trim_ascii() == br#""v1""#)
}

async fn admit(asked: Asked<'_>, request: &AdmissionRequest<'_>, object: Option<&str>) -> Reply<Said> {
    let has_object = object.is_some();
    let request = Request::new(request, object).map_err(|error| format_err!("{error}"))?;
    put(asked, request, has_object).await
}

/// `object`: whether there is one that could be changed.
async fn put(asked: Asked<'_>, request: impl Serialize + Send, object: bool) -> Reply<Said> {
    if asked.module.protocol().is_rego() {
        return rego::put(asked, request, object).await;
    }
    let failed = |error: serde_json::Error| format_err!("{error}");
    let settings = serde_json::from_str(asked.settings.unwrap_or("{}")).map_err(failed)?;
    let input = serde_json::to_vec(&Input { request, settings }).map_err(failed)?;
    let answer = match asked.module.ask(asked.store, asked.instance, "validate", input, MAX_OBJECT).await? {
        Ok(answer) => answer,
        Err(words) => return Ok(Err(words)),
    };
    parsed::<ValidationResponse>(&answer, true).map(|said| Ok(said.read(object)))
}

#[derive(Serialize)]
struct Input<'a, T> {
    request: T,
    settings: &'a RawValue,
}

/// With the names that the SDKs write.
#[derive(Deserialize)]
struct ValidationResponse {
    accepted: bool,
    message: Option<String>,
    code: Option<u16>,
    /// The whole new object; numbers stay as they are written.
    mutated_object: Option<Box<RawValue>>,
    audit_annotations: Option<BTreeMap<String, String>>,
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct SettingsResponse {
    valid: bool,
    message: Option<String>,
}

impl ValidationResponse {
    /// `object`: whether there is one that could be changed.
    fn read(self, object: bool) -> Said {
        let annotations = self.audit_annotations.unwrap_or_default().into_iter();
        let denied = |message: String, code| Denial { message, code, ..Denial::default() };
        let outcome = match self.mutated_object {
            _ if !self.accepted => Err(denied(self.message.unwrap_or_default(), self.code)),
            None => Ok(Change::Unchanged),
            Some(_) if !object => Err(nothing_to_change()),
            Some(changed) => Ok(Change::Full(changed.get().to_owned())),
        };
        Said {
            outcome,
            warnings: self.warnings.unwrap_or_default(),
            annotations: annotations.map(|(key, value)| Annotation { key, value }).collect(),
        }
    }
}

/// Where a change is an answer to a review without an object.
pub(super) fn nothing_to_change() -> Denial {
    Denial { message: NO_OBJECT.to_owned(), ..Denial::default() }
}

/// As Kubewarden's server says it.
const NO_OBJECT: &str = "Incoming object is null, which happens only with DELETE operations, but the policy is attempting a mutation. \
                         This is not allowed";
/// Bytes of an answer without an object.
const MAX_ANSWER: usize = 1 << 20;
/// Bytes of an answer with one.
pub(super) const MAX_OBJECT: usize = 16 << 20;
