//! The answer to an AdmissionReview on the wire.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::{AdmissionRequest, GROUP, KIND};
use crate::review::{Version, verdict::AdmissionVerdict, written};

/// The whole answer to `asked`, as JSON.
pub fn encode(version: Version, asked: &AdmissionRequest<'_>, verdict: &AdmissionVerdict) -> Vec<u8> {
    let subject = Subject { name: &asked.name, group: &asked.request_kind.group, kind: &asked.request_kind.kind };
    let response = Response::new(&asked.uid, verdict, subject);
    written(&Answer { kind: KIND, api_version: version.of(GROUP), response })
}

/// The answer to any JSON: `{"response": …}`, as Kubewarden's policy-server gives it.
pub fn encode_raw(uid: &str, verdict: &AdmissionVerdict) -> Vec<u8> {
    written(&RawAnswer { response: Response::new(uid, verdict, Subject::default()) })
}

/// What is said then.
pub const TOO_LATE: &str = "the server took too long";

/// The whole answer to a review of which nothing else can be said in time: a denial with code 504.
pub fn too_late(version: Version, uid: &str) -> Vec<u8> {
    let status = Status { status: "Failure", message: TOO_LATE, reason: "Timeout", details: None, code: 504 };
    let response = Response {
        uid,
        allowed: false,
        status: Some(status),
        patch: None,
        patch_type: None,
        audit_annotations: &BTreeMap::new(),
        warnings: &[],
    };
    written(&Answer { kind: KIND, api_version: version.of(GROUP), response })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    kind: &'static str,
    api_version: String,
    response: Response<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
}

/// What details are about.
#[derive(Clone, Copy, Default)]
struct Subject<'a> {
    name: &'a str,
    group: &'a str,
    kind: &'a str,
}

impl<'a> Response<'a> {
    fn new(uid: &'a str, verdict: &'a AdmissionVerdict, subject: Subject<'a>) -> Self {
        let patch = verdict.patch.as_ref().filter(|_| verdict.denial.is_none());
        let Subject { name, group, kind } = subject;
        Self {
            uid,
            allowed: verdict.denial.is_none(),
            status: verdict.denial.as_ref().map(|denied| Status {
                status: "Failure",
                message: &denied.message,
                reason: &denied.reason,
                details: (!denied.causes.is_empty() || denied.retry_after.is_some()).then(|| Details {
                    name,
                    group,
                    kind,
                    causes: denied
                        .causes
                        .iter()
                        .map(|it| WireCause { reason: &it.reason, message: &it.message, field: &it.field })
                        .collect(),
                    retry_after_seconds: denied.retry_after,
                }),
                code: denied.code,
            }),
            patch: patch.map(|it| STANDARD.encode(it)),
            patch_type: patch.map(|_| "JSONPatch"),
            audit_annotations: &verdict.annotations,
            warnings: &verdict.warnings,
        }
    }
}

#[derive(Serialize)]
struct RawAnswer<'a> {
    response: Response<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    status: &'static str,
    message: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
    code: u16,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    // Of the object: kubectl begins with them where it shows causes.
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<WireCause<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u32>,
}

#[derive(Serialize)]
struct WireCause<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'a str,
}
