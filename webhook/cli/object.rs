//! The flags of a bare object, which becomes the AdmissionReview that kube-apiserver would send for it.

use std::path::PathBuf;

use super::{Failed, read};
use crate::{
    cases::object::{Circumstances, Object},
    review::{admission, user::UserInfo},
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
    /// The review of the object in `text`, or None if that is none: neither YAML nor JSON, a review already, an event.
    ///
    /// # Errors
    /// The object lacks something, or does not fit the operation; words for whoever typed the command.
    pub(super) fn review(&self, text: &str) -> Result<Option<String>, Failed> {
        let Some(object) = Object::parse(text) else { return Ok(None) };
        if object.kind().is_none() || object.is_review() {
            return Ok(None);
        }
        let circumstances = Circumstances {
            operation: match self.operation {
                Operation::Create => admission::Operation::Create,
                Operation::Update => admission::Operation::Update,
                Operation::Delete => admission::Operation::Delete,
            },
            user: UserInfo { username: self.user.clone(), groups: self.groups.clone(), ..UserInfo::default() },
            namespace: self.namespace.clone(),
            resource: self.resource.clone(),
            subresource: self.subresource.clone(),
        };
        let old = self.old(&object)?;
        circumstances.review(&object, old.as_ref()).map(Some).map_err(Failed::Usage)
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
}
