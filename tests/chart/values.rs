//! The values: each does something, wrong ones are refused, and the README of `manifests/` lists them all.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;

use super::{CHART, chart_file, documents, helm};

#[test]
fn every_value_changes_what_is_rendered() {
    let Some(helm) = helm() else { return };
    helm.run(&["lint", "--strict", CHART]).unwrap();
    let told: BTreeSet<&str> = CHANGES.iter().map(|(path, ..)| *path).collect();
    let there = leaves();
    assert_eq!(told, there.iter().map(|it| it.0.as_str()).collect(), "CHANGES and values.yaml");
    let usual = helm.render(&[]).unwrap();
    for (path, with, value, expected) in CHANGES {
        let before = if with.is_empty() {
            usual.clone()
        } else {
            helm.render(with).unwrap_or_else(|error| panic!("{path}: {error}"))
        };
        let set = format!("{path}={value}");
        let after = helm.render(&[*with, &[set.as_str()]].concat()).unwrap_or_else(|error| panic!("{set}: {error}"));
        let (old, new) = (counted(&before), counted(&after));
        let more: Vec<&str> = new.iter().filter(|(line, count)| old.get(*line) < Some(count)).map(|it| *it.0).collect();
        // What is switched off leaves nothing new.
        let holds =
            if expected.is_empty() { after.len() < before.len() } else { more.iter().any(|it| it.contains(expected)) };
        assert!(holds, "{set}: expected {expected}\n{}", more.join("\n"));
    }
}

/// How often each line is there.
fn counted(text: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        *counts.entry(line).or_default() += 1;
    }
    counts
}

#[test]
fn wrong_values_are_refused() {
    let Some(helm) = helm() else { return };
    for (value, told) in [
        ("replica=3", "replica"),
        ("image.name=\"x\"", "name"),
        ("replicas=0", "replicas"),
        ("replicas=\"two\"", "replicas"),
        ("image.digest=\"sha256:1\"", "digest"),
        ("image.repository=\"verdict:1\"", "repository"),
        ("instance=\"Blue\"", "instance"),
        ("instance=\"a'b\"", "instance"),
        ("exemptLabel=\"a b\"", "exemptLabel"),
        ("includeNamespaces=[\"kube system\"]", "includeNamespaces"),
        ("namespaced.timeout=\"soon\"", "timeout"),
        ("namespaced.memory=\"64MB\"", "memory"),
        ("certificates.mode=\"none\"", "mode"),
        ("certificates.mode=\"secret\"", "secretName"),
        ("certificates.issuerRef={\"kind\": \"Issuer\"}", "name"),
        ("callers.names=[\"kube-apiserver\"]", "secretName"),
        ("registry.mirrors=[\"a\"]", "mirrors"),
        ("capacity.connections=1", "connections"),
        ("log.level=\"loud\"", "level"),
        ("extraArgs=[\"serve\"]", "extraArgs"),
        ("address=\"verdict.example.org\"", "address"),
        ("podAnnotations={\"a\": 1}", "podAnnotations"),
        ("policies.podSecurity.level=\"strict\"", "level"),
        ("policies.podSecurity.action=\"Enforce\"", "action"),
        ("policies.requiredLabels.labels=[{\"pattern\": \"a\"}]", "labels"),
    ] {
        let refused = helm.render(&[value]).expect_err(value);
        assert!(
            refused.contains("don't meet the specifications of the schema") && refused.contains(told),
            "{value}: {refused}"
        );
    }
}

/// Every object of the schema refuses what it does not know, except those that are Kubernetes' own.
#[test]
fn the_schema_and_the_values_have_the_same_fields() {
    let schema: Value = serde_json::from_str(&chart_file("values.schema.json")).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    same(&schema, &documents(&chart_file("values.yaml"))[0], "");
}

#[test]
fn the_readme_lists_them_with_their_defaults() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/README.md")).unwrap();
    let (_, rest) = readme.split_once("| value of the chart | default | |\n|---|---|---|\n").expect("the table");
    let rows = rest.lines().take_while(|it| it.starts_with('|'));
    let listed: BTreeSet<(String, String)> = rows
        .flat_map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            // `a.b`, `.c` is a.b and a.c; defaults come in the same order.
            let names = cells[0].split(", ").map(|it| it.trim_matches('`')).collect::<Vec<_>>();
            let defaults = cells[1].split("; ").map(|it| it.trim_matches('`').to_owned()).collect::<Vec<_>>();
            assert_eq!(names.len(), defaults.len(), "{row}");
            let group = names[0].rsplit_once('.').map_or("", |it| it.0);
            let whole = |it: &&str| it.strip_prefix('.').map_or((*it).to_owned(), |it| format!("{group}.{it}"));
            names.iter().map(whole).zip(defaults).collect::<Vec<_>>()
        })
        .collect();
    let there: BTreeSet<(String, String)> = leaves().into_iter().map(|(path, it)| (path, written(&it))).collect();
    let missing: Vec<_> = there.difference(&listed).collect();
    let wrong: Vec<_> = listed.difference(&there).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "the table lacks {missing:?}\nand has {wrong:?}");
}

/// The path of each value, and its default.
fn leaves() -> Vec<(String, Value)> {
    fn walk(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
        match value.as_object().filter(|it| !it.is_empty()) {
            Some(fields) => {
                for (name, value) in fields {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    walk(value, &path, found);
                }
            }
            None => found.push((path.to_owned(), value.clone())),
        }
    }
    let mut found = Vec::new();
    walk(&documents(&chart_file("values.yaml"))[0], "", &mut found);
    found
}

/// As the README has it.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

fn same(schema: &Value, value: &Value, path: &str) {
    let (Some(known), Some(fields)) = (schema["properties"].as_object(), value.as_object()) else { return };
    assert_eq!(schema["additionalProperties"], false, "{path}");
    for (name, value) in fields {
        assert!(known.contains_key(name), "values.schema.json lacks {path}.{name}");
        same(&known[name], value, &format!("{path}.{name}"));
    }
    // Helm's own is passed to charts within charts.
    let unset: Vec<_> = known.keys().filter(|it| !fields.contains_key(*it) && *it != "global").collect();
    assert!(unset.is_empty() || path == ".certificates.issuerRef", "values.yaml lacks {unset:?} in {path}");
}

/// A value, what must be set beside it, another value as JSON, and a part of the lines that come of it; empty where less comes of it.
const CHANGES: &[(&str, &[&str], &str, &str)] = &[
    ("image.repository", &[], "\"r.example.org/v\"", "image: r.example.org/v:0.1.0"),
    ("image.tag", &[], "\"x\"", "image: verdict:x"),
    (
        "image.digest",
        &[],
        "\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"",
        "image: verdict@sha256:00",
    ),
    ("image.pullPolicy", &[], "\"Always\"", "imagePullPolicy: Always"),
    ("imagePullSecrets", &[], "[{\"name\": \"pull\"}]", "- name: pull"),
    ("instance", &[], "\"blue\"", "- --instance=blue"),
    ("replicas", &[], "3", "replicas: 3"),
    ("includeNamespaces", &[], "[\"kube-system\"]", "- --include-namespace=kube-system"),
    ("exemptLabel", &[], "\"a.example/b\"", "- --exempt-label=a.example/b"),
    ("namespaced.timeout", &[], "\"2s\"", "- --namespaced-timeout=2s"),
    ("namespaced.memory", &[], "\"1Mi\"", "- --namespaced-memory=1Mi"),
    ("namespaced.reviews", &[], "3", "- --namespaced-reviews=3"),
    ("namespaced.policies", &[], "3", "- --namespaced-policies=3"),
    ("namespaced.registries", &[], "[\"ghcr.io/a\"]", "- --namespaced-registry=ghcr.io/a"),
    ("namespacedValues.enabled", &[], "true", "any Secret of the cluster"),
    (
        "providers.serviceAccounts",
        &[],
        "[{\"namespace\": \"a\", \"name\": \"keeper\"}]",
        "resourceNames: [keeper], verbs: [impersonate]",
    ),
    ("checkReferences", &[], "false", ""),
    ("certificates.mode", &[], "\"certManager\"", "- --ca-file=/tls/ca.crt"),
    (
        "certificates.secretName",
        &["certificates={\"mode\": \"secret\", \"secretName\": \"a\"}"],
        "\"b\"",
        "secretName: b",
    ),
    ("certificates.issuerRef", &["certificates.mode=\"certManager\""], "{\"name\": \"corporate\"}", "name: corporate"),
    ("certificates.duration", &["certificates.mode=\"certManager\""], "\"24h\"", "duration: 24h"),
    ("callers.secretName", &[], "\"callers\"", "- --client-ca=/callers/ca.crt"),
    ("callers.names", &["callers.secretName=\"callers\""], "[\"kube\"]", "- --client-name=kube"),
    ("registry.configSecret", &[], "\"login\"", "- --registry-config=/registry/.dockerconfigjson"),
    ("registry.allow", &[], "[\"ghcr.io\"]", "- --registry-allow=ghcr.io"),
    ("registry.mirrors", &[], "[\"a=b\"]", "- --registry-mirror=a=b"),
    ("registry.plainHttp", &[], "[\"a:5000\"]", "- --registry-plain-http=a:5000"),
    ("registry.caSecret", &[], "\"ca\"", "- --registry-ca=/registry-ca/ca.crt"),
    ("registry.refresh", &[], "\"10m\"", "- --registry-refresh=10m"),
    ("verification", &[], "{\"apiVersion\": \"v1\"}", "- --verification-config=/verification/verification-config.yml"),
    ("capacity.instances", &[], "65", "- --max-instances=65"),
    ("capacity.guestMemoryMiB", &[], "1024", "- --guest-memory=1024"),
    ("capacity.bodiesMiB", &[], "256", "- --max-bodies=256"),
    ("capacity.connections", &[], "1024", "- --max-connections=1024"),
    ("capacity.cacheSize", &[], "\"2Gi\"", "sizeLimit: 2Gi"),
    ("resources.requests.cpu", &[], "\"1\"", "cpu: \"1\""),
    ("resources.requests.memory", &[], "\"1Gi\"", "memory: 1Gi"),
    ("resources.limits", &[], "{\"memory\": \"4Gi\"}", "memory: 4Gi"),
    ("drainDelaySeconds", &[], "7", "- --drain-delay=7s"),
    ("graceSeconds", &[], "31", "- --grace=31s"),
    ("log.format", &[], "\"text\"", "- --log-format=text"),
    ("log.level", &[], "\"debug\"", "- --log-level=debug"),
    ("extraArgs", &[], "[\"--require-all\"]", "- \"--require-all\""),
    ("extraEnv", &[], "[{\"name\": \"A\", \"value\": \"b\"}]", "- name: A"),
    ("extraVolumes", &[], "[{\"name\": \"more\", \"emptyDir\": {}}]", "name: more"),
    ("extraVolumeMounts", &[], "[{\"name\": \"more\", \"mountPath\": \"/more\"}]", "mountPath: /more"),
    ("ports.https", &[], "9443", "containerPort: 9443"),
    ("ports.admin", &[], "9080", "containerPort: 9080"),
    ("address", &[], "\"0.0.0.0\"", "- --bind=0.0.0.0:8443"),
    ("hostNetwork", &[], "true", "hostNetwork: true"),
    ("podAnnotations", &[], "{\"a\": \"b\"}", "a: b"),
    ("podLabels", &[], "{\"a\": \"b\"}", "a: b"),
    ("nodeSelector", &[], "{\"a\": \"b\"}", "a: b"),
    ("tolerations", &[], "[{\"operator\": \"Exists\"}]", "- operator: Exists"),
    ("affinity", &[], "{\"nodeAffinity\": {}}", "nodeAffinity: {}"),
    ("topologySpreadConstraints", &[], "[{\"topologyKey\": \"rack\"}]", "topologyKey: rack"),
    ("priorityClassName", &[], "\"mine\"", "priorityClassName: mine"),
    ("priorityQuota", &[], "false", ""),
    ("serviceAnnotations", &[], "{\"a\": \"b\"}", "a: b"),
    ("podDisruptionBudget.enabled", &[], "false", ""),
    ("podDisruptionBudget.maxUnavailable", &[], "\"50%\"", "maxUnavailable: 50%"),
    ("networkPolicy.enabled", &[], "false", ""),
    ("networkPolicy.adminFrom", &[], "[{\"podSelector\": {}}]", "- podSelector: {}"),
    ("networkPolicy.egress", &[], "[{\"ports\": [{\"port\": 4318}]}]", "- port: 4318"),
    ("networkPolicy.egressPorts", &[], "[8443]", "{protocol: TCP, port: 8443}"),
    ("metrics.serviceMonitor.enabled", &[], "true", "kind: ServiceMonitor"),
    ("metrics.serviceMonitor.interval", &["metrics.serviceMonitor.enabled=true"], "\"1m\"", "interval: 1m"),
    ("metrics.serviceMonitor.labels", &["metrics.serviceMonitor.enabled=true"], "{\"a\": \"b\"}", "a: b"),
    ("metrics.alerts.enabled", &[], "true", "kind: PrometheusRule"),
    ("metrics.alerts.labels", &["metrics.alerts.enabled=true"], "{\"a\": \"b\"}", "a: b"),
    ("metrics.dashboard.enabled", &[], "true", "name: verdict-dashboard"),
    (
        "metrics.dashboard.labels.grafana_dashboard",
        &["metrics.dashboard.enabled=true"],
        "\"2\"",
        "grafana_dashboard: \"2\"",
    ),
    ("crds.upgrade", &[], "false", ""),
    ("unregister", &[], "false", ""),
    ("policies.exemptNamespaces", &["policies.podSecurity.level=\"baseline\""], "[\"free\"]", "values: [\"free\"]"),
    ("policies.podSecurity.level", &[], "\"baseline\"", "name: pod-security"),
    (
        "policies.podSecurity.action",
        &["policies.podSecurity.level=\"baseline\""],
        "\"Deny\"",
        "validationActions: [Deny]",
    ),
    ("policies.podSecurity.version", &["policies.podSecurity.level=\"baseline\""], "\"v1.30\"", "version: \"v1.30\""),
    ("policies.requiredLabels.labels", &[], "[\"team\"]", "- team"),
    (
        "policies.requiredLabels.action",
        &["policies.requiredLabels.labels=[\"team\"]"],
        "\"Warn\"",
        "validationActions: [Warn]",
    ),
    ("policies.images.allowedRegistries", &[], "[\"ghcr.io\"]", "- ghcr.io"),
    ("policies.images.forbidLatest", &[], "true", "forbidLatest: true"),
    ("policies.images.requireDigest", &[], "true", "requireDigest: true"),
    ("policies.images.action", &["policies.images.forbidLatest=true"], "\"Deny\"", "validationActions: [Deny]"),
];
