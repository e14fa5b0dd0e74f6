//! Changes of objects of a cluster, and what is to be done about them.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{Error, Patch, settings::parse};

/// One change of one object. Of each object every change comes, in order and at least once: a change may come again, so that
/// whatever is done must be right when it is done twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectChange {
    pub change_type: ChangeType,
    /// The object as it is since the change, as JSON; of a deleted one, as it was last. Without metadata.managedFields.
    pub object: String,
    /// As it was before, as far as that is known. None for one that is added.
    pub old_object: Option<String>,
    /// It may not have changed just now: it was there when the server began to look, or what happened meanwhile was lost, or the
    /// time of an [`Action::again_after`] is over.
    pub replayed: bool,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeType {
    /// It is there, and was not seen before.
    Added,
    /// It is another one than before.
    Modified,
    /// It is gone, or is none of those any more that were asked for.
    Deleted,
}

/// Names an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectKey {
    /// For example `apps/v1`; of the core group `v1`.
    pub api_version: String,
    /// For example `Deployment`.
    pub kind: String,
    /// Empty for cluster-scoped objects.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    pub name: String,
}

/// One thing to do, made by the functions below. The server does it with the rights of the service account that the operator granted;
/// what concerns RBAC, webhook configurations, API services, custom resource definitions or `verdict.dev` it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// In so many seconds, from 1 to 86400.
    AgainAfter(u32),
    Event(ObjectEvent),
    /// The object as JSON.
    Apply(String),
    Patch(ObjectPatch),
    Delete(ObjectKey),
}

/// An Event about the object that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectEvent {
    /// Whether it is of type Warning; else Normal.
    pub warning: bool,
    pub reason: String,
    pub note: String,
}

/// A patch of an object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPatch {
    pub key: ObjectKey,
    pub patch_type: PatchType,
    /// As JSON.
    pub patch: String,
    /// `status`, or empty for the object itself.
    pub subresource: String,
}

/// What a patch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum PatchType {
    /// RFC 6902, an array of operations.
    JsonPatch,
    /// RFC 7386.
    MergePatch,
}

impl ObjectChange {
    /// The object as any type that serde can read ([`Value`], one of your own with only the fields that matter, one of k8s-openapi's).
    pub fn object<T: DeserializeOwned>(&self) -> Result<T, Error> {
        read(&self.object, "object")
    }

    /// The object as it was before; None where that is not known.
    pub fn old_object<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        self.old_object.as_deref().map(|it| read(it, "oldObject")).transpose()
    }

    /// The name of the object that changed.
    pub fn key(&self) -> Result<ObjectKey, Error> {
        let Head { api_version, kind, metadata } = self.object()?;
        Ok(ObjectKey { api_version, kind, namespace: metadata.namespace, name: metadata.name })
    }
}

impl ObjectKey {
    /// For example `ObjectKey::new("apps/v1", "Deployment", "shop", "web")`. The namespace of cluster-scoped objects is empty.
    pub fn new(
        api_version: impl Into<String>,
        kind: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self { api_version: api_version.into(), kind: kind.into(), namespace: namespace.into(), name: name.into() }
    }
}

impl Action {
    /// The same object is to be handled again after this time, unless it changes before: as modified and replayed, as it is then. In whole
    /// seconds, rounded up, from one to a day: who waits longer is asked earlier, and asks for the rest.
    pub fn again_after(time: Duration) -> Self {
        let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
        Self::AgainAfter(u32::try_from(seconds).unwrap_or(LONGEST).clamp(1, LONGEST))
    }

    /// An Event about the object that changed. The reason is one word of letters and digits, for example `ConfigMapWritten`; the note
    /// is for people, at most 1024 bytes.
    pub fn event(reason: impl Into<String>, note: impl Into<String>) -> Self {
        Self::Event(ObjectEvent { warning: false, reason: reason.into(), note: note.into() })
    }

    /// As [`Self::event`], of type Warning: something is wrong.
    pub fn warning(reason: impl Into<String>, note: impl Into<String>) -> Self {
        Self::Event(ObjectEvent { warning: true, reason: reason.into(), note: note.into() })
    }

    /// Server-side apply of an object, with apiVersion, kind and metadata.name: its fields become as they are here, those that were here
    /// before and are not any more are removed, and all others stay.
    pub fn apply(object: &impl Serialize) -> Result<Self, Error> {
        Ok(Self::Apply(serde_json::to_string(object)?))
    }

    /// A JSON Merge Patch (RFC 7386) of an object that is there: what is named is set, `null` removes.
    pub fn merge_patch(key: ObjectKey, patch: &Value) -> Self {
        Self::patch(key, PatchType::MergePatch, patch, "")
    }

    /// As [`Self::merge_patch`], of the subresource `status`: `{"status": {...}}`. Only where it differs: a policy that writes what it is
    /// told of is asked again.
    pub fn merge_patch_status(key: ObjectKey, patch: &Value) -> Self {
        Self::patch(key, PatchType::MergePatch, patch, "status")
    }

    /// A JSON Patch (RFC 6902) of an object that is there.
    pub fn json_patch(key: ObjectKey, patch: Patch) -> Self {
        Self::patch(key, PatchType::JsonPatch, &patch.into_value(), "")
    }

    /// As [`Self::json_patch`], of the subresource `status`.
    pub fn json_patch_status(key: ObjectKey, patch: Patch) -> Self {
        Self::patch(key, PatchType::JsonPatch, &patch.into_value(), "status")
    }

    /// Deletes an object. One that is not there is no error.
    pub fn delete(key: ObjectKey) -> Self {
        Self::Delete(key)
    }

    /// As the server writes it, and as `answer` in the cases of `verdict test` has it: one field, whose name says what is to be done.
    pub fn json(&self) -> Value {
        match self {
            Self::AgainAfter(seconds) => json!({"againAfter": seconds}),
            Self::Event(ObjectEvent { warning, reason, note }) => {
                json!({"event": {"type": if *warning { "Warning" } else { "Normal" }, "reason": reason, "note": note}})
            }
            Self::Apply(object) => json!({"apply": value(object)}),
            Self::Patch(ObjectPatch { key, patch_type, patch, subresource }) => {
                let mut written = json!(key);
                written["type"] = json!(patch_type);
                if !subresource.is_empty() {
                    written["subresource"] = json!(subresource);
                }
                written["patch"] = value(patch);
                json!({"patch": written})
            }
            Self::Delete(key) => json!({"delete": key}),
        }
    }

    fn patch(key: ObjectKey, patch_type: PatchType, patch: &Value, subresource: &str) -> Self {
        Self::Patch(ObjectPatch { key, patch_type, patch: patch.to_string(), subresource: subresource.to_owned() })
    }
}

fn read<T: DeserializeOwned>(json: &str, what: &str) -> Result<T, Error> {
    parse(json).map_err(|(path, message)| Error::new(format!("{what}{path}: {message}")))
}

/// What an author wrote by hand may be no JSON, which the server says.
fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| json.into())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: String,
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    namespace: String,
    name: String,
}

/// Seconds.
const LONGEST: u32 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ObjectKey {
        ObjectKey::new("apps/v1", "Deployment", "shop", "web")
    }

    #[test]
    fn actions_are_written_as_the_server_writes_them() {
        let mut patch = Patch::new();
        patch.remove("/spec/paused");
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
        let of_web = |more: Value| {
            let mut written =
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"});
            written.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            written
        };
        for (action, written) in [
            (Action::again_after(Duration::from_secs(5)), json!({"againAfter": 5})),
            (Action::event("A", "b"), json!({"event": {"type": "Normal", "reason": "A", "note": "b"}})),
            (Action::warning("A", "b"), json!({"event": {"type": "Warning", "reason": "A", "note": "b"}})),
            (Action::apply(&object).unwrap(), json!({"apply": object})),
            (
                Action::merge_patch(key(), &json!({"a": null})),
                json!({"patch": of_web(json!({"type": "MergePatch", "patch": {"a": null}}))}),
            ),
            (
                Action::merge_patch_status(key(), &json!({"status": {}})),
                json!({"patch": of_web(json!({"type": "MergePatch", "subresource": "status", "patch": {"status": {}}}))}),
            ),
            (
                Action::json_patch(key(), patch.clone()),
                json!({"patch": of_web(json!({"type": "JsonPatch", "patch": [{"op": "remove", "path": "/spec/paused"}]}))}),
            ),
            (Action::delete(key()), json!({"delete": of_web(json!({}))})),
            (
                Action::delete(ObjectKey::new("v1", "Namespace", "", "shop")),
                json!({"delete": {"apiVersion": "v1", "kind": "Namespace", "name": "shop"}}),
            ),
        ] {
            assert_eq!(action.json(), written);
        }
        assert_eq!(Action::json_patch_status(key(), patch).json()["patch"]["subresource"], "status");
    }

    #[test]
    fn waits_are_whole_seconds_up_to_a_day() {
        for (milliseconds, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (86_400_000, 86_400), (u64::MAX, 86_400)]
        {
            let action = Action::again_after(Duration::from_millis(milliseconds));
            assert_eq!(action, Action::AgainAfter(seconds), "{milliseconds}");
        }
    }

    #[test]
    fn a_change_names_its_object_and_what_does_not_fit() {
        let mut change = crate::testing::change(
            r#"{"type": "MODIFIED", "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "a", "name": "b"}}}"#,
        );
        assert_eq!((change.change_type, change.replayed), (ChangeType::Modified, false));
        assert_eq!(change.key().unwrap(), ObjectKey::new("v1", "Pod", "a", "b"));
        assert_eq!(change.old_object::<Value>().unwrap(), None);
        change.old_object = Some(r#"{"metadata": {"name": 1}}"#.to_owned());
        let error = change.old_object::<std::collections::BTreeMap<String, Metadata>>().err().unwrap();
        assert_eq!(error.to_string(), "oldObject/metadata/name: invalid type: integer, expected a string");
    }
}
