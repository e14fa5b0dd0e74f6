//! A bare object, as `kubectl apply` takes it, to the AdmissionReview that kube-apiserver would send for it.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{Failed, read};

/// The circumstances of a bare object; a whole review has its own.
#[derive(clap::Args)]
pub(super) struct Asked {
    /// For a bare object: what is being done to it.
    #[arg(long, value_enum, default_value_t = Operation::Create)]
    operation: Operation,
    /// For a bare object that is updated: the object as it is stored, YAML or JSON.
    #[arg(long, value_name = "FILE")]
    old: Option<PathBuf>,
    /// For a bare object: who asks.
    #[arg(long, default_value = "jane")]
    user: String,
    /// For a bare object: a group of the user. Repeatable; system:authenticated is always one of them.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// For a bare object without a namespace of its own; empty for none. Default: default, and none for cluster-scoped
    /// kinds of Kubernetes.
    #[arg(long)]
    namespace: Option<String>,
    /// For a bare object: its resource, where it is not the plural that kubectl would guess. For example `mice`.
    #[arg(long)]
    resource: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Operation {
    Create,
    Update,
    Delete,
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
    name: &'a str,
    namespace: &'a str,
    operation: &'a str,
    user_info: Value,
    object: Option<&'a RawValue>,
    old_object: Option<&'a RawValue>,
    dry_run: bool,
    options: Value,
}

impl Asked {
    /// The review of the object in `text`, or None if that is none: neither YAML nor JSON, a review already, an event.
    ///
    /// # Errors
    /// The object lacks something, or does not fit the operation; words for whoever typed the command.
    pub(super) fn review(&self, text: &str) -> Result<Option<String>, Failed> {
        let Some(object) = Object::parse(text) else { return Ok(None) };
        let Some((api_version, kind)) = object.kind() else { return Ok(None) };
        if REVIEWS.contains(&kind) {
            return Ok(None);
        }
        if kind.ends_with("List") && object.tree["items"].is_array() {
            return Err(Failed::Usage(format!("expected one object, got a {kind} of several")));
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
        let old = self.old(&object)?;
        let resource = self.resource.clone().unwrap_or_else(|| plural(kind));
        let resource = serde_json::json!({"group": group, "version": version, "resource": resource});
        let kind = serde_json::json!({"group": group, "version": version, "kind": kind});
        let mut groups = self.groups.clone();
        groups.push("system:authenticated".to_owned());
        let (operation, options) = match self.operation {
            Operation::Create => ("CREATE", "CreateOptions"),
            Operation::Update => ("UPDATE", "UpdateOptions"),
            Operation::Delete => ("DELETE", "DeleteOptions"),
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
                // With generateName, the API server makes the name after admission.
                name: metadata["name"].as_str().unwrap_or_default(),
                namespace,
                operation,
                user_info: serde_json::json!({"username": self.user, "groups": groups}),
                object: (self.operation != Operation::Delete).then_some(&*object.text),
                old_object: match self.operation {
                    Operation::Create => None,
                    Operation::Update => old.as_ref().map(|it| &*it.text),
                    Operation::Delete => Some(&*object.text),
                },
                dry_run: false,
                options: serde_json::json!({"kind": options, "apiVersion": "meta.k8s.io/v1"}),
            },
        };
        Ok(Some(serde_json::to_string(&review)?))
    }

    /// The stored object of an update.
    fn old(&self, object: &Object) -> Result<Option<Object>, Failed> {
        let path = match (&self.old, self.operation) {
            (None, Operation::Update) => {
                return Err(Failed::Usage("--operation update: expected --old FILE, the object as stored".to_owned()));
            }
            (None, _) => return Ok(None),
            (Some(path), Operation::Update) => path,
            (Some(_), _) => return Err(Failed::Usage("--old: expected --operation update with it".to_owned())),
        };
        let old = Object::parse(&read(path)?);
        let same = |old: &Object| old.kind().is_some() && old.kind() == object.kind();
        old.filter(same).map(Some).ok_or_else(|| {
            Failed::Usage(format!("--old: {}: expected an object of the same apiVersion and kind", path.display()))
        })
    }
}

struct Object {
    tree: Value,
    /// As it came, if it came as JSON.
    text: Box<RawValue>,
}

impl Object {
    fn parse(text: &str) -> Option<Self> {
        if let Ok(tree) = serde_json::from_str(text) {
            return Some(Self { tree, text: RawValue::from_string(text.trim().to_owned()).ok()? });
        }
        let tree: Value = serde_saphyr::from_str(text).ok()?;
        let text = serde_json::value::to_raw_value(&tree).ok()?;
        Some(Self { tree, text })
    }

    /// apiVersion and kind.
    fn kind(&self) -> Option<(&str, &str)> {
        Some((self.tree.get("apiVersion")?.as_str()?, self.tree.get("kind")?.as_str()?))
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

const REVIEWS: &[&str] = &["AdmissionReview", "TokenReview", "SubjectAccessReview"];

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

    fn asked() -> Asked {
        Asked {
            operation: Operation::Create,
            old: None,
            user: "jane".to_owned(),
            groups: vec!["dev".to_owned()],
            namespace: None,
            resource: None,
        }
    }

    fn request(asked: &Asked, text: &str) -> Value {
        let review = asked.review(text).unwrap().unwrap();
        serde_json::from_str::<Value>(&review).unwrap()["request"].take()
    }

    #[test]
    fn a_manifest_becomes_what_the_api_server_would_send() {
        let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2}\n";
        let request = request(&asked(), deployment);
        assert_eq!(
            request["resource"],
            serde_json::json!({"group": "apps", "version": "v1", "resource": "deployments"})
        );
        assert_eq!(request["requestKind"]["kind"], "Deployment");
        assert_eq!((&request["name"], &request["namespace"]), (&"web".into(), &"default".into()));
        assert_eq!(request["operation"], "CREATE");
        assert_eq!(request["userInfo"]["groups"], serde_json::json!(["dev", "system:authenticated"]));
        assert_eq!(request["object"]["spec"]["replicas"], 2);
        assert_eq!(request["oldObject"], Value::Null);
    }

    #[test]
    fn json_stays_as_it_came() {
        let text = r#" {"kind": "ConfigMap", "apiVersion": "v1", "big": 12345678901234567890123, "a": 1.0} "#;
        let review = asked().review(text).unwrap().unwrap();
        assert!(review.contains(text.trim()), "{review}");
    }

    #[test]
    fn cluster_scoped_objects_have_no_namespace_and_deleted_ones_only_an_old_object() {
        let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
        let asked = Asked { operation: Operation::Delete, ..asked() };
        let request = request(&asked, namespace);
        assert_eq!(request["namespace"], "");
        assert_eq!((&request["object"], &request["oldObject"]["kind"]), (&Value::Null, &"Namespace".into()));
    }

    #[test]
    fn reviews_and_events_are_left_alone() {
        for text in [
            r#"{"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1"}"#,
            r#"{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}"#,
            r#"{"any": "event"}"#,
            "[1]",
            "not: [yaml",
        ] {
            assert!(asked().review(text).unwrap().is_none(), "{text}");
        }
    }

    #[test]
    fn an_update_needs_both_objects() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old.yaml");
        let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\n";
        std::fs::write(&old, object.replace("name: a", "name: a, uid: u")).unwrap();
        let update = |old| Asked { operation: Operation::Update, old, ..asked() };
        assert!(matches!(update(None).review(object), Err(Failed::Usage(_))));
        let found = request(&update(Some(old.clone())), object);
        assert_eq!((&found["oldObject"]["metadata"]["uid"], &found["namespace"]), (&"u".into(), &"shop".into()));
        std::fs::write(&old, object.replace("ConfigMap", "Secret")).unwrap();
        assert!(matches!(update(Some(old.clone())).review(object), Err(Failed::Usage(_))));
        let create = Asked { old: Some(old), ..asked() };
        assert!(matches!(create.review(object), Err(Failed::Usage(_))));
    }

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
