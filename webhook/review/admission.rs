//! AdmissionReview (admission.k8s.io), validating and mutating.

mod answer;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{
    Envelope, Malformed,
    decode::{self, Header, null_as_default, read, required},
    patch::{self, PatchText},
    user::UserInfo,
};
use crate::spec::Operation;
pub use answer::{TOO_LATE, encode, encode_raw, too_late};

/// group, version and kind, for example `apps`, `v1`, `Deployment`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupVersionKind {
    /// Empty for the core group.
    #[serde(deserialize_with = "null_as_default")]
    pub group: String,
    /// For example `v1`.
    #[serde(deserialize_with = "null_as_default")]
    pub version: String,
    /// For example `Pod`.
    #[serde(deserialize_with = "null_as_default")]
    pub kind: String,
}

/// group, version and resource, for example `apps`, `v1`, `deployments`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupVersionResource {
    /// Empty for the core group.
    #[serde(deserialize_with = "null_as_default")]
    pub group: String,
    /// For example `v1`.
    #[serde(deserialize_with = "null_as_default")]
    pub version: String,
    /// For example `pods`.
    #[serde(deserialize_with = "null_as_default")]
    pub resource: String,
}

/// AdmissionRequest. Objects borrow from the body that came in; JSON `null` and absent are `None`.
#[derive(Debug, Clone)]
pub struct AdmissionRequest<'a> {
    /// Of this call; echoed.
    pub uid: String,
    /// What is being done.
    pub operation: Operation,
    /// Of `object` as it came.
    pub kind: GroupVersionKind,
    /// As the webhook was registered for it.
    pub resource: GroupVersionResource,
    /// Empty for the resource itself.
    pub subresource: String,
    /// As `kind` where the caller did not say (so too the other `request_` fields).
    pub request_kind: GroupVersionKind,
    /// As the user named it.
    pub request_resource: GroupVersionResource,
    /// As the user named it.
    pub request_subresource: String,
    /// Whether the user named another resource, in another version for example, than the webhook is registered for.
    pub converted: bool,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// Empty where none is known.
    pub name: String,
    /// Who asks.
    pub user: UserInfo,
    /// The new object.
    pub object: Option<&'a RawValue>,
    /// The object as stored.
    pub old_object: Option<&'a RawValue>,
    /// Options of the operation.
    pub options: Option<&'a RawValue>,
    /// Nothing will be stored.
    pub dry_run: bool,
}

/// One thing that is wrong with the object (StatusCause).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    /// Path of the field.
    pub field: String,
    /// Machine-readable.
    pub reason: String,
    /// For the user.
    pub message: String,
}

/// Why an object may not enter, as a policy said it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Denial {
    /// For the user.
    pub message: String,
    /// HTTP status code.
    pub code: Option<u16>,
    /// StatusReason.
    pub reason: String,
    /// Each violation on its own.
    pub causes: Vec<Cause>,
    /// Seconds after which the request may succeed.
    pub retry_after: Option<u32>,
}

/// One audit annotation, as a policy said it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotation {
    /// Without the policy's name.
    pub key: String,
    /// Any text.
    pub value: String,
}

/// The answer of one validator.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validation {
    /// None allows.
    pub denial: Option<Denial>,
    /// For the user.
    pub warnings: Vec<String>,
    /// For the audit log.
    pub annotations: Vec<Annotation>,
}

/// The answer of one mutator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// A mutator may also deny.
    pub outcome: Result<Change, Denial>,
    /// For the user.
    pub warnings: Vec<String>,
    /// For the audit log.
    pub annotations: Vec<Annotation>,
}

/// A change of the object, as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing to do.
    Unchanged,
    /// RFC 6902.
    JsonPatch(String),
    /// RFC 7386.
    MergePatch(String),
    /// The whole new object.
    Full(String),
}

impl AdmissionRequest<'_> {
    /// The request as kube-apiserver gives it to `matchConditions`: there it has no uid yet, the objects are variables of
    /// their own, and what is absent is null.
    pub fn request_json(&self) -> Value {
        let mut request = json!({
            "uid": "",
            "object": null,
            "oldObject": null,
            "options": null,
            "kind": self.kind,
            "resource": self.resource,
            "requestKind": self.request_kind,
            "requestResource": self.request_resource,
            "operation": self.operation.name(),
            "userInfo": self.user,
            "dryRun": self.dry_run,
        });
        for (key, text) in [
            ("subResource", &self.subresource),
            ("requestSubResource", &self.request_subresource),
            ("name", &self.name),
            ("namespace", &self.namespace),
        ] {
            // Absent when empty, as kube-apiserver's own matchConditions see it: has() tells.
            if !text.is_empty() {
                request[key] = json!(text);
            }
        }
        if let Some(options) = self.options.and_then(|it| patch::parse(it.get(), PatchText::Options).ok()) {
            request["options"] = options;
        }
        request
    }
}

/// Equality of two names. They are short: libc's comparison, made for long ones, was measured at 80 ns each on a processor
/// with AVX-512, a hundredth of what a whole policy costs.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(one, other)| one == other)
}

/// Reads an AdmissionReview of either version; objects borrow from the body.
///
/// # Errors
/// Short words for the caller.
pub fn decode(body: &[u8]) -> Result<Envelope<AdmissionRequest<'_>>, Malformed> {
    let (wire, version) = read::<Wire<'_>>(body, KIND, GROUP)?;
    let wire = wire.request.ok_or(Malformed::Missing("request"))?;
    let operation = match required(wire.operation, "request.operation")?.as_str() {
        "CREATE" => Operation::Create,
        "UPDATE" => Operation::Update,
        "DELETE" => Operation::Delete,
        "CONNECT" => Operation::Connect,
        _ => return Err(Malformed::Operation),
    };
    let kind = wire.kind.ok_or(Malformed::Missing("request.kind"))?;
    let resource = wire.resource.ok_or(Malformed::Missing("request.resource"))?;
    // Who names the requested resource names its subresource too, by leaving it out if there is none.
    let request_subresource = match (wire.request_sub_resource, &wire.request_resource) {
        (Some(subresource), _) => subresource,
        (None, Some(_)) => String::new(),
        (None, None) => wire.sub_resource.clone(),
    };
    let request_kind = wire.request_kind.unwrap_or_else(|| kind.clone());
    let request_resource = wire.request_resource.unwrap_or_else(|| resource.clone());
    let named = [&kind.group, &kind.version, &kind.kind, &resource.group, &resource.version, &resource.resource];
    let requested = [
        &request_kind.group,
        &request_kind.version,
        &request_kind.kind,
        &request_resource.group,
        &request_resource.version,
        &request_resource.resource,
    ];
    let review = AdmissionRequest {
        uid: required(wire.uid, "request.uid")?,
        operation,
        converted: !named.into_iter().zip(requested).all(|(one, other)| same(one, other))
            || !same(&wire.sub_resource, &request_subresource),
        request_kind,
        kind,
        request_resource,
        resource,
        request_subresource,
        subresource: wire.sub_resource,
        namespace: wire.namespace,
        name: wire.name,
        user: wire.user_info,
        object: wire.object,
        old_object: wire.old_object,
        options: wire.options,
        dry_run: wire.dry_run,
    };
    Ok(Envelope { version, review })
}

/// Any JSON that is asked about, as Kubewarden's policy-server takes it: `{"request": …}`.
#[derive(Debug, Clone)]
pub struct RawRequest<'a> {
    /// As it came.
    pub request: &'a RawValue,
    /// `request.uid` where that is a text; else empty.
    pub uid: String,
}

/// Reads it.
///
/// # Errors
/// Short words for the caller.
pub fn decode_raw(body: &[u8]) -> Result<RawRequest<'_>, Malformed> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        request: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Uid {
        uid: Option<Value>,
    }
    let wire: Wire<'_> = decode::parse(std::str::from_utf8(body).map_err(|_| Malformed::Missing("request"))?)?;
    let request = wire.request.ok_or(Malformed::Missing("request"))?;
    let uid = serde_json::from_str::<Uid>(request.get()).ok().and_then(|it| it.uid);
    let uid = uid.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(RawRequest { request, uid })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    kind: Option<String>,
    api_version: Option<String>,
    #[serde(borrow)]
    request: Option<WireRequest<'a>>,
}

impl<'a> decode::Wire<'a> for Wire<'a> {
    fn header(&mut self) -> Header {
        Header { kind: self.kind.take(), api_version: self.api_version.take() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest<'a> {
    uid: Option<String>,
    operation: Option<String>,
    kind: Option<GroupVersionKind>,
    resource: Option<GroupVersionResource>,
    #[serde(default, deserialize_with = "null_as_default")]
    sub_resource: String,
    request_kind: Option<GroupVersionKind>,
    request_resource: Option<GroupVersionResource>,
    request_sub_resource: Option<String>,
    #[serde(default, deserialize_with = "null_as_default")]
    namespace: String,
    #[serde(default, deserialize_with = "null_as_default")]
    name: String,
    #[serde(default, deserialize_with = "null_as_default")]
    user_info: UserInfo,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    old_object: Option<&'a RawValue>,
    #[serde(borrow)]
    options: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "null_as_default")]
    dry_run: bool,
}

/// Its kind.
pub const KIND: &str = "AdmissionReview";
const GROUP: &str = "admission.k8s.io";
