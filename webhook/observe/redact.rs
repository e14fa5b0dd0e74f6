//! What nobody may read in a decision log: tokens, Secrets, and extras that are listed.
//!
//! Of a Secret only what is known to be harmless stays: tools keep copies of it in annotations of their own. What was taken out is told by
//! its path (RFC 6901), as OPA does. Works on values alone, so that it can be tried with anything.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::decision::{DecisionEvent, Verdict};
use crate::{
    review::{
        admission::AdmissionRequest,
        user::UserInfo,
        verdict::{Denied, TokenVerdict},
    },
    text,
};

/// What is hidden beside Secrets and tokens.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Keys of users' extras, in lower case.
    extra: BTreeSet<String>,
}

/// What was taken out of a document, as JSON pointers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Redacted {
    /// What is gone.
    pub erased: Vec<String>,
    /// What has another value.
    pub masked: Vec<String>,
}

impl Rules {
    /// `extra`: keys of users' extras whose values are hidden, whatever their case: kube-apiserver has them in lower case.
    pub fn new(extra: &[String]) -> Self {
        Self { extra: extra.iter().map(|it| it.to_lowercase()).collect() }
    }

    /// Takes out of a whole review, or of an event, what nobody may read; `at` is its own path.
    pub fn review(&self, review: &mut Value, at: &str) -> Redacted {
        let mut walk = Walk { rules: self, found: Redacted::default(), hides: false };
        let root = At::Root(at);
        if let Some(request) = review.get_mut("request").and_then(Value::as_object_mut)
            && names_secret(request)
        {
            let at = At::Key(&root, "request");
            for field in ["object", "oldObject", "options"] {
                if let Some(object) = request.get_mut(field) {
                    walk.secret(object, &At::Key(&at, field));
                }
            }
        }
        if let Some(spec) = review.get_mut("spec").and_then(Value::as_object_mut) {
            let at = At::Key(&root, "spec");
            // Whatever it calls itself: only a TokenReview has it.
            if spec.remove("token").is_some() {
                walk.erased(&At::Key(&at, "token"));
            }
            walk.extra(spec, &at);
        }
        walk.value(review, &root);
        if walk.hides {
            walk.copies(review, &root);
        }
        walk.found
    }
}

/// Whether the answer to this must not be told either: it is about a Secret or a token, by its resource or its kind, however that is spelt.
pub(super) fn is_secret(request: &AdmissionRequest<'_>) -> bool {
    let resources = [
        (&request.resource.resource, &request.subresource),
        (&request.request_resource.resource, &request.request_subresource),
    ];
    resources.into_iter().any(|(resource, subresource)| is_secret_resource(resource, subresource))
        || [&request.kind.kind, &request.request_kind.kind].into_iter().any(|it| is_secret_kind(it) || same(it, "List"))
}

/// The same of any JSON, which may hold such a review or an object.
pub(super) fn names_a_secret(json: &str) -> bool {
    ["\"Secret\"", "\"SecretList\"", "\"TokenRequest\"", "\"TokenReview\"", "\"secrets\""]
        .iter()
        .any(|it| json.contains(it))
}

/// Takes out what the answer, and each policy, say about a Secret.
pub(super) fn withhold(event: &mut DecisionEvent) {
    let mut erased = |path: String, was: bool| {
        if was && event.erased.len() < MAX_PATHS {
            event.erased.push(path);
        }
    };
    if let Verdict::Admission(verdict) = &mut event.verdict {
        if let Some(denial) = &mut verdict.denial {
            erased("/result/status/message".to_owned(), true);
            erased("/result/status/causes".to_owned(), !denial.causes.is_empty());
            // Its reason is a word of the policy's as well.
            *denial = Denied::of(denial.code);
        }
        erased("/result/patch".to_owned(), verdict.patch.take().is_some());
        erased("/result/warnings".to_owned(), !std::mem::take(&mut verdict.warnings).is_empty());
        erased("/result/auditAnnotations".to_owned(), !std::mem::take(&mut verdict.annotations).is_empty());
    }
    for (at, policy) in event.policies.iter_mut().enumerate() {
        erased(format!("/policies/{at}/message"), !std::mem::take(&mut policy.message).is_empty());
        erased(format!("/policies/{at}/causes"), !std::mem::take(&mut policy.causes).is_empty());
        erased(format!("/policies/{at}/log"), !std::mem::take(&mut policy.log).is_empty());
        erased(format!("/policies/{at}/facts"), !std::mem::take(&mut policy.facts).is_empty());
    }
}

/// A verdict of which nothing is the token, and without extras, which are the authenticator's own.
pub(super) fn without_token(verdict: &TokenVerdict, token: &str) -> TokenVerdict {
    let clean = |text: &String| text::without(text, token);
    match verdict {
        TokenVerdict::Authenticated { user, audiences } => TokenVerdict::Authenticated {
            user: UserInfo {
                username: clean(&user.username),
                uid: clean(&user.uid),
                groups: user.groups.iter().map(clean).collect(),
                extra: Default::default(),
            },
            audiences: audiences.iter().map(clean).collect(),
        },
        TokenVerdict::Unauthenticated { error } => TokenVerdict::Unauthenticated { error: error.as_ref().map(clean) },
    }
}

/// One document on its way through.
struct Walk<'r> {
    rules: &'r Rules,
    found: Redacted,
    /// There is a Secret in it: what holds it may hold a copy of it.
    hides: bool,
}

impl Walk<'_> {
    /// Anything: what calls itself a Secret is one, wherever it is.
    fn value(&mut self, value: &mut Value, at: &At<'_>) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, &At::Index(at, index));
                }
            }
            Value::Object(fields) => {
                let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
                let is_object = ["data", "stringData", "metadata", "items", "spec", "status"]
                    .iter()
                    .any(|it| fields.contains_key(*it));
                if is_secret_kind(kind) && is_object {
                    return self.secret(value, at);
                }
                if let Some(user) = fields.get_mut("userInfo").and_then(Value::as_object_mut) {
                    self.extra(user, &At::Key(at, "userInfo"));
                }
                for (key, field) in fields.iter_mut() {
                    self.value(field, &At::Key(at, key));
                }
            }
            _ => {}
        }
    }

    /// A Secret, a list of them, or an answer that holds a token: what is not known goes.
    fn secret(&mut self, value: &mut Value, at: &At<'_>) {
        self.hides = true;
        let Value::Object(fields) = value else {
            if !std::mem::take(value).is_null() {
                self.erased(at);
            }
            return;
        };
        fields.retain(|key, value| {
            let kept = match key.as_str() {
                "metadata" | "items" | "spec" => true,
                "apiVersion" | "kind" | "type" | "fieldManager" | "fieldValidation" | "propagationPolicy" => {
                    value.is_string()
                }
                "immutable" | "gracePeriodSeconds" | "orphanDependents" => value.is_boolean() || value.is_number(),
                "dryRun" => value.is_boolean() || value.as_array().is_some_and(|it| it.iter().all(|it| it == "All")),
                _ => false,
            };
            if !kept {
                self.found.erase(&At::Key(at, key));
            }
            kept
        });
        for (key, kept) in [("metadata", METADATA), ("spec", SPEC)] {
            if let Some(field) = fields.get_mut(key) {
                let at = At::Key(at, key);
                self.only(field, &at, kept);
                // Whoever writes labels like that hides something.
                self.value(field, &at);
            }
        }
        let at = At::Key(at, "items");
        match fields.get_mut("items") {
            Some(Value::Array(items)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.secret(item, &At::Index(&at, index));
                }
            }
            Some(other) if !other.is_null() => {
                *other = Value::Null;
                self.erased(&at);
            }
            _ => {}
        }
    }

    /// Of an object only these fields.
    fn only(&mut self, value: &mut Value, at: &At<'_>, kept: &[&str]) {
        let Value::Object(fields) = value else {
            if !std::mem::take(value).is_null() {
                self.erased(at);
            }
            return;
        };
        fields.retain(|key, _| {
            let kept = kept.contains(&key.as_str());
            if !kept {
                self.found.erase(&At::Key(at, key));
            }
            kept
        });
    }

    /// What keeps copies of objects, wherever it is.
    fn copies(&mut self, value: &mut Value, at: &At<'_>) {
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.copies(item, &At::Index(at, index));
                }
            }
            Value::Object(fields) => {
                for key in ["annotations", "managedFields"] {
                    if fields.remove(key).is_some() {
                        self.erased(&At::Key(at, key));
                    }
                }
                for (key, field) in fields.iter_mut() {
                    self.copies(field, &At::Key(at, key));
                }
            }
            _ => {}
        }
    }

    fn extra(&mut self, user: &mut Map<String, Value>, at: &At<'_>) {
        let Some(extra) = user.get_mut("extra").and_then(Value::as_object_mut) else { return };
        let at = At::Key(at, "extra");
        for (key, value) in extra.iter_mut() {
            if self.rules.extra.contains(&key.to_lowercase()) {
                *value = Value::from(vec![MASK]);
                self.found.mask(&At::Key(&at, key));
            }
        }
    }

    fn erased(&mut self, at: &At<'_>) {
        self.found.erase(at);
    }
}

/// Where a value is. Written out only for what is listed: keys may be long, and so may be lists below them.
enum At<'a> {
    Root(&'a str),
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl At<'_> {
    /// As a JSON pointer. None: it is too long to be told.
    fn path(&self) -> Option<String> {
        let path = match self {
            Self::Root(root) => (*root).to_owned(),
            Self::Key(_, key) if key.len() > MAX_PATH => return None,
            Self::Key(above, key) => format!("{}/{}", above.path()?, key.replace('~', "~0").replace('/', "~1")),
            Self::Index(above, index) => format!("{}/{index}", above.path()?),
        };
        (path.len() <= MAX_PATH).then_some(path)
    }
}

impl Redacted {
    fn erase(&mut self, at: &At<'_>) {
        if self.erased.len() < MAX_PATHS {
            self.erased.extend(at.path());
        }
    }

    fn mask(&mut self, at: &At<'_>) {
        if self.masked.len() < MAX_PATHS {
            self.masked.extend(at.path());
        }
    }
}

/// Whether an AdmissionRequest names what is secret.
fn names_secret(request: &Map<String, Value>) -> bool {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let of = |parent: &str, field: &str| text(request.get(parent).and_then(|it| it.get(field)));
    let resources = [("resource", "subResource"), ("requestResource", "requestSubResource")];
    resources
        .into_iter()
        .any(|(resource, subresource)| is_secret_resource(&of(resource, "resource"), &text(request.get(subresource))))
        || ["kind", "requestKind"].into_iter().any(|it| is_secret_kind(&of(it, "kind")))
}

fn is_secret_resource(resource: &str, subresource: &str) -> bool {
    same(resource, "secrets")
        || same(resource, "secret")
        || same(resource, "tokenreviews")
        || (same(resource, "serviceaccounts") && same(subresource, "token"))
}

fn is_secret_kind(kind: &str) -> bool {
    ["Secret", "SecretList", "TokenRequest", "TokenReview"].iter().any(|it| same(kind, it))
}

/// However it is spelt.
fn same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// What is known of a Secret without what it holds.
const METADATA: &[&str] = &[
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "ownerReferences",
    "finalizers",
];
/// And of a TokenRequest.
const SPEC: &[&str] = &["audiences", "expirationSeconds", "boundObjectRef"];
/// In place of a value.
pub(super) const MASK: &str = "[redacted]";
/// Paths that are listed of one document: a list may hold thousands of Secrets.
const MAX_PATHS: usize = 256;
/// Bytes of one of them.
const MAX_PATH: usize = 1 << 10;

#[cfg(test)]
mod tests;
