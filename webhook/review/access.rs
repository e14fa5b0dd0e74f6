//! SubjectAccessReview (authorization.k8s.io).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use super::{
    Envelope, Malformed, Version,
    decode::{self, Header, Strings, null_as_default, parse, read, strings},
    user::{self, UserInfo},
    written,
};
use crate::spec::{Operator, Requirement};

/// What is asked: SubjectAccessReviewSpec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectAccessReview {
    /// Who wants to do it.
    pub user: UserInfo,
    /// What is to be done.
    pub attributes: Attributes,
}

/// A review asks about either a resource or a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attributes {
    /// A resource.
    Resource(ResourceAttributes),
    /// A path that is no resource.
    NonResource(NonResourceAttributes),
}

/// ResourceAttributes; absent fields are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceAttributes {
    /// get, list, watch, create and so on; `*` means all.
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// In the plural.
    pub resource: String,
    /// Empty for the resource itself.
    pub subresource: String,
    /// Empty for cluster-scoped resources, and for all namespaces.
    pub namespace: String,
    /// Empty for all names.
    pub name: String,
    /// Narrows a list, watch or deletecollection.
    pub field_selector: Vec<Requirement>,
    /// Narrows a list, watch or deletecollection.
    pub label_selector: Vec<Requirement>,
}

/// NonResourceAttributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NonResourceAttributes {
    /// An HTTP method in lower case.
    pub verb: String,
    /// For example `/healthz`.
    pub path: String,
}

/// The answer of one authorizer, and of all together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// What was decided.
    pub decision: Decision,
    /// Shown to the user on denial.
    pub reason: String,
}

/// Allow and deny end the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allow,
    /// It may not, whatever others say.
    Deny,
    /// The next authorizer is asked.
    NoOpinion,
}

impl SubjectAccessReview {
    /// The spec as `matchConditions` see it: in the spelling of v1, whatever came. As in kube-apiserver's own
    /// (pkg/authorization/cel), strings are there even if empty, and selectors only if they have requirements.
    pub fn spec_json(&self) -> Value {
        let mut spec = json!({"user": self.user.username, "uid": self.user.uid, "groups": self.user.groups, "extra": self.user.extra});
        match &self.attributes {
            Attributes::Resource(it) => {
                let mut attributes = json!({
                    "verb": it.verb,
                    "group": it.group,
                    "version": it.version,
                    "resource": it.resource,
                    "subresource": it.subresource,
                    "namespace": it.namespace,
                    "name": it.name,
                });
                for (key, selector) in [("fieldSelector", &it.field_selector), ("labelSelector", &it.label_selector)] {
                    if !selector.is_empty() {
                        attributes[key] = json!({"requirements": requirements(selector)});
                    }
                }
                spec["resourceAttributes"] = attributes;
            }
            Attributes::NonResource(it) => {
                spec["nonResourceAttributes"] = json!({"verb": it.verb, "path": it.path});
            }
        }
        spec
    }
}

fn requirements(selector: &[Requirement]) -> Vec<Value> {
    selector.iter().map(|it| json!({"key": it.key, "operator": it.operator.name(), "values": it.values})).collect()
}

/// Reads a SubjectAccessReview of either version; v1beta1 spells `groups` as `group`.
///
/// # Errors
/// Short words for the caller.
pub fn decode(body: &[u8]) -> Result<Envelope<SubjectAccessReview>, Malformed> {
    let (wire, version) = read::<Wire<'_>>(body, KIND, GROUP)?;
    let spec = wire.spec.ok_or(Malformed::Missing("spec"))?;
    let attributes = match (spec.resource_attributes, spec.non_resource_attributes) {
        (Some(resource), None) => Attributes::Resource(resource.read()),
        (None, Some(path)) => Attributes::NonResource(NonResourceAttributes { verb: path.verb, path: path.path }),
        (Some(_), Some(_)) => return Err(Malformed::BothAttributes),
        (None, None) => return Err(Malformed::NoAttributes),
    };
    let groups = match version {
        Version::V1 => spec.groups,
        Version::V1Beta1 => spec.group,
    };
    let groups = groups.map(|it| parse::<Strings>(it.get())).transpose()?.unwrap_or_default().0;
    let user = UserInfo { username: spec.user, uid: spec.uid, groups, extra: spec.extra };
    Ok(Envelope { version, review: SubjectAccessReview { user, attributes } })
}

/// The whole answer, as JSON.
pub fn encode(version: Version, ruling: &Ruling) -> Vec<u8> {
    let status = Status {
        allowed: ruling.decision == Decision::Allow,
        denied: ruling.decision == Decision::Deny,
        reason: &ruling.reason,
    };
    written(&Answer { kind: KIND, api_version: version.of(GROUP), status })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    kind: Option<String>,
    api_version: Option<String>,
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
}

impl<'a> decode::Wire<'a> for Wire<'a> {
    fn header(&mut self) -> Header {
        Header { kind: self.kind.take(), api_version: self.api_version.take() }
    }
}

/// Both spellings of the groups stay raw until the version is known: under the other one there may be anything.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(default, deserialize_with = "null_as_default")]
    user: String,
    #[serde(default, deserialize_with = "null_as_default")]
    uid: String,
    #[serde(borrow)]
    groups: Option<&'a RawValue>,
    #[serde(borrow)]
    group: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "user::extra")]
    extra: std::collections::BTreeMap<String, Vec<String>>,
    resource_attributes: Option<WireResource>,
    non_resource_attributes: Option<WirePath>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireResource {
    #[serde(default, deserialize_with = "null_as_default")]
    verb: String,
    #[serde(default, deserialize_with = "null_as_default")]
    group: String,
    #[serde(default, deserialize_with = "null_as_default")]
    version: String,
    #[serde(default, deserialize_with = "null_as_default")]
    resource: String,
    #[serde(default, deserialize_with = "null_as_default")]
    subresource: String,
    #[serde(default, deserialize_with = "null_as_default")]
    namespace: String,
    #[serde(default, deserialize_with = "null_as_default")]
    name: String,
    field_selector: Option<WireSelector>,
    label_selector: Option<WireSelector>,
}

#[derive(Deserialize)]
struct WirePath {
    #[serde(default, deserialize_with = "null_as_default")]
    verb: String,
    #[serde(default, deserialize_with = "null_as_default")]
    path: String,
}

#[derive(Deserialize)]
struct WireSelector {
    #[serde(default, deserialize_with = "null_as_default")]
    requirements: Vec<WireRequirement>,
}

#[derive(Deserialize)]
struct WireRequirement {
    #[serde(default, deserialize_with = "null_as_default")]
    key: String,
    #[serde(default, deserialize_with = "null_as_default")]
    operator: String,
    #[serde(default, deserialize_with = "strings")]
    values: Vec<String>,
}

impl WireResource {
    fn read(self) -> ResourceAttributes {
        ResourceAttributes {
            verb: self.verb,
            group: self.group,
            version: self.version,
            resource: self.resource,
            subresource: self.subresource,
            namespace: self.namespace,
            name: self.name,
            field_selector: read_selector(self.field_selector),
            label_selector: read_selector(self.label_selector),
        }
    }
}

/// A requirement with an operator of a later Kubernetes is left out, as kube-apiserver does: a selector only narrows.
fn read_selector(selector: Option<WireSelector>) -> Vec<Requirement> {
    let requirements = selector.map(|it| it.requirements).unwrap_or_default();
    let read = |it: WireRequirement| {
        let operator = match it.operator.as_str() {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => return None,
        };
        Some(Requirement { key: it.key, operator, values: it.values })
    };
    requirements.into_iter().filter_map(read).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    kind: &'static str,
    api_version: String,
    status: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    allowed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    denied: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
}

/// Its kind.
pub const KIND: &str = "SubjectAccessReview";
const GROUP: &str = "authorization.k8s.io";

#[cfg(test)]
mod tests;
