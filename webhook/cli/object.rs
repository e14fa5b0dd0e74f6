//! The flags of a bare object, which becomes the AdmissionReview that kube-apiserver would send for it.

use std::path::PathBuf;

use super::documents::documents;
use crate::{
    author::cases::object::{Circumstances, Object},
    config::fields::is_near,
    policy::UnknownKind,
    review::{self, KINDS, user::UserInfo},
    spec,
};

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
    /// For a bare object: the subresource that is written to. For example `ephemeralcontainers`.
    #[arg(long)]
    subresource: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Operation {
    Create,
    Update,
    Delete,
}

impl Asked {
    /// The review of the object in `json`, or None if that is none: a review already, an event.
    ///
    /// # Errors
    /// The object lacks something, does not fit the operation, or is a misspelt review; words for whoever typed the command.
    pub(super) fn review(&self, json: &str) -> Result<Option<String>, String> {
        match review::kind(json) {
            Ok(Some(kind)) if KINDS.contains(&kind.as_str()) => return Ok(None),
            Ok(Some(kind)) if KINDS.iter().any(|it| is_near(&kind, it)) => {
                return Err(UnknownKind { found: Some(kind), objects: true }.to_string());
            }
            Ok(Some(_)) => {}
            // Whoever is asked says what is wrong.
            Ok(None) | Err(_) => return Ok(None),
        }
        let object = Object::parse(json).map_err(|error| error.to_string())?;
        if object.kind().is_none() {
            return Ok(None);
        }
        let circumstances = Circumstances {
            operation: match self.operation {
                Operation::Create => spec::Operation::Create,
                Operation::Update => spec::Operation::Update,
                Operation::Delete => spec::Operation::Delete,
            },
            user: UserInfo { username: self.user.clone(), groups: self.groups.clone(), ..UserInfo::default() },
            namespace: self.namespace.clone(),
            resource: self.resource.clone(),
            subresource: self.subresource.clone(),
        };
        let old = self.old(&object)?;
        circumstances.review(&object, old.as_ref()).map(Some)
    }

    /// The stored object of an update.
    fn old(&self, object: &Object) -> Result<Option<Object>, String> {
        let path = match (&self.old, self.operation) {
            (None, Operation::Update) => {
                return Err("--operation update: expected --old FILE, the object as stored".to_owned());
            }
            (None, _) => return Ok(None),
            (Some(path), Operation::Update) => path,
            (Some(_), _) => return Err("--old: expected --operation update with it".to_owned()),
        };
        let found = documents(std::slice::from_ref(path)).map_err(|words| format!("--old: {words}"))?;
        let [old] = &found[..] else {
            return Err(format!("--old: {}: expected one object, got {}", path.display(), found.len()));
        };
        let old = Object::parse(&old.json).map_err(|error| format!("--old: {}: {error}", path.display()))?;
        if old.kind().is_none() || old.kind() != object.kind() {
            return Err(format!("--old: {}: expected an object of the same apiVersion and kind", path.display()));
        }
        Ok(Some(old))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn asked() -> Asked {
        Asked {
            operation: Operation::Create,
            old: None,
            user: "jane".to_owned(),
            groups: vec!["dev".to_owned()],
            namespace: None,
            resource: None,
            subresource: None,
        }
    }

    fn request(asked: &Asked, text: &str) -> Value {
        let review = asked.review(text).unwrap().unwrap();
        serde_json::from_str::<Value>(&review).unwrap()["request"].take()
    }

    #[test]
    fn a_manifest_becomes_what_the_api_server_would_send() {
        let deployment =
            r#"{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2}}"#;
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
        let namespace = r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}"#;
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
            r#"{"kind": "#,
        ] {
            assert!(asked().review(text).unwrap().is_none(), "{text}");
        }
    }

    #[test]
    fn a_misspelt_review_is_no_object() {
        for kind in ["AdmissionRevew", "admissionreview", "TokenReviews"] {
            let words = asked().review(&format!(r#"{{"kind": "{kind}", "apiVersion": "x/v1"}}"#)).unwrap_err();
            assert!(words.starts_with(&format!("the kind {kind:?} is unknown: expected TokenReview, ")), "{words}");
            assert!(words.contains("did you mean "), "{words}");
        }
        let other = r#"{"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}"#;
        assert!(asked().review(other).unwrap().is_some());
    }

    #[test]
    fn an_update_needs_both_objects() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old.yaml");
        let object = r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}}"#;
        std::fs::write(&old, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop, uid: u}\n")
            .unwrap();
        let update = |old| Asked { operation: Operation::Update, old, ..asked() };
        assert!(update(None).review(object).is_err());
        let found = request(&update(Some(old.clone())), object);
        assert_eq!((&found["oldObject"]["metadata"]["uid"], &found["namespace"]), (&"u".into(), &"shop".into()));
        std::fs::write(&old, object.replace("ConfigMap", "Secret")).unwrap();
        assert!(update(Some(old.clone())).review(object).is_err());
        let create = Asked { old: Some(old), ..asked() };
        assert!(create.review(object).is_err());
    }
}
