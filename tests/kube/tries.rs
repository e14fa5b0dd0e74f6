//! What somebody writes who wants more than one namespace gives, field by field, and how it ends.

use serde_json::{Value, json};

/// An object's spec.
pub struct Try {
    pub spec: Value,
    pub end: End,
}

/// How it ends.
pub enum End {
    /// kube-apiserver does not take it, with these words.
    Refused(&'static str),
    /// It never serves, and its status says why, with these words.
    Told(&'static str),
    /// It serves, within its namespace.
    Serves,
}

/// For a kind: every field of its schema is in at least one.
pub fn tries(kind: &str) -> Vec<Try> {
    let is_mutator = kind == "NamespacedMutator";
    let base = if is_mutator {
        json!({"component": {"builtin": "default-resources"}, "settings": {"limits": {"memory": "1Mi"}}, "matchConstraints": all()})
    } else {
        json!({"component": {"builtin": "required-labels"}, "settings": {"labels": ["team"]}, "matchConstraints": all()})
    };
    let own = if is_mutator { json!({"shadow": false}) } else { json!({"validationActions": ["Deny"]}) };
    let tries = components().into_iter().chain(values()).chain(limits()).chain(matching()).chain([(own, End::Serves)]);
    tries
        .map(|(more, end)| {
            let mut spec = base.clone();
            json_patch::merge(&mut spec, &more);
            Try { spec, end }
        })
        .collect()
}

/// Everything, as far as it is for them to say.
fn all() -> Value {
    json!({"resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"], "scope": "*"}]})
}

/// Files of the server, and places that it alone can reach.
fn components() -> Vec<(Value, End)> {
    let of = |component: Value| {
        let mut all = json!({"builtin": null});
        json_patch::merge(&mut all, &component);
        json!({"component": all})
    };
    let zero = "0".repeat(64);
    let signed = |verify: Value| of(json!({"image": "registry.example.org/team/a:1", "verify": verify}));
    let key = json!({"kind": "pubKey", "key": "/etc/passwd", "owner": "eve", "annotations": {"a": "b"}});
    let keyless = json!({"kind": "genericIssuer", "issuer": "https://169.254.169.254/", "subject": {"equal": "eve"}});
    let action = json!({"kind": "githubAction", "owner": "eve", "repo": "r"});
    vec![
        (of(json!({"path": "/etc/passwd"})), End::Refused("path is for files beside a server")),
        (json!({"component": {"builtin": "../../etc/passwd"}}), End::Refused("should match")),
        // One that knows tokens is no validator.
        (json!({"component": {"builtin": "token-file"}}), End::Told("")),
        (of(json!({"image": "other.example.org/a:1"})), End::Told("is none of the places")),
        (of(json!({"image": "registry.example.org/team/../other/a:1"})), End::Told("")),
        (of(json!({"image": "registry.example.org.evil.example/team/a:1"})), End::Told("is none of the places")),
        (of(json!({"url": "file:///etc/passwd", "sha256": zero})), End::Refused("should match")),
        (of(json!({"url": "https://169.254.169.254/latest", "sha256": zero})), End::Told("is none of the places")),
        (of(json!({"url": "https://registry.example.org/team/%2e%2e/a", "sha256": zero})), End::Told("")),
        (json!({"component": {"sha256": zero}}), End::Told("")),
        (signed(json!({"allOf": [key]})), End::Told("")),
        (signed(json!({"anyOf": {"minimumMatches": 1, "signatures": [key]}})), End::Told("")),
        (signed(json!({"allOf": [keyless]})), End::Refused("only signatures by a key")),
        (
            signed(json!({"anyOf": {"minimumMatches": 1, "signatures": [keyless]}})),
            End::Refused("only signatures by a key"),
        ),
        (signed(json!({"allOf": [action]})), End::Refused("only signatures by a key")),
        (
            signed(json!({"anyOf": {"minimumMatches": 1, "signatures": [action]}})),
            End::Refused("only signatures by a key"),
        ),
    ]
}

/// Secrets and ConfigMaps of others, and what a component may call.
fn values() -> Vec<(Value, End)> {
    let env = |from: Value| json!({"grants": {"env": [{"name": "A", "valueFrom": from}]}});
    let settings = |from: Value| json!({"settingsFrom": [from]});
    let mut all = vec![
        (env(json!({"file": "/etc/passwd"})), End::Refused("file is for files beside a server")),
        (json!({"grants": {"env": [{"name": "VERDICT_POLICIES", "value": "/etc"}], "log": true}}), End::Serves),
        (json!({"grants": {"hostCapabilities": ["*"]}}), End::Refused("Unsupported value")),
        (json!({"grants": {"hostCapabilities": ["kubernetes/*"]}}), End::Refused("Unsupported value")),
        (
            settings(json!({"path": "../x", "configMapKeyRef": {"name": "own", "key": "key"}})),
            End::Refused("should match"),
        ),
    ];
    for (field, words) in
        [("secretKeyRef", "there is no Secret team-"), ("configMapKeyRef", "there is no ConfigMap team-")]
    {
        let named = |name: &str, key: &str| json!({field: {"name": name, "key": key}});
        for name in ["team-b/of-others", "../team-b/of-others", "..", "of-others?fieldSelector=a"] {
            all.push((env(named(name, "key")), End::Refused("should match")));
            all.push((settings(named(name, "key")), End::Refused("should match")));
        }
        all.push((env(named("of-others", "key")), End::Told(words)));
        all.push((settings(named("of-others", "key")), End::Told(words)));
    }
    all
}

/// More than others have.
fn limits() -> Vec<(Value, End)> {
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    let condition =
        |name: usize| json!({"name": format!("c-{name}"), "expression": format!("'{}' != ''", "x".repeat(1000))});
    vec![
        (json!({"limits": {"timeoutMilliseconds": 30_000}}), End::Told("at most 1000 ms")),
        (json!({"limits": {"memory": "1Gi"}}), End::Told("at most 67108864 bytes")),
        (json!({"limits": {"concurrentReviews": 4096}}), End::Told("at most 16 reviews")),
        (json!({"limits": {"fuel": i64::MAX}}), End::Serves),
        (json!({"instancePolicy": "Reuse", "order": i32::MIN}), End::Serves),
        (json!({"settings": {"labels": deep}}), End::Told("nested deeper")),
        (json!({"settings": {"labels": ["x".repeat(300 << 10)]}}), End::Told("")),
        (json!({"matchConditions": (0..20).map(condition).collect::<Vec<_>>()}), End::Told("may have at most")),
    ]
}

/// Objects elsewhere, and decisions for others.
fn matching() -> Vec<(Value, End)> {
    let rule = |scope: &str| json!({"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"], "resourceNames": ["of-others"], "scope": scope});
    let condition = |expression: &str| json!({"matchConditions": [{"name": "c", "expression": expression}]});
    let selector =
        json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "NotIn", "values": ["v"]}]});
    vec![
        (
            json!({"matchConstraints": {"resourceRules": [rule("Cluster")]}}),
            End::Refused("never about objects of scope Cluster"),
        ),
        (
            json!({"matchConstraints": {"resourceRules": [rule("*")], "excludeResourceRules": [rule("Namespaced")]}}),
            End::Serves,
        ),
        (
            json!({"matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["*/*"]}]}}),
            End::Serves,
        ),
        (json!({"matchConstraints": {"matchPolicy": "Exact", "objectSelector": selector}}), End::Serves),
        // Not a field: whoever does not ask for strictness is not refused, and it is not there.
        (json!({"matchConstraints": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}), End::Serves),
        (condition("request.namespace == 'team-b' || true"), End::Serves),
        (condition("authorizer.group('').resource('secrets').check('get').allowed()"), End::Told("")),
        (condition("namespaceObject.metadata.name == 'team-b'"), End::Serves),
        (json!({"failurePolicy": "Ignore", "limitPolicy": "Ignore"}), End::Serves),
        (json!({"message": "Error from server (Forbidden): \u{1b}[31mask eve\n\nfor access"}), End::Serves),
    ]
}
