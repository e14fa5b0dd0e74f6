//! What holds of any bytes: they may be refused, and nothing else may happen. For the fuzz targets, the corpora and the property tests.

#![allow(dead_code, reason = "each target needs one of them")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "what does not hold is told by panicking")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use verdict::{
    cel::{Budget, Expression, Subject, Variables},
    component::{manifest, protocol},
    config,
    observe::Rules,
    review::{
        access::{self, Decision, Ruling},
        admission::{self, Change},
        patch::{self, PatchError, Work},
        token,
        verdict::{AdmissionVerdict, TokenVerdict},
    },
    signature::{Signature, artifact, bundle, key::PublicKey, simple::Simple},
    text,
};

/// A review that is taken is JSON, and its answer is one for it.
pub fn reviews(bytes: &[u8]) {
    if let Ok(envelope) = token::decode(bytes) {
        let answer =
            json_of(&token::encode(envelope.version, &envelope.review, &TokenVerdict::Unauthenticated { error: None }));
        assert_eq!(answer["kind"], "TokenReview");
        assert_ne!(answer["status"]["authenticated"], true);
        json_of(bytes);
    }
    if let Ok(envelope) = access::decode(bytes) {
        let ruling = Ruling { decision: Decision::NoOpinion, reason: String::new() };
        let answer = json_of(&access::encode(envelope.version, &ruling));
        assert_eq!((&answer["kind"], &answer["status"]["allowed"]), (&json!("SubjectAccessReview"), &json!(false)));
        assert!(envelope.review.spec_json().is_object());
    }
    if let Ok(envelope) = admission::decode(bytes) {
        let request = &envelope.review;
        let answer = json_of(&admission::encode(envelope.version, request, &AdmissionVerdict::default()));
        assert_eq!(answer["response"]["uid"], request.uid.as_str());
        assert_eq!(answer["response"]["allowed"], true);
        let asked = request.request_json();
        // What is empty may be left out.
        let named = ["name", "namespace"].map(|it| asked[it].as_str().unwrap_or_default());
        assert_eq!(named, [&*request.name, &*request.namespace]);
        for object in [request.object, request.old_object].into_iter().flatten() {
            let _ = patch::parse(object.get(), patch::PatchText::Object);
        }
    }
    let _ = admission::decode_raw(bytes);
}

/// Declared objects: read, or refused with words that say where.
pub fn objects(bytes: &[u8]) {
    let Ok(yaml) = std::str::from_utf8(bytes) else { return };
    match config::parse(yaml, "fuzz.yaml", Path::new("/nowhere")) {
        Ok(specs) => specs.iter().for_each(|it| assert!(!it.name.is_empty())),
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                let words = error.to_string();
                assert!(words.starts_with("fuzz.yaml") && !error.message.is_empty(), "{words}");
            }
        }
    }
}

/// An object, a line feed, another object or a change of the first. A patch from one to the other gives the other.
pub fn patches(bytes: &[u8]) {
    let Ok(both) = std::str::from_utf8(bytes) else { return };
    let Some((old, new)) = both.split_once('\n') else { return };
    let late = || Work::until(Instant::now() + PATIENCE);
    for change in [Change::JsonPatch(new.to_owned()), Change::MergePatch(new.to_owned()), Change::Full(new.to_owned())]
    {
        if let Ok(Some(changed)) = patch::apply(old, &change, &mut late()) {
            assert!(json_of(changed.as_bytes()).is_object());
            there_and_back(old, &changed);
            let (at_once, patch) = patch::apply_and_patch(old, &change, &mut late()).unwrap().unwrap();
            assert_eq!((&at_once, patch), (&changed, patch::between(old, &changed, &mut late()).unwrap_or_default()));
        }
    }
    there_and_back(old, new);
}

fn there_and_back(old: &str, new: &str) {
    let late = || Work::until(Instant::now() + PATIENCE);
    match patch::between(old, new, &mut late()) {
        Ok(Some(change)) => {
            let there = patch::apply(old, &Change::JsonPatch(change.clone()), &mut late());
            let there = there.unwrap_or_else(|error| panic!("{change} on {old}: {error}"));
            let there = there.unwrap_or_else(|| panic!("{change} changes nothing of {old}"));
            // Equal in value: there is nothing left to change.
            assert_eq!(patch::between(&there, new, &mut late()), Ok(None), "{old} {change} {there}");
        }
        Ok(None) => assert_eq!(patch::between(new, old, &mut late()), Ok(None), "{old} {new}"),
        Err(error) => {
            assert!(!matches!(error, PatchError::OutOfTime), "{old} {new}");
        }
    }
}

/// An expression that compiles gives the same value twice, within its budget.
pub fn cel(bytes: &[u8]) {
    let Ok(expression) = std::str::from_utf8(bytes) else { return };
    for subject in [Subject::Admission, Subject::SubjectAccessReview] {
        let Ok(compiled) = Expression::compile(expression, subject) else { continue };
        let variables = variables(subject);
        let show =
            || compiled.show(&variables, &mut Budget::new(Instant::now() + PATIENCE)).map_err(|it| it.to_string());
        assert_eq!(show(), show(), "{expression}");
    }
}

fn variables(subject: Subject) -> Variables {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"k": "v"}});
    let request = json!({"name": "a", "namespace": "b", "operation": "CREATE", "userInfo": {"username": "jane", "groups": ["g"]}});
    match subject {
        Subject::Admission => Variables::new(request).with_object(Some(object)),
        _ => Variables::new(json!({"user": "jane", "groups": ["g"]})),
    }
}

/// A module or a component, or neither: what it says of itself is read or refused.
pub fn modules(bytes: &[u8]) {
    let _ = protocol::is_component(bytes);
    let _ = protocol::recognise(bytes);
    let _ = manifest::embedded(bytes);
}

/// A manifest, a bundle, a key, or a signature in base64 with what it signs in the next line: read or refused, and only what cosign
/// signed is by its key.
pub fn signatures(bytes: &[u8]) {
    for layer in artifact::layers(bytes).unwrap_or_default() {
        assert!(layer.size <= 1 << 20);
    }
    if let Ok(signature) = bundle::read(bytes) {
        is_cosigns(&signature);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some((signature, payload)) = text.split_once('\n') {
        let signature = STANDARD.decode(signature).unwrap_or_default();
        if let Ok(signature) = (Simple { payload: payload.into(), signature }).read() {
            is_cosigns(&signature);
        }
    }
    match PublicKey::from_pem(text) {
        Ok(key) => assert_eq!(PublicKey::from_pem(&key.pem()), Ok(key)),
        Err(error) => {
            let words = error.to_string();
            assert!(!words.contains(text::is_hostile) && words.len() < 400, "{words:?}");
        }
    }
}

fn is_cosigns(signature: &Signature) {
    let key = PublicKey::from_pem(include_str!("../signatures/ecdsa/key.pub")).unwrap();
    let [first, ..] = signature.subjects() else { panic!("it is about nothing") };
    if signature.is_by(&key) {
        let signed = "db72625ad82b5f69f01502fab662898c9c016e352ea1bcdf7c459ecd2956a180";
        assert_eq!((first.digest.to_string().as_str(), first.annotations.len()), (signed, 0));
    }
}

/// Text from a guest is harmless in a log, on a terminal, in JSON.
pub fn texts(bytes: &[u8]) {
    let said = String::from_utf8_lossy(bytes);
    let line = text::line(&said);
    assert!(!line.contains(text::is_hostile) && !line.contains('\n'), "{line:?}");
    assert_eq!(text::line(&line), line, "cleaning twice changes nothing");
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

/// Nothing here takes as long on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What nobody may read is gone at once: a second look finds nothing, and each path leads to nothing any more.
pub fn redaction(bytes: &[u8]) {
    let Ok(mut review) = serde_json::from_slice::<Value>(bytes) else { return };
    let rules = Rules::new(&["key".to_owned()]);
    let told = rules.review(&mut review, "");
    for path in &told.erased {
        assert!(review.pointer(path).is_none_or(Value::is_null), "{path} in {review}");
    }
    assert!(review.pointer("/spec/token").is_none());
    let before = review.clone();
    let again = rules.review(&mut review, "").erased;
    assert!(again.is_empty(), "{again:?} in {before}");
    assert_eq!(review, before);
}
