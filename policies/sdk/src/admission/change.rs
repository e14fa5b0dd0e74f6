//! What a mutator answers: a change of the object, or a denial.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::difference::difference;
use crate::{AdmissionRequest, Annotation, Denial, Error};

/// A change of the object, as JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// None.
    Unchanged,
    /// RFC 6902, an array of operations.
    JsonPatch(String),
    /// RFC 7386.
    MergePatch(String),
    /// The whole new object.
    Full(String),
}

/// The answer of a mutator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutation {
    /// Allowed with this change, or denied.
    pub outcome: Result<Change, Denial>,
    /// Shown to the user, whether allowed or denied. One line each, at most 256 characters.
    pub warnings: Vec<String>,
    /// For the audit log of the API server.
    pub audit_annotations: Vec<Annotation>,
}

/// A JSON Patch (RFC 6902) in the making. Paths are JSON Pointers; [`pointer`] makes them from names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch(Vec<Value>);

impl Mutation {
    /// The object may enter as it is.
    pub fn unchanged() -> Self {
        Self::new(Ok(Change::Unchanged))
    }

    /// The object enters changed by `patch`; an empty one changes nothing.
    pub fn json_patch(patch: Patch) -> Self {
        if patch.is_empty() {
            return Self::unchanged();
        }
        Self::new(Ok(Change::JsonPatch(Value::Array(patch.0).to_string())))
    }

    /// The object enters changed by a JSON Merge Patch (RFC 7386): what is named is set, `null` removes.
    pub fn merge_patch(patch: &Value) -> Self {
        Self::new(Ok(Change::MergePatch(patch.to_string())))
    }

    /// This object enters instead.
    pub fn full(object: &impl Serialize) -> Result<Self, Error> {
        Ok(Self::new(Ok(Change::Full(serde_json::to_string(object)?))))
    }

    /// The object enters as `edit` leaves it. `T` has the fields that the policy reads or writes, and may be
    /// [`Value`]; the patch holds only what `edit` changed, so all other fields, and numbers of any size, stay as they
    /// are. Items of lists are told apart by their `name`; where an item without one is changed and another one
    /// removed at once, both are written anew, with the fields of `T` only.
    pub fn change<T: DeserializeOwned + Serialize>(
        request: &AdmissionRequest,
        edit: impl FnOnce(&mut T),
    ) -> Result<Self, Error> {
        Self::change_at(request.object.as_deref().unwrap_or_default(), "", request.object()?, edit)
    }

    /// As [`Self::change`], of the PodSpec of whatever workload it is; unchanged where there is none, as for a delete, other kinds and
    /// subresources.
    pub fn change_pod_spec<T: DeserializeOwned + Serialize>(
        request: &AdmissionRequest,
        edit: impl FnOnce(&mut T),
    ) -> Result<Self, Error> {
        let object = request.object.as_deref();
        let (Some((text, fields)), Some((spec, _))) = (request.pod_spec_text(object)?, request.pod_spec()?) else {
            return Ok(Self::unchanged());
        };
        Self::change_at(text, &pointer(fields), spec, edit)
    }

    /// `original` is the text of `value`, which lies at `path`, a JSON Pointer.
    fn change_at<T: Serialize>(
        original: &str,
        path: &str,
        mut value: T,
        edit: impl FnOnce(&mut T),
    ) -> Result<Self, Error> {
        let before = serde_json::to_value(&value)?;
        edit(&mut value);
        let after = serde_json::to_value(&value)?;
        Ok(Self::json_patch(difference(original, path, &before, &after)))
    }

    /// The object may not enter: a text, or a whole [`Denial`].
    pub fn deny(denial: impl Into<Denial>) -> Self {
        Self::new(Err(denial.into()))
    }

    /// Adds a warning.
    pub fn warn(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }

    /// Adds an audit annotation.
    pub fn annotate(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.audit_annotations.push(Annotation { key: key.into(), value: value.into() });
        self
    }

    fn new(outcome: Result<Change, Denial>) -> Self {
        Self { outcome, warnings: Vec::new(), audit_annotations: Vec::new() }
    }
}

impl Patch {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a member, replacing one that is there, or inserts into a list (`/-` at the end appends). What contains it must exist.
    pub fn add(&mut self, path: impl AsRef<str>, value: impl Into<Value>) -> &mut Self {
        self.push(json!({"op": "add", "path": path.as_ref(), "value": value.into()}))
    }

    /// Replaces what is there; the patch fails if nothing is.
    pub fn replace(&mut self, path: impl AsRef<str>, value: impl Into<Value>) -> &mut Self {
        self.push(json!({"op": "replace", "path": path.as_ref(), "value": value.into()}))
    }

    /// Removes what is there; the patch fails if nothing is.
    pub fn remove(&mut self, path: impl AsRef<str>) -> &mut Self {
        self.push(json!({"op": "remove", "path": path.as_ref()}))
    }

    /// The patch fails unless the value is there.
    pub fn test(&mut self, path: impl AsRef<str>, value: impl Into<Value>) -> &mut Self {
        self.push(json!({"op": "test", "path": path.as_ref(), "value": value.into()}))
    }

    pub(crate) fn into_value(self) -> Value {
        Value::Array(self.0)
    }

    fn push(&mut self, operation: Value) -> &mut Self {
        self.0.push(operation);
        self
    }
}

/// A JSON Pointer (RFC 6901) from names and numbers: `["metadata", "labels", "a/b"]` is `/metadata/labels/a~1b`.
pub fn pointer<S: AsRef<str>>(segments: impl IntoIterator<Item = S>) -> String {
    let mut pointer = String::new();
    for segment in segments {
        push_segment(&mut pointer, segment.as_ref());
    }
    pointer
}

pub(crate) fn push_segment(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for c in segment.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_escapes_its_segments() {
        assert_eq!(pointer(["metadata", "labels", "a/b~c"]), "/metadata/labels/a~1b~0c");
        assert_eq!(pointer::<&str>([]), "");
    }

    #[test]
    fn an_empty_patch_changes_nothing() {
        assert_eq!(Mutation::json_patch(Patch::new()), Mutation::unchanged());
    }

    #[test]
    fn a_patch_is_an_array_of_operations() {
        let mut patch = Patch::new();
        patch.test("/a", 1).remove("/a").add("/b", "x").replace("/c", json!({}));
        let Ok(Change::JsonPatch(text)) = Mutation::json_patch(patch).outcome else {
            panic!("no patch");
        };
        let operations: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            operations,
            json!([
                {"op": "test", "path": "/a", "value": 1},
                {"op": "remove", "path": "/a"},
                {"op": "add", "path": "/b", "value": "x"},
                {"op": "replace", "path": "/c", "value": {}},
            ])
        );
    }

    #[test]
    fn the_pod_spec_of_any_workload_is_read_and_changed() {
        let template = json!({"template": {"spec": {"nodeName": "n"}}});
        for (group, kind, spec, path) in [
            ("", "Pod", json!({"nodeName": "n"}), "spec"),
            ("apps", "Deployment", template.clone(), "spec.template.spec"),
            ("batch", "CronJob", json!({"jobTemplate": {"spec": template}}), "spec.jobTemplate.spec.template.spec"),
        ] {
            let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
                "uid": "u", "operation": "CREATE", "kind": {"group": group, "version": "v1", "kind": kind},
                "resource": {"group": group, "version": "v1", "resource": "x"}, "object": {"spec": spec}}});
            let mut request = crate::testing::admission(&review.to_string());
            let (found, at) = request.pod_spec::<Value>().unwrap().unwrap();
            assert_eq!((found["nodeName"].as_str(), at.to_string().as_str()), (Some("n"), path));
            let mutation =
                Mutation::change_pod_spec(&request, |spec: &mut Value| spec["nodeName"] = "m".into()).unwrap();
            let at = format!("/{}/nodeName", path.replace('.', "/"));
            let mut expected = Patch::new();
            expected.replace(at, "m");
            assert_eq!(mutation, Mutation::json_patch(expected));
            request.subresource = "scale".to_owned();
            assert_eq!(request.pod_spec::<Value>().unwrap(), None);
            assert_eq!(
                Mutation::change_pod_spec(&request, |_: &mut Value| panic!("edited")).unwrap(),
                Mutation::unchanged()
            );
        }
    }
}
