//! Between the reviews' types and the contract's: borrowed on the way in, owned on the way out.

use super::bindings::{
    exports::verdict::{
        admission::{mutating, validating},
        authentication::authentication,
        authorization::authorization,
        events::changes,
    },
    verdict::{admission::admission as contract, policy::types},
};
use crate::{
    review::{
        access::{Decision, Ruling},
        action::{ObjectEvent, ObjectKey, PatchType, Said},
        admission::{
            AdmissionRequest, Annotation, Cause, Change, Denial, GroupVersionKind, GroupVersionResource, Mutation,
            Validation,
        },
        token::{Authentication, Identity},
        user::UserInfo,
    },
    spec::{Operation, Operator, Requirement},
};

/// The lists of a UserInfo as the contract wants them: slices of slices.
pub(super) struct UserLists<'a> {
    groups: Vec<&'a str>,
    extra: Vec<(&'a str, Vec<&'a str>)>,
}

impl<'a> UserLists<'a> {
    pub(super) fn new(user: &'a UserInfo) -> Self {
        Self {
            groups: strs(&user.groups),
            extra: user.extra.iter().map(|(key, values)| (key.as_str(), strs(values))).collect(),
        }
    }

    pub(super) fn extra(&self) -> Vec<types::ExtraEntryParam<'_>> {
        self.extra.iter().map(|(key, values)| types::ExtraEntryParam { key, values }).collect()
    }

    pub(super) fn user<'b>(
        &'b self,
        user: &'b UserInfo,
        extra: &'b [types::ExtraEntryParam<'b>],
    ) -> types::UserInfoParam<'b> {
        types::UserInfoParam { username: &user.username, uid: &user.uid, groups: &self.groups, extra }
    }
}

/// The values of each requirement of a selector.
pub(super) fn selector_values(selector: &[Requirement]) -> Vec<Vec<&str>> {
    selector.iter().map(|requirement| strs(&requirement.values)).collect()
}

pub(super) fn selector<'a>(
    selector: &'a [Requirement],
    values: &'a [Vec<&'a str>],
) -> Vec<authorization::SelectorRequirement<'a>> {
    let operator = |operator| match operator {
        Operator::In => authorization::SelectorOperator::In,
        Operator::NotIn => authorization::SelectorOperator::NotIn,
        Operator::Exists => authorization::SelectorOperator::Exists,
        Operator::DoesNotExist => authorization::SelectorOperator::DoesNotExist,
    };
    selector
        .iter()
        .zip(values)
        .map(|(requirement, values)| authorization::SelectorRequirement {
            key: &requirement.key,
            operator: operator(requirement.operator),
            values,
        })
        .collect()
}

pub(super) fn request<'a>(
    request: &'a AdmissionRequest<'a>,
    [object, old_object]: [Option<&'a str>; 2],
    user: types::UserInfoParam<'a>,
) -> contract::Request<'a> {
    contract::Request {
        uid: &request.uid,
        operation: match request.operation {
            Operation::Create => contract::Operation::Create,
            Operation::Update => contract::Operation::Update,
            Operation::Delete => contract::Operation::Delete,
            Operation::Connect => contract::Operation::Connect,
        },
        kind: kind(&request.kind),
        resource: resource(&request.resource),
        subresource: &request.subresource,
        requested: request.converted.then(|| contract::Requested {
            kind: kind(&request.request_kind),
            resource: resource(&request.request_resource),
            subresource: &request.request_subresource,
        }),
        namespace: &request.namespace,
        name: &request.name,
        user,
        object,
        old_object,
        options: request.options.map(serde_json::value::RawValue::get),
        dry_run: request.dry_run,
    }
}

pub(super) fn authentication(outcome: authentication::Outcome) -> Authentication {
    match outcome {
        authentication::Outcome::Authenticated(identity) => Authentication::Authenticated(Identity {
            user: UserInfo {
                username: identity.user.username,
                uid: identity.user.uid,
                groups: identity.user.groups,
                extra: identity.user.extra.into_iter().map(|extra| (extra.key, extra.values)).collect(),
            },
            audiences: identity.audiences,
        }),
        authentication::Outcome::Unknown => Authentication::Unknown,
        authentication::Outcome::Rejected(reason) => Authentication::Rejected(reason),
    }
}

pub(super) fn ruling(ruling: authorization::Ruling) -> Ruling {
    let decision = match ruling.decision {
        authorization::Decision::Allow => Decision::Allow,
        authorization::Decision::Deny => Decision::Deny,
        authorization::Decision::NoOpinion => Decision::NoOpinion,
    };
    Ruling { decision, reason: ruling.reason }
}

pub(super) fn validation(validation: validating::Validation) -> Validation {
    Validation {
        denial: match validation.outcome {
            validating::Outcome::Denied(denied) => Some(denial(denied)),
            validating::Outcome::Allowed => None,
        },
        warnings: validation.warnings,
        annotations: annotations(validation.audit_annotations),
    }
}

pub(super) fn mutation(mutation: mutating::Mutation) -> Mutation {
    Mutation {
        outcome: match mutation.outcome {
            mutating::Outcome::Denied(denied) => Err(denial(denied)),
            mutating::Outcome::Allowed(change) => Ok(match change {
                mutating::Change::Unchanged => Change::Unchanged,
                mutating::Change::JsonPatch(patch) => Change::JsonPatch(patch),
                mutating::Change::MergePatch(patch) => Change::MergePatch(patch),
                mutating::Change::Full(object) => Change::Full(object),
            }),
        },
        warnings: mutation.warnings,
        annotations: annotations(mutation.audit_annotations),
    }
}

pub(super) fn action(action: changes::Action) -> Said {
    match action {
        changes::Action::AgainAfter(seconds) => Said::AgainAfter(seconds),
        changes::Action::Event(event) => Said::Event(ObjectEvent {
            warning: match event.type_ {
                changes::EventType::Normal => false,
                changes::EventType::Warning => true,
            },
            reason: event.reason,
            note: event.note,
        }),
        changes::Action::Apply(object) => Said::Apply(object),
        changes::Action::Patch(patch) => Said::Patch {
            key: object_key(patch.key),
            kind: match patch.type_ {
                changes::PatchType::JsonPatch => PatchType::JsonPatch,
                changes::PatchType::MergePatch => PatchType::MergePatch,
            },
            patch: patch.patch,
            subresource: patch.subresource,
        },
        changes::Action::Delete(key) => Said::Delete(object_key(key)),
    }
}

fn object_key(key: changes::ObjectKey) -> ObjectKey {
    ObjectKey { api_version: key.api_version, kind: key.kind, namespace: key.namespace, name: key.name }
}

fn denial(denial: contract::Denial) -> Denial {
    Denial {
        message: denial.message,
        code: denial.code,
        reason: denial.reason,
        causes: denial
            .causes
            .into_iter()
            .map(|cause| Cause { field: cause.field, reason: cause.reason, message: cause.message })
            .collect(),
        retry_after: denial.retry_after,
    }
}

fn annotations(annotations: Vec<contract::Annotation>) -> Vec<Annotation> {
    annotations.into_iter().map(|annotation| Annotation { key: annotation.key, value: annotation.value }).collect()
}

fn kind(kind: &GroupVersionKind) -> contract::GroupVersionKind<'_> {
    contract::GroupVersionKind { group: &kind.group, version: &kind.version, kind: &kind.kind }
}

fn resource(resource: &GroupVersionResource) -> contract::GroupVersionResource<'_> {
    contract::GroupVersionResource { group: &resource.group, version: &resource.version, resource: &resource.resource }
}

fn strs(strings: &[String]) -> Vec<&str> {
    strings.iter().map(String::as_str).collect()
}
