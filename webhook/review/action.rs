//! What a policy wants done about a change of an object, checked: whatever is left can be put into a URL and sent.

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::RawValue;

use crate::text;

/// As a policy said it; nothing of it was looked at.
#[derive(Debug, Clone)]
pub enum Said {
    /// Seconds.
    AgainAfter(u32),
    /// An event about the object that changed.
    Event(ObjectEvent),
    /// JSON.
    Apply(String),
    /// A patch, with JSON that nobody read.
    Patch {
        /// Of what.
        key: ObjectKey,
        /// What it is.
        kind: PatchType,
        /// JSON.
        patch: String,
        /// Of the object, or empty.
        subresource: String,
    },
    /// Of this one.
    Delete(ObjectKey),
}

/// One thing to do.
#[derive(Debug, Clone)]
pub enum Action {
    /// The same object is to be handled again, after so many seconds: from 1 to 86400.
    AgainAfter(u32),
    /// An event about the object that changed.
    Event(ObjectEvent),
    /// Server-side apply.
    Apply {
        /// Of what.
        key: ObjectKey,
        /// The whole, a JSON object.
        object: Box<RawValue>,
    },
    /// A patch of what is there.
    Patch {
        /// Of what.
        key: ObjectKey,
        /// What it is.
        kind: PatchType,
        /// Of the kind's form.
        patch: Box<RawValue>,
        /// Whether it is of the subresource `status`.
        of_status: bool,
    },
    /// Deletes what is there.
    Delete(ObjectKey),
}

/// Names an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectKey {
    /// `apps/v1`, or `v1` of the core group.
    pub api_version: String,
    /// `Deployment`.
    pub kind: String,
    /// Empty: it belongs to none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What a patch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum PatchType {
    /// RFC 6902.
    JsonPatch,
    /// RFC 7386.
    MergePatch,
}

/// What people are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectEvent {
    /// Whether something is wrong.
    #[serde(rename = "type", serialize_with = "event_type")]
    pub warning: bool,
    /// A word.
    pub reason: String,
    /// At most 1024 bytes.
    pub note: String,
}

/// What is left of `said`.
///
/// # Errors
/// What is wrong with one of them, in short words for whoever wrote the policy.
pub fn checked(said: Vec<Said>) -> Result<Vec<Action>, String> {
    if said.len() > MOST {
        return Err(format!("{} actions are more than the {MOST} that a change may have", said.len()));
    }
    let all = said.into_iter().enumerate();
    all.map(|(at, it)| action(it).map_err(|why| format!("action {at}: {why}"))).collect()
}

fn action(said: Said) -> Result<Action, String> {
    match said {
        Said::AgainAfter(seconds) if (1..=LONGEST).contains(&seconds) => Ok(Action::AgainAfter(seconds)),
        Said::AgainAfter(seconds) => {
            Err(format!("again-after takes from 1 to {LONGEST} seconds; this one has {seconds}"))
        }
        Said::Event(event) => {
            let is_word = event.reason.bytes().all(|it| it.is_ascii_alphanumeric());
            if event.reason.is_empty() || event.reason.len() > 128 || !is_word {
                return Err("the reason of an event must be a word of at most 128 letters and digits".to_owned());
            }
            Ok(Action::Event(ObjectEvent { note: text::shorten(&event.note, LONGEST_NOTE), ..event }))
        }
        Said::Apply(object) => {
            let raw = json(&object, "the object to apply")?;
            let head: Head = serde_json::from_str(raw.get()).map_err(|error| {
                format!("the object to apply needs apiVersion, kind and metadata with a name: {error}")
            })?;
            let Head { api_version, kind, metadata } = head;
            let (namespace, name) = (metadata.namespace.unwrap_or_default(), metadata.name);
            let key = ObjectKey { api_version, kind, namespace, name };
            key.check()?;
            Ok(Action::Apply { key, object: raw })
        }
        Said::Patch { key, kind, patch, subresource } => {
            key.check()?;
            let patch = json(&patch, "the patch")?;
            let (opening, what) = match kind {
                PatchType::JsonPatch => ('[', "a JSON patch must be a list of operations"),
                PatchType::MergePatch => ('{', "a merge patch must be an object"),
            };
            if !patch.get().starts_with(opening) {
                return Err(what.to_owned());
            }
            let of_status = match subresource.as_str() {
                "" => false,
                "status" => true,
                _ => return Err("the subresource of a patch must be status, or empty".to_owned()),
            };
            Ok(Action::Patch { key, kind, patch, of_status })
        }
        Said::Delete(key) => {
            key.check()?;
            Ok(Action::Delete(key))
        }
    }
}

impl ObjectKey {
    /// The group of its API; empty: the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The version of its API.
    pub fn version(&self) -> &str {
        self.api_version.split_once('/').map_or(&self.api_version, |(_, version)| version)
    }

    /// Whether each part can stand in a path, and somebody's policy may touch it at all.
    fn check(&self) -> Result<(), String> {
        let bad = |what: &str| Err(format!("{what} is none that an object can have"));
        let plain = |it: &str, more: &[u8]| {
            !it.is_empty() && it.len() <= 253 && it.bytes().all(|it| it.is_ascii_alphanumeric() || more.contains(&it))
        };
        let is_group = |it: &str| it.split('.').all(|it| plain(it, b"-"));
        let group = self.api_version.split_once('/').map(|(group, _)| group);
        if !plain(self.version(), b"") || !group.is_none_or(is_group) {
            return bad("its apiVersion");
        }
        if !plain(&self.kind, b"") {
            return bad("its kind");
        }
        if !self.namespace.is_empty() && !plain(&self.namespace, b"-") {
            return bad("its namespace");
        }
        let is_segment = |it: u8| it.is_ascii_graphic() && !b"/%?#\\".contains(&it);
        if self.name.is_empty()
            || self.name.len() > 253
            || [".", ".."].contains(&self.name.as_str())
            || !self.name.bytes().all(is_segment)
        {
            return bad("its name");
        }
        // As kube-apiserver compares them, with or without a trailing part in other letters.
        let group = self.group().to_ascii_lowercase();
        if REFUSED.iter().any(|it| group == *it || group.strip_suffix(it).is_some_and(|it| it.ends_with('.'))) {
            return Err(format!("objects of {group} are refused, whatever the account may do"));
        }
        Ok(())
    }
}

fn json(text: &str, what: &str) -> Result<Box<RawValue>, String> {
    if text.len() > LARGEST {
        return Err(format!("{what} has {} bytes; at most {LARGEST} are taken", text.len()));
    }
    // Blanks around it would hide how it begins.
    let text = text.trim().to_owned();
    RawValue::from_string(text).map_err(|error| format!("{what} is not JSON: {error}"))
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
    name: String,
    namespace: Option<String>,
}

fn event_type<S: Serializer>(warning: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *warning { "Warning" } else { "Normal" })
}

/// One field, whose name says what is to be done.
impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Patch<'a> {
            #[serde(flatten)]
            key: &'a ObjectKey,
            #[serde(rename = "type")]
            kind: PatchType,
            #[serde(skip_serializing_if = "str::is_empty")]
            subresource: &'a str,
            patch: serde_json::Value,
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::AgainAfter(seconds) => map.serialize_entry("againAfter", seconds)?,
            Self::Event(event) => map.serialize_entry("event", event)?,
            Self::Apply { object, .. } => map.serialize_entry("apply", object)?,
            Self::Patch { key, kind, patch, of_status } => {
                // Flattened maps hold values only.
                let patch = serde_json::from_str(patch.get()).unwrap_or_default();
                let subresource = if *of_status { "status" } else { "" };
                map.serialize_entry("patch", &Patch { key, kind: *kind, subresource, patch })?;
            }
            Self::Delete(key) => map.serialize_entry("delete", key)?,
        }
        map.end()
    }
}

/// Whose objects say who may do what, or whom kube-apiserver asks: of these groups, and of what ends in them.
const REFUSED: [&str; 5] = [
    "rbac.authorization.k8s.io",
    "admissionregistration.k8s.io",
    "apiregistration.k8s.io",
    "apiextensions.k8s.io",
    "verdict.dev",
];
/// Of one change.
const MOST: usize = 64;
/// Seconds.
const LONGEST: u32 = 86_400;
/// Bytes of one object or patch: etcd takes 1.5 MiB.
const LARGEST: usize = 2 << 20;
/// Bytes that kube-apiserver takes of a note.
const LONGEST_NOTE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(api_version: &str, kind: &str, namespace: &str, name: &str) -> ObjectKey {
        let [api_version, kind, namespace, name] = [api_version, kind, namespace, name].map(str::to_owned);
        ObjectKey { api_version, kind, namespace, name }
    }

    fn of(said: Said) -> Result<String, String> {
        let actions = checked(vec![said])?;
        Ok(serde_json::to_string(&actions).unwrap())
    }

    #[test]
    fn actions_are_written_with_what_they_do() {
        assert_eq!(of(Said::AgainAfter(5)).unwrap(), r#"[{"againAfter":5}]"#);
        let event = ObjectEvent { warning: true, reason: "TooOld".to_owned(), note: "it is too old".to_owned() };
        let written = r#"[{"event":{"type":"Warning","reason":"TooOld","note":"it is too old"}}]"#;
        assert_eq!(of(Said::Event(event)).unwrap(), written);
        let object = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"b"},"data":{}}"#;
        assert_eq!(of(Said::Apply(format!(" {object}\n"))).unwrap(), format!(r#"[{{"apply":{object}}}]"#));
        let patch = Said::Patch {
            key: key("apps/v1", "Deployment", "b", "a"),
            kind: PatchType::MergePatch,
            patch: r#"{"status":{}}"#.to_owned(),
            subresource: "status".to_owned(),
        };
        let written = r#"[{"patch":{"apiVersion":"apps/v1","kind":"Deployment","namespace":"b","name":"a","type":"MergePatch","subresource":"status","patch":{"status":{}}}}]"#;
        assert_eq!(of(patch).unwrap(), written);
        let written = r#"[{"delete":{"apiVersion":"v1","kind":"Namespace","name":"a"}}]"#;
        assert_eq!(of(Said::Delete(key("v1", "Namespace", "", "a"))).unwrap(), written);
    }

    #[test]
    fn what_cannot_be_sent_or_may_not_be_touched_is_refused() {
        let delete = |api_version: &str, kind: &str, namespace: &str, name: &str| {
            of(Said::Delete(key(api_version, kind, namespace, name)))
        };
        delete("v1", "Pod", "a", "system:b.c-d_e").unwrap();
        for (api_version, kind, namespace, name) in [
            ("", "Pod", "a", "b"),
            ("v1/", "Pod", "a", "b"),
            ("a/b/v1", "Pod", "a", "b"),
            ("/v1", "Pod", "a", "b"),
            ("../v1", "Pod", "a", "b"),
            ("a..b/v1", "Pod", "a", "b"),
            ("v1", "", "a", "b"),
            ("v1", "pods/x", "a", "b"),
            ("v1", "Pod", "a/../b", "b"),
            ("v1", "Pod", "..", "b"),
            ("v1", "Pod", "a", ""),
            ("v1", "Pod", "a", ".."),
            ("v1", "Pod", "a", "b/status"),
            ("v1", "Pod", "a", "b?x"),
            ("v1", "Pod", "a", "%2e"),
            ("v1", "Pod", "a", "ä"),
            ("v1", "Pod", "a", "b\n"),
        ] {
            let why = delete(api_version, kind, namespace, name).unwrap_err();
            assert!(why.ends_with("is none that an object can have"), "{why}");
        }
        for group in [
            "rbac.authorization.k8s.io",
            "RBAC.authorization.k8s.io",
            "admissionregistration.k8s.io",
            "apiextensions.k8s.io",
            "apiregistration.k8s.io",
            "verdict.dev",
            "author.verdict.dev",
        ] {
            let why = delete(&format!("{group}/v1"), "Any", "", "b").unwrap_err();
            assert!(why.ends_with("are refused, whatever the account may do"), "{why}");
            let object = format!(r#"{{"apiVersion":"{group}/v1","kind":"Any","metadata":{{"name":"a"}}}}"#);
            of(Said::Apply(object)).unwrap_err();
        }
        delete("notverdict.dev/v1", "Any", "", "b").unwrap();
        for object in ["", "1", "{}", r#"{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"a"}}"#] {
            of(Said::Apply(object.to_owned())).unwrap_err();
        }
        let patch = |kind, patch: &str, subresource: &str| {
            let key = key("v1", "Pod", "a", "b");
            of(Said::Patch { key, kind, patch: patch.to_owned(), subresource: subresource.to_owned() })
        };
        patch(PatchType::JsonPatch, "[]", "").unwrap();
        patch(PatchType::JsonPatch, "{}", "").unwrap_err();
        patch(PatchType::MergePatch, "[]", "").unwrap_err();
        patch(PatchType::MergePatch, "{}", "exec").unwrap_err();
        for seconds in [0, 86_401] {
            of(Said::AgainAfter(seconds)).unwrap_err();
        }
        for reason in ["", "not a word", &"a".repeat(129)] {
            of(Said::Event(ObjectEvent { warning: false, reason: reason.to_owned(), note: String::new() }))
                .unwrap_err();
        }
        assert!(checked(vec![Said::AgainAfter(1); 65]).unwrap_err().starts_with("65 actions"));
    }
}
