use std::cell::RefCell;

use serde_json::json;

use super::*;
use crate::{
    config,
    spec::{Kind, ValueKind},
};

fn object(kind: &str, spec: Json) -> Json {
    let mut metadata = json!({
        "name": "p", "uid": "u", "generation": 3, "annotations": {"Example.com/UPPER": "x"}, "zzz": {"deep": []},
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
    });
    if kind.starts_with("Namespaced") {
        metadata["namespace"] = json!("team-a");
    }
    let mut object = json!({
        "apiVersion": "verdict.dev/v1alpha1", "kind": kind, "metadata": metadata,
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "zzz": 1},
    });
    object["spec"] = spec;
    object
}

/// Secret s has password, ConfigMap c has settings; nothing else is there.
fn values(reference: &ValueRef) -> Result<String, String> {
    match (reference.kind, &*reference.name, &*reference.key) {
        (ValueKind::Secret, "s", "password") => Ok("hunter2\n".to_owned()),
        (ValueKind::ConfigMap, "c", "settings") => Ok("a: {b: 2}\nc: [1.10]\n".to_owned()),
        (ValueKind::Secret, "s", "broken") => Ok("hunter2: [".to_owned()),
        (ValueKind::Secret, "s", "zero") => Ok("hunter2\0".to_owned()),
        (ValueKind::Secret, "s", "large") => Ok("hunter2".repeat(20_000)),
        (ValueKind::Secret, "s", "huge") => Ok("hunter2".repeat(200_000)),
        _ => Err("there is no such key".to_owned()),
    }
}

fn wanted(object: &Json) -> Vec<ValueRef> {
    let kind = Kind::ALL.into_iter().find(|it| object["kind"] == it.name());
    config::wanted(kind.unwrap_or(Kind::Validator), &object["spec"])
}

fn read(kind: &str, spec: Json) -> Result<PolicySpec, String> {
    capped_by(kind, spec, &NamespacedCaps::default())
}

fn capped_by(kind: &str, spec: Json, caps: &NamespacedCaps) -> Result<PolicySpec, String> {
    let object = object(kind, spec);
    cluster(&object, &values, caps).map_err(|wrong| wrong.iter().map(|it| format!("{it}\n")).collect())
}

fn refers(field: &str, name: &str, key: &str) -> Json {
    json!({field: {"name": name, "key": key}})
}

#[test]
fn an_object_is_read_with_its_values() {
    let secret = || refers("secretKeyRef", "s", "password");
    let mut at = secret();
    at["path"] = json!("/db/password");
    let spec = read(
        "NamespacedValidator",
        json!({
            "component": {"builtin": "required-labels"},
            "settings": {"a": {"x": 1, "b": 1}, "c": 5},
            "settingsFrom": [refers("configMapKeyRef", "c", "settings"), at],
            "grants": {"env": [{"name": "P", "valueFrom": secret()}]},
        }),
    )
    .unwrap();
    assert_eq!((spec.kind, &*spec.name, &*spec.source), (Some(Kind::NamespacedValidator), "team-a/p", "cluster"));
    assert_eq!(spec.title(), "NamespacedValidator team-a/p");
    assert_eq!(spec.matching.only_namespace.as_deref(), Some("team-a"));
    // As they are, the line break too: that is what Kubernetes gives containers.
    assert_eq!(spec.grants.env["P"], "hunter2\n");
    let settings = r#"{"a":{"b":2,"x":1},"c":[1.10],"db":{"password":"hunter2\n"}}"#;
    assert_eq!(spec.settings.as_deref(), Some(settings));
    assert!(spec.settings_lines.is_empty() && spec.files.is_empty());
    assert_eq!(spec.place_of_setting("/a"), "cluster");
    assert!(!format!("{spec:?}").contains("hunter2"));
}

#[test]
fn what_is_wrong_has_its_field_and_no_value() {
    let component = || json!({"builtin": "required-labels"});
    let settings_from = |it: Json| json!({"component": component(), "settings": {"t": "x"}, "settingsFrom": [it]});
    let env = |it: Json| json!({"component": component(), "grants": {"env": [{"name": "P", "valueFrom": it}]}});
    let mut through = refers("secretKeyRef", "s", "password");
    through["path"] = json!("/t/deeper");
    for (spec, expected) in [
        (json!({"component": {"path": "/etc/passwd"}}), "cluster: Validator p: spec.component: path is for files"),
        (env(json!({"file": "/etc/passwd"})), "spec.grants.env[0].valueFrom: file is for files beside a server"),
        (env(json!({})), "spec.grants.env[0].valueFrom: expected exactly one of"),
        (
            env(refers("secretKeyRef", "../s", "password")),
            "valueFrom.secretKeyRef.name: expected the name of an object",
        ),
        (env(refers("secretKeyRef", "s", "..")), "valueFrom.secretKeyRef.key: expected a key"),
        (env(refers("secretKeyRef", "t", "x")), "spec.grants.env[0].valueFrom.secretKeyRef: there is no such key"),
        (env(refers("secretKeyRef", "s", "zero")), "valueFrom.secretKeyRef: it holds a zero byte"),
        (env(refers("secretKeyRef", "s", "large")), "valueFrom.secretKeyRef: it is larger than 65536 bytes"),
        (settings_from(refers("secretKeyRef", "s", "broken")), "spec.settingsFrom[0].secretKeyRef: expected a mapping"),
        (settings_from(refers("secretKeyRef", "s", "password")), "settingsFrom[0].secretKeyRef: expected a mapping"),
        (settings_from(refers("secretKeyRef", "s", "huge")), "secretKeyRef: it is larger than 1048576 bytes"),
        (settings_from(through), "spec.settingsFrom[0].path: it leads through a setting"),
        (settings_from(json!({"path": "/a"})), "spec.settingsFrom[0]: expected either secretKeyRef or configMapKeyRef"),
        (
            settings_from(json!({"path": "a", "secretKeyRef": {"name": "s", "key": "password"}})),
            "path: expected a JSON Pointer",
        ),
        (json!({"component": component(), "zzz": 1}), "spec.zzz: is not a field"),
        (json!({"component": {"builtin": "x", "sha256": "0"}}), "spec.component.sha256: expected 64 hex digits"),
    ] {
        let wrong = read("Validator", spec.clone()).unwrap_err();
        assert!(wrong.contains(expected), "{spec}: {wrong}");
        assert!(!wrong.contains("hunter2") && !wrong.contains("cluster:0"), "{wrong}");
    }
}

#[test]
fn a_selector_may_name_any_label_here() {
    let spec = json!({
        "component": {"builtin": "required-labels"},
        "matchConstraints": {"namespaceSelector": {"matchLabels": {"team": "a"}}},
    });
    let selector = read("Validator", spec.clone()).unwrap().matching.namespace_selector.unwrap();
    assert_eq!(selector.match_labels["team"], "a");
    let wrong = read("NamespacedValidator", spec).unwrap_err();
    let expected = "spec.matchConstraints.namespaceSelector: is not a field of NamespacedValidator, which is asked about its own namespace";
    assert!(wrong.contains(expected), "{wrong}");
}

#[test]
fn a_kind_belongs_to_a_namespace_or_does_not() {
    let component = json!({"component": {"builtin": "required-labels"}});
    let read = |kind: &str, namespace: Json| {
        let mut object = object(kind, component.clone());
        object["metadata"]["namespace"] = namespace;
        cluster(&object, &values, &NamespacedCaps::default()).map_err(|wrong| wrong[0].to_string())
    };
    assert!(read("Validator", json!(null)).is_ok() && read("NamespacedMutator", json!("a-1")).is_ok());
    let wrong = read("Validator", json!("team-a")).unwrap_err();
    assert!(wrong.contains("metadata.namespace: is not a field: a Validator belongs to no namespace"), "{wrong}");
    let wrong = read("NamespacedMutator", json!(null)).unwrap_err();
    assert!(wrong.contains("metadata.namespace: is required"), "{wrong}");
    for namespace in ["", "A", "a/b", "a.b", "-a", "..", &"a".repeat(64)] {
        let wrong = read("NamespacedMutator", json!(namespace)).unwrap_err();
        assert!(wrong.contains("metadata.namespace: expected at most 63"), "{namespace}: {wrong}");
    }
}

#[test]
fn namespaced_policies_have_no_more_than_the_caps() {
    let caps = NamespacedCaps {
        time: Duration::from_millis(200),
        memory: 8 << 20,
        reviews: 4,
        registries: Some(vec!["registry.example.org/team".parse().unwrap()]),
    };
    let of = |component: Json, limits: Json| {
        capped_by("NamespacedMutator", json!({"component": component, "limits": limits}), &caps)
    };
    let builtin = || json!({"builtin": "x"});
    let spec = of(builtin(), json!({})).unwrap();
    assert_eq!((spec.limits.time, spec.limits.memory, spec.limits.concurrent), (caps.time, caps.memory, Some(4)));
    let spec = of(builtin(), json!({"timeoutMilliseconds": 200, "memory": "8Mi", "concurrentReviews": 3})).unwrap();
    assert_eq!(spec.limits.concurrent, Some(3));
    for (limits, expected) in [
        (
            json!({"timeoutMilliseconds": 201}),
            "spec.limits.timeoutMilliseconds: namespaced policies may take at most 200 ms here; got 201",
        ),
        (json!({"memory": "9Mi"}), "spec.limits.memory: namespaced policies may have at most 8388608 bytes here"),
        (
            json!({"concurrentReviews": 5}),
            "spec.limits.concurrentReviews: namespaced policies may have at most 4 reviews at the same time here; got 5",
        ),
        (json!({"memory": 8_388_609}), "spec.limits.memory: namespaced policies may have at most"),
    ] {
        let wrong = of(builtin(), limits).unwrap_err();
        assert!(wrong.contains(expected), "{wrong}");
    }
    let url = |it: &str| json!({"url": it, "sha256": "0".repeat(64)});
    let image = |it: &str| json!({"image": it});
    for good in [image("registry.example.org/team/labels:1"), url("https://registry.example.org/team/a.wasm")] {
        assert!(of(good.clone(), json!({})).is_ok(), "{good}");
    }
    for wrong in [
        image("registry.example.org/other/labels:1"),
        image("registry.example.org/teams/labels:1"),
        image("other.example.org/team/labels:1"),
        image("registry.example.org:5000/team/labels:1"),
        url("https://registry.example.org/team/%2e%2e/a.wasm"),
        url("https://registry.example.org:8443/team/a.wasm"),
        url("https://169.254.169.254/team/a.wasm"),
    ] {
        let said = of(wrong.clone(), json!({})).unwrap_err();
        assert!(said.contains("is none of the places that namespaced policies may name"), "{wrong}: {said}");
    }
    for (granted, good) in
        [("crypto/*", true), ("*", false), ("kubernetes/*", false), ("net/v1/dns_lookup_host", false)]
    {
        let spec = json!({"component": builtin(), "grants": {"hostCapabilities": [granted]}});
        assert_eq!(read("NamespacedValidator", spec.clone()).is_ok(), good, "{granted}");
        assert!(read("Validator", spec).is_ok(), "{granted}");
    }
    // Nobody else is held to that.
    let limits = json!({"timeoutMilliseconds": 30_000, "memory": "1Gi", "concurrentReviews": 4096});
    let spec = json!({"component": image("other.example.org/a:1"), "limits": limits});
    assert!(capped_by("Mutator", spec.clone(), &caps).is_ok());
    let none = NamespacedCaps { registries: Some(Vec::new()), ..NamespacedCaps::default() };
    assert!(capped_by("NamespacedMutator", json!({"component": image("other.example.org/a:1")}), &none).is_err());
}

#[test]
fn what_is_wanted_is_known_before_anything_is_read() {
    let key = |kind, name: &str, key: &str| ValueRef::new(kind, name, key).unwrap();
    let run = json!({
        "component": {"builtin": "x"},
        "grants": {"env": [
            {"name": "A", "valueFrom": refers("secretKeyRef", "s", "password")},
            {"name": "B", "valueFrom": refers("secretKeyRef", "../other/s", "password")},
            {"name": "C", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}, "configMapKeyRef": {"name": "x", "key": "y"}}},
            {"name": "D", "value": "1"},
            5,
        ]},
        "settingsFrom": [refers("configMapKeyRef", "c", "settings"), refers("secretKeyRef", "s", "password"), null],
    });
    let both = [key(ValueKind::ConfigMap, "c", "settings"), key(ValueKind::Secret, "s", "password")];
    assert_eq!(wanted(&object("Validator", run.clone())), both);
    assert_eq!(wanted(&object("PolicyGroup", json!({"members": [run.clone(), run.clone()]}))), both);
    assert!(wanted(&object("PolicyGroup", run)).is_empty());
    // And nothing else is asked for when it is read.
    let asked = RefCell::new(Vec::new());
    let ask = |it: &ValueRef| {
        asked.borrow_mut().push(it.clone());
        Ok("a: 1".to_owned())
    };
    let mut member = json!({"name": "a", "component": {"builtin": "x"}, "settingsFrom": [refers("configMapKeyRef", "c", "settings")]});
    member["grants"] = json!({"env": [{"name": "A", "valueFrom": refers("secretKeyRef", "s", "password")}]});
    let group = object("PolicyGroup", json!({"expression": "a()", "members": [member]}));
    let spec = cluster(&group, &ask, &NamespacedCaps::default()).unwrap();
    assert_eq!((spec.members()[0].settings.as_deref(), &*spec.members()[0].name), (Some(r#"{"a":1}"#), "p/a"));
    asked.borrow_mut().sort();
    assert_eq!(*asked.borrow(), wanted(&group));
}

/// Whatever stands where something else is expected.
#[test]
fn no_object_is_more_than_an_error() {
    let whole = object(
        "PolicyGroup",
        json!({
            "expression": "a()",
            "members": [{
                "name": "a", "component": {"builtin": "x"}, "settings": {"a": 1},
                "settingsFrom": [{"secretKeyRef": {"name": "s", "key": "password"}, "path": "/a/b"}],
                "grants": {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "settings"}}}]},
            }],
        }),
    );
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let strange = [
        json!(null),
        json!(true),
        json!(-1.5),
        json!(""),
        json!("\u{0}/../ä"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"": {"": null}}),
        deep,
    ];
    fn places(value: &Json, at: String, found: &mut Vec<String>) {
        let below = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        match value {
            Json::Object(fields) => fields.iter().for_each(|(name, it)| places(it, below(name), found)),
            Json::Array(items) => {
                items.iter().enumerate().for_each(|(index, it)| places(it, below(&index.to_string()), found))
            }
            _ => {}
        }
        found.push(at);
    }
    let mut found = Vec::new();
    places(&whole, String::new(), &mut found);
    let mut refused = 0;
    for place in found {
        for value in &strange {
            let mut object = whole.clone();
            *object.pointer_mut(&place).unwrap() = value.clone();
            wanted(&object);
            match cluster(&object, &values, &NamespacedCaps::default()) {
                Ok(_) => {}
                Err(wrong) => {
                    refused += 1;
                    assert!(!wrong.is_empty(), "{place} {value}");
                }
            }
        }
    }
    assert!(refused > 200, "{refused}");
    let many = json!(vec![0; 100_001]);
    let wrong = read("Validator", json!({"component": {"builtin": "x"}, "settings": {"a": many}})).unwrap_err();
    assert!(wrong.contains("holds more values, or is nested deeper"), "{wrong}");
}
