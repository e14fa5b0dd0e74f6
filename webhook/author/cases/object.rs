//! A bare object, as `kubectl apply` takes it, to the AdmissionReview that kube-apiserver would send for it.

use serde::Serialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    review::{KINDS, user::UserInfo},
    spec::Operation,
};

/// One object, as people keep it in a file.
#[derive(Debug, Clone)]
pub struct Object {
    tree: Value,
    /// As it came, if it came as JSON.
    text: Box<RawValue>,
}

/// What is done to an object, and by whom.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// CREATE, UPDATE or DELETE.
    pub operation: Operation,
    /// Who asks; system:authenticated becomes one of the groups.
    pub user: UserInfo,
    /// For an object without a namespace of its own; empty for none. Default: default, and none for cluster-scoped kinds
    /// of Kubernetes.
    pub namespace: Option<String>,
    /// Where it is not the plural that kubectl would guess.
    pub resource: Option<String>,
    /// For example `ephemeralcontainers`, where the object is that of the resource.
    pub subresource: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'a str,
    kind: &'a str,
    request: Request<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    uid: &'a str,
    kind: Value,
    resource: Value,
    request_kind: Value,
    request_resource: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_sub_resource: Option<&'a str>,
    name: &'a str,
    namespace: &'a str,
    operation: &'a str,
    user_info: UserInfo,
    object: Option<&'a RawValue>,
    old_object: Option<&'a RawValue>,
    dry_run: bool,
    options: Value,
}

impl Circumstances {
    /// The review of `object`; `old` is the object as stored, for an update.
    ///
    /// # Errors
    /// What `object` lacks, for whoever wrote it.
    pub fn review(&self, object: &Object, old: Option<&Object>) -> Result<String, String> {
        let Some((api_version, kind)) = object.kind() else {
            return Err("expected an object with apiVersion and kind".to_owned());
        };
        if kind.ends_with("List") && object.tree["items"].is_array() {
            return Err(format!("expected one object, got a {kind} of several"));
        }
        if old.is_some_and(|old| old.kind() != object.kind()) {
            return Err("expected an old object of the same apiVersion and kind".to_owned());
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let metadata = &object.tree["metadata"];
        let cluster_scoped = CLUSTER_SCOPED.contains(&(group, kind));
        let namespace = match (metadata["namespace"].as_str(), &self.namespace) {
            (Some(own), _) => own,
            (None, Some(given)) => given,
            (None, None) if cluster_scoped => "",
            (None, None) => "default",
        };
        let resource = self.resource.clone().unwrap_or_else(|| plural(kind));
        let resource = json!({"group": group, "version": version, "resource": resource});
        let kind = json!({"group": group, "version": version, "kind": kind});
        let mut user_info = self.user.clone();
        user_info.groups.push("system:authenticated".to_owned());
        let options = match self.operation {
            Operation::Update => "UpdateOptions",
            Operation::Delete => "DeleteOptions",
            _ => "CreateOptions",
        };
        let review = Review {
            api_version: "admission.k8s.io/v1",
            kind: "AdmissionReview",
            request: Request {
                uid: "00000000-0000-4000-8000-000000000000",
                request_kind: kind.clone(),
                kind,
                request_resource: resource.clone(),
                resource,
                sub_resource: self.subresource.as_deref(),
                request_sub_resource: self.subresource.as_deref(),
                // With generateName, the API server makes the name after admission.
                name: metadata["name"].as_str().unwrap_or_default(),
                namespace,
                operation: self.operation.name(),
                user_info,
                object: (self.operation != Operation::Delete).then_some(&*object.text),
                old_object: match self.operation {
                    Operation::Update => old.map(|it| &*it.text),
                    Operation::Delete => Some(&*object.text),
                    _ => None,
                },
                dry_run: false,
                options: json!({"kind": options, "apiVersion": "meta.k8s.io/v1"}),
            },
        };
        serde_json::to_string(&review).map_err(|error| error.to_string())
    }
}

impl Object {
    /// Of JSON.
    ///
    /// # Errors
    /// It is none, or nests too deep to be looked at.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        Ok(Self { tree: serde_json::from_str(text)?, text: RawValue::from_string(text.trim().to_owned())? })
    }

    /// Of a value that was read already.
    pub fn new(tree: Value) -> Option<Self> {
        let text = serde_json::value::to_raw_value(&tree).ok()?;
        Some(Self { tree, text })
    }

    /// apiVersion and kind, if it has both.
    pub fn kind(&self) -> Option<(&str, &str)> {
        Some((self.tree.get("apiVersion")?.as_str()?, self.tree.get("kind")?.as_str()?))
    }

    /// Whether it is a review, and not an object that a review is about.
    pub fn is_review(&self) -> bool {
        self.kind().is_some_and(|(_, kind)| KINDS.contains(&kind))
    }
}

/// As k8s.io/apimachinery `meta.UnsafeGuessKindToResource` guesses, but for what English does otherwise (gateways).
fn plural(kind: &str) -> String {
    let singular = kind.to_lowercase();
    if singular == "endpoints" {
        return singular;
    }
    match singular.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if singular.ends_with('s') => format!("{singular}es"),
        _ => format!("{singular}s"),
    }
}

/// Groups and kinds of Kubernetes' own that people keep in files.
const CLUSTER_SCOPED: &[(&str, &str)] = &[
    ("", "Namespace"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("apiregistration.k8s.io", "APIService"),
    ("certificates.k8s.io", "CertificateSigningRequest"),
    ("networking.k8s.io", "IngressClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("storage.k8s.io", "CSIDriver"),
    ("storage.k8s.io", "StorageClass"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_are_guessed() {
        for (kind, resource) in [
            ("Pod", "pods"),
            ("Ingress", "ingresses"),
            ("Gateway", "gateways"),
            ("NetworkPolicy", "networkpolicies"),
            ("Endpoints", "endpoints"),
            ("StorageClass", "storageclasses"),
        ] {
            assert_eq!(plural(kind), resource);
        }
    }
}
