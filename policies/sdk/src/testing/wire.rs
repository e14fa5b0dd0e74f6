//! v1 reviews as JSON to the SDK's requests. Only for tests: in a component the server has parsed the envelope already.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{
    AdmissionRequest, Attributes, ChangeType, GroupVersionKind, GroupVersionResource, NonResourceAttributes,
    ObjectChange, Operation, Requested, ResourceAttributes, SelectorOperator, SelectorRequirement, SubjectAccessReview,
    Token, TokenReview, User, settings::parse,
};

/// The request of an admission.k8s.io/v1 AdmissionReview. Panics if it is none.
pub fn admission(review: &str) -> AdmissionRequest {
    let json::Review { request } = read(review, "AdmissionReview");
    let kind: GroupVersionKind = request.kind.into();
    let resource: GroupVersionResource = request.resource.into();
    let requested = Requested {
        kind: request.request_kind.map_or_else(|| kind.clone(), Into::into),
        resource: request.request_resource.map_or_else(|| resource.clone(), Into::into),
        subresource: request.request_sub_resource.unwrap_or_else(|| request.sub_resource.clone()),
    };
    let named = Requested { kind, resource, subresource: request.sub_resource };
    AdmissionRequest {
        uid: request.uid,
        operation: request.operation.into(),
        requested: (requested != named).then_some(requested),
        kind: named.kind,
        resource: named.resource,
        subresource: named.subresource,
        namespace: request.namespace,
        name: request.name,
        user: request.user_info.into(),
        object: json(request.object),
        old_object: json(request.old_object),
        options: json(request.options),
        dry_run: request.dry_run,
    }
}

/// The spec of an authentication.k8s.io/v1 TokenReview. Panics if it is none.
pub fn token(review: &str) -> TokenReview {
    let json::Spec::<json::Token> { spec } = read(review, "TokenReview");
    TokenReview { token: Token::new(spec.token), audiences: spec.audiences }
}

/// The spec of an authorization.k8s.io/v1 SubjectAccessReview. Panics if it is none.
pub fn access(review: &str) -> SubjectAccessReview {
    let json::Spec::<json::Access> { spec } = read(review, "SubjectAccessReview");
    let attributes = match (spec.resource_attributes, spec.non_resource_attributes) {
        (Some(it), None) => Attributes::Resource(ResourceAttributes {
            verb: it.verb,
            group: it.group,
            version: it.version,
            resource: it.resource,
            subresource: it.subresource,
            namespace: it.namespace,
            name: it.name,
            field_selector: requirements(it.field_selector),
            label_selector: requirements(it.label_selector),
        }),
        (None, Some(it)) => Attributes::NonResource(NonResourceAttributes { verb: it.verb, path: it.path }),
        _ => panic!("a SubjectAccessReview has either resourceAttributes or nonResourceAttributes"),
    };
    SubjectAccessReview {
        user: User { username: spec.user, uid: spec.uid, groups: spec.groups, extra: spec.extra },
        attributes,
    }
}

/// A change of an object: `{"type": "ADDED", "object": {...}, "oldObject": {...}, "replayed": false}`. Panics if it is none.
pub fn change(change: &str) -> ObjectChange {
    let change: json::Change = serde_json::from_str(change).unwrap_or_else(|error| panic!("no change: {error}"));
    ObjectChange {
        change_type: match change.change_type {
            json::ChangeType::Added => ChangeType::Added,
            json::ChangeType::Modified => ChangeType::Modified,
            json::ChangeType::Deleted => ChangeType::Deleted,
        },
        object: change.object.get().to_owned(),
        old_object: json(change.old_object),
        replayed: change.replayed,
    }
}

fn read<T: DeserializeOwned>(review: &str, kind: &str) -> T {
    let header: json::Header = parse(review).unwrap_or_else(|(path, message)| panic!("{kind}{path}: {message}"));
    assert_eq!(header.kind, kind);
    assert!(header.api_version.ends_with("k8s.io/v1"), "not a v1 review: {}", header.api_version);
    // RawValue cannot be read through serde_path_to_error.
    serde_json::from_str(review).unwrap_or_else(|error| panic!("{kind}: {error}"))
}

fn json(value: Option<Box<RawValue>>) -> Option<String> {
    value.map(|it| it.get().to_owned()).filter(|it| it != "null")
}

fn requirements(selector: Option<json::Selector>) -> Vec<SelectorRequirement> {
    let requirements = selector.map(|it| it.requirements).unwrap_or_default();
    requirements
        .into_iter()
        .map(|it| SelectorRequirement {
            key: it.key,
            operator: match it.operator.as_str() {
                "In" => SelectorOperator::In,
                "NotIn" => SelectorOperator::NotIn,
                "Exists" => SelectorOperator::Exists,
                "DoesNotExist" => SelectorOperator::DoesNotExist,
                other => panic!("no such selector operator: {other}"),
            },
            values: it.values,
        })
        .collect()
}

impl From<json::Kind> for GroupVersionKind {
    fn from(it: json::Kind) -> Self {
        Self { group: it.group, version: it.version, kind: it.kind }
    }
}

impl From<json::Resource> for GroupVersionResource {
    fn from(it: json::Resource) -> Self {
        Self { group: it.group, version: it.version, resource: it.resource }
    }
}

impl From<json::Operation> for Operation {
    fn from(it: json::Operation) -> Self {
        match it {
            json::Operation::Create => Self::Create,
            json::Operation::Update => Self::Update,
            json::Operation::Delete => Self::Delete,
            json::Operation::Connect => Self::Connect,
        }
    }
}

impl From<json::UserInfo> for User {
    fn from(it: json::UserInfo) -> Self {
        Self { username: it.username, uid: it.uid, groups: it.groups, extra: it.extra }
    }
}

/// The JSON as it is written.
mod json {
    use super::{BTreeMap, Deserialize, RawValue};

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Header {
        pub(super) kind: String,
        pub(super) api_version: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    pub(super) struct Change {
        #[serde(rename = "type")]
        pub(super) change_type: ChangeType,
        pub(super) object: Box<RawValue>,
        pub(super) old_object: Option<Box<RawValue>>,
        #[serde(default)]
        pub(super) replayed: bool,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    pub(super) enum ChangeType {
        Added,
        Modified,
        Deleted,
    }

    #[derive(Deserialize)]
    pub(super) struct Review {
        pub(super) request: Request,
    }

    #[derive(Deserialize)]
    pub(super) struct Spec<T> {
        pub(super) spec: T,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Request {
        pub(super) uid: String,
        pub(super) operation: Operation,
        pub(super) kind: Kind,
        pub(super) resource: Resource,
        #[serde(default)]
        pub(super) sub_resource: String,
        pub(super) request_kind: Option<Kind>,
        pub(super) request_resource: Option<Resource>,
        pub(super) request_sub_resource: Option<String>,
        #[serde(default)]
        pub(super) namespace: String,
        #[serde(default)]
        pub(super) name: String,
        #[serde(default)]
        pub(super) user_info: UserInfo,
        pub(super) object: Option<Box<RawValue>>,
        pub(super) old_object: Option<Box<RawValue>>,
        pub(super) options: Option<Box<RawValue>>,
        #[serde(default)]
        pub(super) dry_run: bool,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    pub(super) enum Operation {
        Create,
        Update,
        Delete,
        Connect,
    }

    #[derive(Deserialize)]
    pub(super) struct Kind {
        #[serde(default)]
        pub(super) group: String,
        pub(super) version: String,
        pub(super) kind: String,
    }

    #[derive(Deserialize)]
    pub(super) struct Resource {
        #[serde(default)]
        pub(super) group: String,
        pub(super) version: String,
        pub(super) resource: String,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    pub(super) struct UserInfo {
        pub(super) username: String,
        pub(super) uid: String,
        pub(super) groups: Vec<String>,
        pub(super) extra: BTreeMap<String, Vec<String>>,
    }

    #[derive(Deserialize)]
    pub(super) struct Token {
        pub(super) token: String,
        #[serde(default)]
        pub(super) audiences: Vec<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub(super) struct Access {
        pub(super) resource_attributes: Option<ResourceAttributes>,
        pub(super) non_resource_attributes: Option<NonResourceAttributes>,
        #[serde(default)]
        pub(super) user: String,
        #[serde(default)]
        pub(super) uid: String,
        #[serde(default)]
        pub(super) groups: Vec<String>,
        #[serde(default)]
        pub(super) extra: BTreeMap<String, Vec<String>>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    pub(super) struct ResourceAttributes {
        pub(super) verb: String,
        pub(super) group: String,
        pub(super) version: String,
        pub(super) resource: String,
        pub(super) subresource: String,
        pub(super) namespace: String,
        pub(super) name: String,
        pub(super) field_selector: Option<Selector>,
        pub(super) label_selector: Option<Selector>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    pub(super) struct NonResourceAttributes {
        pub(super) verb: String,
        pub(super) path: String,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    pub(super) struct Selector {
        pub(super) requirements: Vec<Requirement>,
    }

    #[derive(Deserialize)]
    pub(super) struct Requirement {
        pub(super) key: String,
        pub(super) operator: String,
        #[serde(default)]
        pub(super) values: Vec<String>,
    }
}
