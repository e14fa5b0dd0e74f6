//! Reviews as modules read them: JSON of v1, whatever version came.

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::question::Reply;
use crate::review::{
    admission::{
        AdmissionRequest, Annotation, Change, Denial, GroupVersionKind, GroupVersionResource, Mutation, Validation,
    },
    user::UserInfo,
};

/// AdmissionRequest of admission.k8s.io/v1; what is absent is left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'a> {
    uid: &'a str,
    kind: &'a GroupVersionKind,
    resource: &'a GroupVersionResource,
    #[serde(skip_serializing_if = "str::is_empty")]
    sub_resource: &'a str,
    request_kind: &'a GroupVersionKind,
    request_resource: &'a GroupVersionResource,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_sub_resource: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    namespace: &'a str,
    operation: &'static str,
    user_info: &'a UserInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_object: Option<&'a RawValue>,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'a RawValue>,
}

impl<'a> Request<'a> {
    /// `object` is that of the request as changed so far.
    ///
    /// # Errors
    /// The object is no JSON.
    pub(super) fn new(request: &'a AdmissionRequest<'a>, object: Option<&'a str>) -> serde_json::Result<Self> {
        let unchanged = match (request.object, object) {
            (Some(whole), Some(text)) if std::ptr::eq(whole.get(), text) => Some(whole),
            _ => None,
        };
        let object = match (unchanged, object) {
            (Some(whole), _) => Some(whole),
            (None, text) => text.map(serde_json::from_str).transpose()?,
        };
        Ok(Self {
            uid: &request.uid,
            kind: &request.kind,
            resource: &request.resource,
            sub_resource: &request.subresource,
            request_kind: &request.request_kind,
            request_resource: &request.request_resource,
            request_sub_resource: &request.request_subresource,
            name: &request.name,
            namespace: &request.namespace,
            operation: request.operation.name(),
            user_info: &request.user,
            object,
            old_object: request.old_object,
            dry_run: request.dry_run,
            options: request.options,
        })
    }
}

/// What `read` makes of a guest's answer; its own error stays that.
pub(super) fn then<T, U>(said: Result<T, String>, read: impl FnOnce(T) -> wasmtime::Result<U>) -> Reply<U> {
    match said {
        Ok(said) => read(said).map(Ok),
        Err(words) => Ok(Err(words)),
    }
}

/// What was said about an object.
pub(super) struct Said {
    pub(super) outcome: Result<Change, Denial>,
    pub(super) warnings: Vec<String>,
    pub(super) annotations: Vec<Annotation>,
}

impl Said {
    /// # Errors
    /// It changes the object.
    pub(super) fn validation(self) -> wasmtime::Result<Validation> {
        let denial = match self.outcome {
            Ok(Change::Unchanged) => None,
            Ok(_) => {
                let words = "it changes the object, which a Validator cannot: declare it as a Mutator";
                return Err(wasmtime::format_err!("{words}"));
            }
            Err(denial) => Some(denial),
        };
        Ok(Validation { denial, warnings: self.warnings, annotations: self.annotations })
    }

    pub(super) fn mutation(self) -> Mutation {
        Mutation { outcome: self.outcome, warnings: self.warnings, annotations: self.annotations }
    }
}

/// What a module answers where JSON is expected. The words hold parts of the answer only where they may be told.
pub(super) fn parsed<'a, T: serde::Deserialize<'a>>(answer: &'a [u8], tell: bool) -> wasmtime::Result<T> {
    let text = std::str::from_utf8(answer).map_err(|_| wasmtime::format_err!("it is not UTF-8"))?;
    if text.trim().is_empty() {
        return Err(wasmtime::format_err!("it is empty"));
    }
    serde_json::from_str(text).map_err(|error| {
        let wrong = if error.is_data() { "it has another form than the protocol gives it" } else { "it is not JSON" };
        let place = format!("line {}, column {}", error.line(), error.column());
        if tell { wasmtime::format_err!("{wrong}: {error}") } else { wasmtime::format_err!("{wrong}: {place}") }
    })
}
