//! The fields of `request`, per kind of review: <https://kubernetes.io/docs/reference/kubernetes-api/>.

use crate::cel::Subject;

/// The fields at `path`; None where any field may be.
pub(super) fn fields(subject: Subject, path: &str) -> Option<&'static [&'static str]> {
    Some(match (subject, path) {
        (Subject::TokenReview, "request") => &["token", "audiences"],
        (Subject::SubjectAccessReview, "request") => {
            &["resourceAttributes", "nonResourceAttributes", "user", "groups", "extra", "uid"]
        }
        (Subject::SubjectAccessReview, "request.resourceAttributes") => &[
            "namespace",
            "verb",
            "group",
            "version",
            "resource",
            "subresource",
            "name",
            "fieldSelector",
            "labelSelector",
        ],
        (Subject::SubjectAccessReview, "request.nonResourceAttributes") => &["path", "verb"],
        (Subject::Admission, "request") => &[
            "uid",
            "kind",
            "resource",
            "subResource",
            "requestKind",
            "requestResource",
            "requestSubResource",
            "name",
            "namespace",
            "operation",
            "userInfo",
            "dryRun",
            "options",
        ],
        (Subject::Admission, "request.kind" | "request.requestKind") => &["group", "version", "kind"],
        (Subject::Admission, "request.resource" | "request.requestResource") => &["group", "version", "resource"],
        (Subject::Admission, "request.userInfo") => &["username", "uid", "groups", "extra"],
        _ => return None,
    })
}
