//! What is asked about an object.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{Error, FieldPath, User, settings::parse};

/// admission.k8s.io/v1 AdmissionRequest. An empty string means "not given".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmissionRequest {
    /// Names this call, not the object. One user request can lead to several calls, each with its own uid.
    pub uid: String,
    pub operation: Operation,
    /// The kind of the object as it is here, maybe converted to the version that was registered.
    pub kind: GroupVersionKind,
    /// The resource that matched the registration.
    pub resource: GroupVersionResource,
    /// For example `scale`; empty for the resource itself.
    pub subresource: String,
    /// What the user's request named. None where that is `kind`, `resource` and `subresource`, as it is unless the API
    /// server converted the request to what the webhook is registered for.
    pub requested: Option<Requested>,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// The name of the object; empty where none is known.
    pub name: String,
    /// Who asks.
    pub user: User,
    /// The new object as JSON. None for delete. For connect the options, for example PodExecOptions.
    pub object: Option<String>,
    /// The object as stored, as JSON. Only for update and delete.
    pub old_object: Option<String>,
    /// The options of the operation as JSON, for example meta.k8s.io/v1 CreateOptions.
    pub options: Option<String>,
    /// Nothing will be stored. Decide all the same.
    pub dry_run: bool,
}

/// What is being done to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

/// For example `apps`, `v1`, `Deployment`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupVersionKind {
    pub group: String,
    pub version: String,
    pub kind: String,
}

/// For example `apps`, `v1`, `deployments`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupVersionResource {
    pub group: String,
    pub version: String,
    pub resource: String,
}

/// `requestKind`, `requestResource` and `requestSubResource`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requested {
    pub kind: GroupVersionKind,
    pub resource: GroupVersionResource,
    pub subresource: String,
}

impl AdmissionRequest {
    /// The new object as any type that serde can read ([`serde_json::Value`], one of your own with only the fields
    /// that matter, one of k8s-openapi's). No object, as for delete, is an error.
    pub fn object<T: DeserializeOwned>(&self) -> Result<T, Error> {
        read(self.object.as_deref(), "object")
    }

    /// The object as stored; an error except for update and delete.
    pub fn old_object<T: DeserializeOwned>(&self) -> Result<T, Error> {
        read(self.old_object.as_deref(), "oldObject")
    }

    /// The options of the operation; an error where there are none.
    pub fn options<T: DeserializeOwned>(&self) -> Result<T, Error> {
        read(self.options.as_deref(), "options")
    }

    /// Whether the object is of this group and kind, in any version. The core group is empty.
    pub fn is_kind(&self, group: &str, kind: &str) -> bool {
        self.kind.group == group && self.kind.kind == kind
    }

    /// The PodSpec of the object, whatever workload that is, as a type with the fields that matter or one of k8s-openapi; and where it
    /// lies. None where there is none: another kind, a delete, a subresource.
    pub fn pod_spec<T: DeserializeOwned>(&self) -> Result<Option<(T, FieldPath)>, Error> {
        self.pod_spec_of(self.object.as_deref())
    }

    /// As [`Self::pod_spec`], of the object as stored.
    pub fn old_pod_spec<T: DeserializeOwned>(&self) -> Result<Option<(T, FieldPath)>, Error> {
        self.pod_spec_of(self.old_object.as_deref())
    }

    fn pod_spec_of<T: DeserializeOwned>(&self, object: Option<&str>) -> Result<Option<(T, FieldPath)>, Error> {
        let Some((text, fields)) = self.pod_spec_text(object)? else { return Ok(None) };
        let path = FieldPath::new(&fields.join("."));
        let spec = parse(text).map_err(|(below, message)| Error::new(format!("{path}{below}: {message}")))?;
        Ok(Some((spec, path)))
    }

    /// The text of the PodSpec of an object of the request's kind, and where it lies.
    pub(super) fn pod_spec_text<'a>(
        &self,
        object: Option<&'a str>,
    ) -> Result<Option<(&'a str, &'static [&'static str])>, Error> {
        let (Some(fields), Some(mut text)) = (self.pod_spec_fields(), object) else { return Ok(None) };
        for field in fields {
            let members: BTreeMap<Name<'a>, &'a RawValue> =
                serde_json::from_str(text).map_err(|error| Error::new(format!("{}: {error}", fields.join("."))))?;
            match members.get(&Name(Cow::Borrowed(field))).map(|it| it.get()) {
                None | Some("null") => return Ok(None),
                Some(member) => text = member,
            }
        }
        Ok(Some((text, fields)))
    }

    /// Where the object has its PodSpec: the names of the fields from the object down, for Pods and for every
    /// built-in kind that has a pod template. None for other kinds, and for subresources except `ephemeralcontainers`
    /// and `resize` of Pods, which are sent with the whole Pod.
    pub fn pod_spec_fields(&self) -> Option<&'static [&'static str]> {
        let kind = (self.kind.group.as_str(), self.kind.kind.as_str());
        match self.subresource.as_str() {
            "" => {}
            "ephemeralcontainers" | "resize" if kind == ("", "Pod") => {}
            _ => return None,
        }
        match kind {
            ("", "Pod") => Some(&["spec"]),
            ("", "PodTemplate") => Some(&["template", "spec"]),
            ("", "ReplicationController")
            | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
            | ("batch", "Job") => Some(&["spec", "template", "spec"]),
            ("batch", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
            _ => None,
        }
    }
}

/// A name without escapes is not copied.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

fn read<T: DeserializeOwned>(json: Option<&str>, what: &str) -> Result<T, Error> {
    let json = json.ok_or_else(|| Error::new(format!("the request has no {what}")))?;
    parse(json).map_err(|(path, message)| Error::new(format!("{what}{path}: {message}")))
}
