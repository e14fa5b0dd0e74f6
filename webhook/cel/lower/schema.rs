//! The variables of each kind of review and their types, as k8s.io/apiserver declares them: `BuildRequestType` and
//! `BuildNamespaceType` of `admission/plugin/cel`, `buildRequestType` of `authorization/cel`. Kubernetes has no conditions
//! on TokenReviews: theirs follow the same rules.

use crate::cel::{
    Subject,
    expr::Root,
    types::{Object, Type},
};

/// A variable's type and what it is; None: there is no such variable.
pub(super) fn variable(subject: Subject, name: &str) -> Option<(Type, Root)> {
    Some(match (subject, name) {
        (Subject::TokenReview, "request") => (named("kubernetes.TokenReviewSpec")?, Root::Request),
        (Subject::SubjectAccessReview, "request") => (named("kubernetes.SubjectAccessReviewSpec")?, Root::Request),
        (Subject::Admission, "request") => (named("kubernetes.AdmissionRequest")?, Root::Request),
        (Subject::Admission, "object") => (Type::Dyn, Root::Object),
        (Subject::Admission, "oldObject") => (Type::Dyn, Root::OldObject),
        (Subject::Admission, "namespaceObject") => (named("kubernetes.Namespace")?, Root::Null),
        (Subject::Declared, "self") => (Type::Dyn, Root::Object),
        _ => return None,
    })
}

pub(in crate::cel) fn object(name: &str) -> Option<&'static Object> {
    OBJECTS.iter().find(|object| object.name == name)
}

fn named(name: &str) -> Option<Type> {
    object(name).map(Type::Object)
}

static OBJECTS: [Object; 16] = [
    Object { name: "kubernetes.TokenReviewSpec", fields: &[("token", "string"), ("audiences", "list(string)")] },
    Object {
        name: "kubernetes.SubjectAccessReviewSpec",
        fields: &[
            ("resourceAttributes", "kubernetes.ResourceAttributes"),
            ("nonResourceAttributes", "kubernetes.NonResourceAttributes"),
            ("user", "string"),
            ("groups", "list(string)"),
            ("extra", "map(string, list(string))"),
            ("uid", "string"),
        ],
    },
    Object {
        name: "kubernetes.ResourceAttributes",
        fields: &[
            ("namespace", "string"),
            ("verb", "string"),
            ("group", "string"),
            ("version", "string"),
            ("resource", "string"),
            ("subresource", "string"),
            ("name", "string"),
            ("fieldSelector", "kubernetes.FieldSelectorAttributes"),
            ("labelSelector", "kubernetes.LabelSelectorAttributes"),
        ],
    },
    Object { name: "kubernetes.FieldSelectorAttributes", fields: SELECTOR },
    Object { name: "kubernetes.LabelSelectorAttributes", fields: SELECTOR },
    Object {
        name: "kubernetes.SelectorRequirement",
        fields: &[("key", "string"), ("operator", "string"), ("values", "list(string)")],
    },
    Object { name: "kubernetes.NonResourceAttributes", fields: &[("path", "string"), ("verb", "string")] },
    Object {
        name: "kubernetes.AdmissionRequest",
        fields: &[
            ("kind", "kubernetes.GroupVersionKind"),
            ("resource", "kubernetes.GroupVersionResource"),
            ("subResource", "string"),
            ("requestKind", "kubernetes.GroupVersionKind"),
            ("requestResource", "kubernetes.GroupVersionResource"),
            ("requestSubResource", "string"),
            ("name", "string"),
            ("namespace", "string"),
            ("operation", "string"),
            ("userInfo", "kubernetes.UserInfo"),
            ("dryRun", "bool"),
            ("options", "dyn"),
        ],
    },
    Object {
        name: "kubernetes.GroupVersionKind",
        fields: &[("group", "string"), ("version", "string"), ("kind", "string")],
    },
    Object {
        name: "kubernetes.GroupVersionResource",
        fields: &[("group", "string"), ("version", "string"), ("resource", "string")],
    },
    Object {
        name: "kubernetes.UserInfo",
        fields: &[
            ("username", "string"),
            ("uid", "string"),
            ("groups", "list(string)"),
            ("extra", "map(string, list(string))"),
        ],
    },
    Object {
        name: "kubernetes.Namespace",
        fields: &[
            ("metadata", "kubernetes.NamespaceMetadata"),
            ("spec", "kubernetes.NamespaceSpec"),
            ("status", "kubernetes.NamespaceStatus"),
        ],
    },
    Object { name: "kubernetes.NamespaceSpec", fields: &[("finalizers", "list(string)")] },
    Object {
        name: "kubernetes.NamespaceStatus",
        fields: &[("conditions", "list(kubernetes.NamespaceCondition)"), ("phase", "string")],
    },
    Object {
        name: "kubernetes.NamespaceCondition",
        fields: &[
            ("status", "string"),
            ("type", "string"),
            ("lastTransitionTime", "timestamp"),
            ("message", "string"),
            ("reason", "string"),
        ],
    },
    Object {
        name: "kubernetes.NamespaceMetadata",
        fields: &[
            ("name", "string"),
            ("generateName", "string"),
            ("namespace", "string"),
            ("labels", "map(string, string)"),
            ("annotations", "map(string, string)"),
            ("UID", "string"),
            ("creationTimestamp", "timestamp"),
            ("deletionGracePeriodSeconds", "int"),
            ("deletionTimestamp", "timestamp"),
            ("generation", "int"),
            ("resourceVersion", "string"),
            ("finalizers", "list(string)"),
        ],
    },
];

const SELECTOR: &[(&str, &str)] =
    &[("rawSelector", "string"), ("requirements", "list(kubernetes.SelectorRequirement)")];
