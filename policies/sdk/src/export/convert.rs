//! wit-bindgen's types to the author's, and answers back.

use super::rt::wit::{
    admission as wa, authentication as wt, authorization as wz, changes as wc, mutating as wm, validating as wv,
};
use crate::{
    Action, AdmissionRequest, Annotation, Attributes, Authentication, Cause, Change, ChangeType, Decision, Denial,
    GroupVersionKind, GroupVersionResource, Mutation, NonResourceAttributes, ObjectChange, ObjectKey, Operation,
    PatchType, Requested, ResourceAttributes, Ruling, SelectorOperator, SelectorRequirement, SubjectAccessReview,
    Token, TokenReview, User, Validation, generated::base::verdict::policy::types,
};

impl From<types::UserInfo> for User {
    fn from(user: types::UserInfo) -> Self {
        Self {
            username: user.username,
            uid: user.uid,
            groups: user.groups,
            extra: user.extra.into_iter().map(|it| (it.key, it.values)).collect(),
        }
    }
}

impl From<User> for types::UserInfo {
    fn from(user: User) -> Self {
        let extra = user.extra.into_iter().map(|(key, values)| types::ExtraEntry { key, values });
        Self { username: user.username, uid: user.uid, groups: user.groups, extra: extra.collect() }
    }
}

impl From<wt::TokenReview> for TokenReview {
    fn from(review: wt::TokenReview) -> Self {
        Self { token: Token::new(review.token), audiences: review.audiences }
    }
}

impl From<Authentication> for wt::Outcome {
    fn from(answer: Authentication) -> Self {
        match answer {
            Authentication::Authenticated(identity) => {
                Self::Authenticated(wt::Identity { user: identity.user.into(), audiences: identity.audiences })
            }
            Authentication::Unknown => Self::Unknown,
            Authentication::Rejected(reason) => Self::Rejected(reason),
        }
    }
}

impl From<wz::SubjectAccessReview> for SubjectAccessReview {
    fn from(review: wz::SubjectAccessReview) -> Self {
        let attributes = match review.attributes {
            wz::Attributes::Resource(it) => Attributes::Resource(ResourceAttributes {
                verb: it.verb,
                group: it.group,
                version: it.version,
                resource: it.resource,
                subresource: it.subresource,
                namespace: it.namespace,
                name: it.name,
                field_selector: it.field_selector.into_iter().map(Into::into).collect(),
                label_selector: it.label_selector.into_iter().map(Into::into).collect(),
            }),
            wz::Attributes::NonResource(it) => {
                Attributes::NonResource(NonResourceAttributes { verb: it.verb, path: it.path })
            }
        };
        Self { user: review.user.into(), attributes }
    }
}

impl From<wz::SelectorRequirement> for SelectorRequirement {
    fn from(requirement: wz::SelectorRequirement) -> Self {
        Self {
            key: requirement.key,
            operator: match requirement.operator {
                wz::SelectorOperator::In => SelectorOperator::In,
                wz::SelectorOperator::NotIn => SelectorOperator::NotIn,
                wz::SelectorOperator::Exists => SelectorOperator::Exists,
                wz::SelectorOperator::DoesNotExist => SelectorOperator::DoesNotExist,
            },
            values: requirement.values,
        }
    }
}

impl From<Ruling> for wz::Ruling {
    fn from(ruling: Ruling) -> Self {
        Self {
            decision: match ruling.decision {
                Decision::Allow => wz::Decision::Allow,
                Decision::Deny => wz::Decision::Deny,
                Decision::NoOpinion => wz::Decision::NoOpinion,
            },
            reason: ruling.reason,
        }
    }
}

impl From<wa::Request> for AdmissionRequest {
    fn from(request: wa::Request) -> Self {
        Self {
            uid: request.uid,
            operation: match request.operation {
                wa::Operation::Create => Operation::Create,
                wa::Operation::Update => Operation::Update,
                wa::Operation::Delete => Operation::Delete,
                wa::Operation::Connect => Operation::Connect,
            },
            kind: request.kind.into(),
            resource: request.resource.into(),
            subresource: request.subresource,
            requested: request.requested.map(|it| Requested {
                kind: it.kind.into(),
                resource: it.resource.into(),
                subresource: it.subresource,
            }),
            namespace: request.namespace,
            name: request.name,
            user: request.user.into(),
            object: request.object,
            old_object: request.old_object,
            options: request.options,
            dry_run: request.dry_run,
        }
    }
}

impl From<wa::GroupVersionKind> for GroupVersionKind {
    fn from(it: wa::GroupVersionKind) -> Self {
        Self { group: it.group, version: it.version, kind: it.kind }
    }
}

impl From<wa::GroupVersionResource> for GroupVersionResource {
    fn from(it: wa::GroupVersionResource) -> Self {
        Self { group: it.group, version: it.version, resource: it.resource }
    }
}

impl From<Validation> for wv::Validation {
    fn from(answer: Validation) -> Self {
        Self {
            outcome: match answer.outcome {
                Ok(()) => wv::Outcome::Allowed,
                Err(denial) => wv::Outcome::Denied(denial.into()),
            },
            warnings: answer.warnings,
            audit_annotations: answer.audit_annotations.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Mutation> for wm::Mutation {
    fn from(answer: Mutation) -> Self {
        let outcome = match answer.outcome {
            Ok(change) => wm::Outcome::Allowed(change.into()),
            Err(denial) => wm::Outcome::Denied(denial.into()),
        };
        Self {
            outcome,
            warnings: answer.warnings,
            audit_annotations: answer.audit_annotations.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Change> for wm::Change {
    fn from(change: Change) -> Self {
        match change {
            Change::Unchanged => Self::Unchanged,
            Change::JsonPatch(json) => Self::JsonPatch(json),
            Change::MergePatch(json) => Self::MergePatch(json),
            Change::Full(json) => Self::Full(json),
        }
    }
}

impl From<Denial> for wa::Denial {
    fn from(denial: Denial) -> Self {
        Self {
            message: denial.message,
            code: denial.code,
            reason: denial.reason,
            causes: denial.causes.into_iter().map(Into::into).collect(),
            retry_after: denial.retry_after,
        }
    }
}

impl From<Cause> for wa::Cause {
    fn from(cause: Cause) -> Self {
        Self { field: cause.field, reason: cause.reason, message: cause.message }
    }
}

impl From<Annotation> for wa::Annotation {
    fn from(annotation: Annotation) -> Self {
        Self { key: annotation.key, value: annotation.value }
    }
}

impl From<wc::Change> for ObjectChange {
    fn from(change: wc::Change) -> Self {
        Self {
            change_type: match change.type_ {
                wc::ChangeType::Added => ChangeType::Added,
                wc::ChangeType::Modified => ChangeType::Modified,
                wc::ChangeType::Deleted => ChangeType::Deleted,
            },
            object: change.object,
            old_object: change.old_object,
            replayed: change.replayed,
        }
    }
}

impl From<Action> for wc::Action {
    fn from(action: Action) -> Self {
        match action {
            Action::AgainAfter(seconds) => Self::AgainAfter(seconds),
            Action::Event(event) => Self::Event(wc::ObjectEvent {
                type_: if event.warning { wc::EventType::Warning } else { wc::EventType::Normal },
                reason: event.reason,
                note: event.note,
            }),
            Action::Apply(object) => Self::Apply(object),
            Action::Patch(patch) => Self::Patch(wc::ObjectPatch {
                key: patch.key.into(),
                type_: match patch.patch_type {
                    PatchType::JsonPatch => wc::PatchType::JsonPatch,
                    PatchType::MergePatch => wc::PatchType::MergePatch,
                },
                patch: patch.patch,
                subresource: patch.subresource,
            }),
            Action::Delete(key) => Self::Delete(key.into()),
        }
    }
}

impl From<ObjectKey> for wc::ObjectKey {
    fn from(key: ObjectKey) -> Self {
        Self { api_version: key.api_version, kind: key.kind, namespace: key.namespace, name: key.name }
    }
}
