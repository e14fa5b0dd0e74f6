//! Documents of a kind, right and wrong: a whole one, changed in each place and in combinations.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use verdict::spec::{Kind, schema};

use super::values::{others, places_of, schema_of};

/// A whole document of the kind, and what comes of changing each of its fields.
pub fn documents(kind: Kind) -> Vec<Value> {
    let whole = whole(kind);
    let schema = schema::object(kind);
    let mut changed = Vec::new();
    let mut places = Vec::new();
    places_of(&whole, String::new(), &mut places);
    for place in places {
        // Of the head, kube-apiserver has rules of its own for what is not the object's text.
        if ["", "/metadata", "/metadata/namespace", "/kind", "/apiVersion", "/status"].contains(&place.as_str()) {
            continue;
        }
        let at = whole.pointer(&place).expect("a place");
        for value in others(at, schema_of(schema, &place)) {
            let mut document = whole.clone();
            *document.pointer_mut(&place).expect("a place") = value;
            changed.push(document);
        }
        let (above, name) = place.rsplit_once('/').expect("a pointer");
        if let Some(fields) = whole.pointer(above).and_then(Value::as_object)
            && fields.contains_key(name)
            && place != "/spec"
        {
            let mut document = whole.clone();
            document.pointer_mut(above).and_then(Value::as_object_mut).expect("an object").remove(name);
            changed.push(document);
        }
    }
    changed.extend(special(kind, &whole));
    let seen: BTreeSet<String> = [whole].iter().chain(&changed).map(ToString::to_string).collect();
    seen.iter().map(|it| serde_json::from_str(it).expect("JSON")).collect()
}

/// Every field that the kind has.
pub fn whole(kind: Kind) -> Value {
    let mut spec = json!({
        "expression": "a() && !b()",
        "members": [
            {
                "name": "a", "component": {"image": "registry.example.org/a:1"}, "settings": {"labels": ["team"]},
                "settingsFrom": [{"configMapKeyRef": {"name": "c", "key": "settings"}}],
                "limits": {"timeoutMilliseconds": 500}, "grants": {"env": [{"name": "A", "value": "1"}]},
            },
            {"name": "b", "component": {"builtin": "b"}},
        ],
        "component": {"builtin": "required-labels", "sha256": "0123456789abcdef".repeat(4)},
        "settings": {"labels": ["team"], "deep": {"a": [1, null]}},
        "settingsFrom": [
            {"secretKeyRef": {"name": "s", "key": "settings"}, "path": "/deep/b"},
            {"configMapKeyRef": {"name": "c", "key": "settings"}},
        ],
        "order": 5,
        "limits": {"timeoutMilliseconds": 500, "memory": "64Mi", "fuel": 1000},
        "grants": {"env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "settings"}}}], "log": true, "hostCapabilities": ["crypto/*"]},
        "validationActions": ["Warn", "Audit"],
        "shadow": true,
        "operation": "sample:Guest!Hello",
        "failurePolicy": "Fail",
        "limitPolicy": "Fail",
        "instancePolicy": "Reuse",
        "message": "because",
        "matchConditions": [{"name": "a", "expression": "true"}, {"name": "b", "expression": "1 == 1"}],
        "matchConstraints": {
            "matchPolicy": "Exact",
            "resourceRules": [{
                "apiGroups": ["", "apps"], "apiVersions": ["v1"], "resources": ["pods", "deployments/scale"],
                "operations": ["CREATE", "UPDATE"], "resourceNames": ["a", "b"], "scope": "Namespaced",
            }],
            "excludeResourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "operations": ["*"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "a"}},
            "objectSelector": {
                "matchLabels": {"app": "web"},
                "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}, {"key": "c", "operator": "Exists"}],
            },
        },
    });
    let known = &schema::object(kind)["properties"]["spec"]["properties"];
    spec.as_object_mut().expect("an object").retain(|name, _| known.get(name).is_some());
    let mut metadata = json!({"name": "whole", "labels": {"team": "a"}, "annotations": {"example.com/a": "b"}});
    if kind.is_namespaced() {
        metadata["namespace"] = json!("default");
        spec["matchConstraints"].as_object_mut().expect("an object").remove("namespaceSelector");
    }
    json!({"apiVersion": schema::API_VERSION, "kind": kind.name(), "metadata": metadata, "spec": spec})
}

/// Combinations that no single change makes.
fn special(kind: Kind, whole: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    let mut with = |pointer: &str, value: Value| {
        let mut document = whole.clone();
        if let Some(place) = document.pointer_mut(pointer) {
            *place = value;
            all.push(document);
        }
    };
    for component in [
        json!({"builtin": "pod-security"}),
        json!({"builtin": "Not A Name"}),
        json!({"image": "registry.example.org/a:1"}),
        json!({"url": "https://example.org/a.wasm"}),
        json!({"url": "http://example.org/a.wasm", "sha256": "0".repeat(64)}),
        json!({"url": "https://example.org/a.wasm", "sha256": "0".repeat(64)}),
        json!({"path": "a", "builtin": "b"}),
        json!({"path": null, "builtin": "b"}),
        json!({"image": "a", "url": "https://b", "path": "c", "builtin": "d"}),
        json!({"sha256": "0".repeat(64)}),
    ] {
        with("/spec/component", component);
    }
    for from in [
        json!({"file": "a"}),
        json!({"file": "a", "secretKeyRef": {"name": "s", "key": "settings"}}),
        json!({"configMapKeyRef": {"name": "s", "key": "settings"}, "secretKeyRef": {"name": "s", "key": "settings"}}),
        json!({"configMapKeyRef": {"name": "s", "key": "settings"}, "secretKeyRef": null}),
        json!({"secretKeyRef": {"name": "s"}}),
        json!({"secretKeyRef": {"name": "S", "key": "settings"}}),
        json!({"secretKeyRef": {"name": "a/b", "key": "settings"}}),
        json!({"secretKeyRef": {"name": "a", "key": ".."}}),
        json!({"secretKeyRef": {"name": "a", "key": ".b"}}),
        json!({"secretKeyRef": {"name": "a", "key": "settings", "optional": true}}),
    ] {
        with("/spec/grants/env/1/valueFrom", from.clone());
        with("/spec/settingsFrom/1", from);
    }
    for path in ["", "/", "a", "/a/~0~1", "/~", "/~2", "/a/", "//", &"/a".repeat(32), &"/a".repeat(33), "/ä b"] {
        with("/spec/settingsFrom/0/path", json!(path));
    }
    with("/spec/settingsFrom", Value::Array(vec![whole["spec"]["settingsFrom"][1].clone(); 33]));
    with("/spec/settingsFrom", Value::Array(vec![whole["spec"]["settingsFrom"][1].clone(); 32]));
    with("/spec/matchConstraints/resourceRules/0/scope", json!("Cluster"));
    with("/spec/matchConstraints/excludeResourceRules/0/scope", json!("Cluster"));
    for members in [
        json!([]),
        json!([{"name": "a", "component": {"builtin": "a"}}, {"name": "a", "component": {"builtin": "a"}}]),
        json!([{"name": "a"}]),
        json!([{"name": "a-b", "component": {"builtin": "a"}}]),
        json!([{"name": "_", "component": {"builtin": "a"}}]),
        json!([{"name": "1", "component": {"builtin": "a"}}]),
        json!([{"name": "a", "component": {"builtin": "a"}, "order": 5}]),
    ] {
        with("/spec/members", members);
    }
    for name in ["a", "a.b", "A", "-a", "a-", "", "a_b", "ä", &"a".repeat(63), &"a".repeat(64)] {
        with("/metadata/name", json!(name));
    }
    for memory in [
        json!(1_048_575),
        json!(1_048_576),
        json!(1_073_741_824),
        json!(1_073_741_825),
        json!("1Mi"),
        json!("1023Ki"),
        json!("1Gi"),
        json!("1025Mi"),
        json!("2G"),
        json!("1k"),
        json!("64MB"),
        json!("1.5Gi"),
        json!("-1"),
        json!("+64Mi"),
        json!("1e7"),
        json!("67108864"),
        json!("99999999999999999999"),
        json!("00064Mi"),
        json!("64Mi "),
        json!("500m"),
    ] {
        with("/spec/limits/memory", memory);
    }
    for actions in [
        json!(["Deny"]),
        json!(["Warn"]),
        json!(["Deny", "Audit"]),
        json!(["Deny", "Warn"]),
        json!(["Deny", "Deny"]),
        json!([]),
        json!(["Deny", "Warn", "Audit"]),
        json!(["Audit", "Warn"]),
        json!(["deny"]),
        json!([null]),
    ] {
        with("/spec/validationActions", actions);
    }
    for resources in [
        json!(["*"]),
        json!(["*/*"]),
        json!(["*", "pods"]),
        json!(["*", "pods/status"]),
        json!(["*", "*"]),
        json!(["*/*", "pods"]),
        json!(["pods/*", "pods/status"]),
        json!(["pods/*", "pods"]),
        json!(["pods/*", "deployments/status"]),
        json!(["*/scale", "deployments/scale"]),
        json!(["*/scale", "deployments/status"]),
        json!(["*", "*/scale"]),
        json!(["Pods"]),
        json!([""]),
        json!(["/"]),
        json!(["pods/"]),
        json!(["/status"]),
        json!(["pods/a/b"]),
        json!(["pod s"]),
        json!(["po*"]),
        json!(["pods/*x"]),
        json!(["pods/Status"]),
        json!(["pods", "pods"]),
    ] {
        with("/spec/matchConstraints/resourceRules/0/resources", resources);
    }
    for groups in [
        json!(["*"]),
        json!(["*", "apps"]),
        json!(["apps/v1"]),
        json!([""]),
        json!(["a b"]),
        json!(["a\tb"]),
        json!(["a*"]),
    ] {
        with("/spec/matchConstraints/resourceRules/0/apiGroups", groups.clone());
        with("/spec/matchConstraints/resourceRules/0/apiVersions", groups);
    }
    for operations in [
        json!(["*"]),
        json!(["*", "CREATE"]),
        json!(["create"]),
        json!(["CREATE", "CREATE"]),
        json!(["CONNECT", "DELETE"]),
    ] {
        with("/spec/matchConstraints/resourceRules/0/operations", operations);
    }
    for names in [
        json!(["a", "a"]),
        json!(["."]),
        json!([".."]),
        json!(["..."]),
        json!([".a"]),
        json!(["..a"]),
        json!(["a/b"]),
        json!(["a%b"]),
        json!([""]),
    ] {
        with("/spec/matchConstraints/resourceRules/0/resourceNames", names);
    }
    for expression in [
        json!({"key": "a", "operator": "In"}),
        json!({"key": "a", "operator": "In", "values": []}),
        json!({"key": "a", "operator": "NotIn", "values": ["a", "b"]}),
        json!({"key": "a", "operator": "Exists", "values": []}),
        json!({"key": "a", "operator": "Exists", "values": ["b"]}),
        json!({"key": "a", "operator": "DoesNotExist", "values": ["b"]}),
        json!({"key": "a", "operator": "DoesNotExist", "values": null}),
        json!({"key": "-a", "operator": "Exists"}),
        json!({"key": "a/b/c", "operator": "Exists"}),
        json!({"key": "Example.com/a", "operator": "Exists"}),
        json!({"operator": "In", "values": ["not a value"]}),
    ] {
        with("/spec/matchConstraints/objectSelector/matchExpressions/0", expression.clone());
        with("/spec/matchConstraints/namespaceSelector", json!({"matchExpressions": [expression]}));
    }
    for labels in [
        json!({"-bad": "a"}),
        json!({"a": "not a value"}),
        json!({"a": ""}),
        json!({"a": 1}),
        json!({"": "a"}),
        json!({"A_b.c": "x"}),
    ] {
        with("/spec/matchConstraints/objectSelector/matchLabels", labels.clone());
        with("/metadata/labels", labels);
    }
    for conditions in [
        json!([]),
        json!([{"name": "a", "expression": "true"}, {"name": "a", "expression": "false"}]),
        json!([{"name": "a b", "expression": "true"}]),
        json!([{"name": "example.com/a", "expression": "true"}]),
        json!([{"name": "", "expression": "true"}]),
        json!([{"name": "a", "expression": " \t"}]),
        json!([{"name": "a", "expression": "nothing.here"}]),
        Value::Array((0..64).map(|it| json!({"name": format!("n{it}"), "expression": "true"})).collect()),
        Value::Array((0..65).map(|it| json!({"name": format!("n{it}"), "expression": "true"})).collect()),
    ] {
        with("/spec/matchConditions", conditions);
    }
    for variable in [
        json!({"name": "A", "value": ""}),
        json!({"name": "A", "value": null}),
        json!({"name": "A"}),
        json!({"name": "A", "value": "1", "valueFrom": {"file": "a"}}),
        json!({"name": "A", "valueFrom": {}}),
        json!({"name": "B", "value": "1"}),
        json!({"name": "A=B", "value": "1"}),
        json!({"name": "A B", "value": "1"}),
        json!({"name": "a.b-c", "value": "1"}),
        json!({"name": "", "value": "1"}),
        json!({"name": "A", "value": "a\u{0}b"}),
        json!({"name": "A", "value": "x".repeat(65_536)}),
        json!({"name": "A", "value": "x".repeat(65_537)}),
    ] {
        with("/spec/grants/env/0", variable);
    }
    for message in ["x".repeat(1_024), "x".repeat(1_025), "ä".repeat(1_024), " \n".to_owned(), " a ".to_owned()] {
        with("/spec/message", json!(message));
    }
    for operation in ["x".repeat(256), "x".repeat(257), "ä".repeat(256)] {
        with("/spec/operation", json!(operation));
    }
    for order in [
        json!(-2_147_483_648_i64),
        json!(2_147_483_647),
        json!(2_147_483_648_i64),
        json!(-2_147_483_649_i64),
        json!(1.5),
    ] {
        with("/spec/order", order);
    }
    for fuel in [json!(0), json!(1), json!(9_223_372_036_854_775_807_i64), json!(-1)] {
        with("/spec/limits/fuel", fuel);
    }
    for field in [
        "validationActions",
        "shadow",
        "operation",
        "failurePolicy",
        "limitPolicy",
        "matchConstraints",
        "matchConditions",
        "instancePolicy",
        "message",
    ] {
        let known = schema::object(kind)["properties"]["spec"]["properties"].get(field).is_some();
        let mut spec = whole["spec"].clone();
        if !known {
            spec[field] = json!("x");
            with("/spec", spec);
        }
    }
    all
}
