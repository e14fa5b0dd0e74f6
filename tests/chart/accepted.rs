//! What is rendered is what kube-apiserver takes, strictly, and without a warning.

use serde_json::{Value, json};

use super::{Cluster, RELEASE, chart_file, cluster, documents, helm};
use crate::support::eventually;

#[test]
fn every_object_is_taken_by_kube_apiserver() {
    let (Some(helm), Some(Cluster { plane, .. })) = (helm(), cluster()) else { return };
    for (group, kind) in [
        ("cert-manager.io", "Issuer"),
        ("cert-manager.io", "Certificate"),
        ("monitoring.coreos.com", "ServiceMonitor"),
        ("monitoring.coreos.com", "PrometheusRule"),
    ] {
        plane.kubectl_with(&["apply", "-f", "-"], &of_others(group, kind).to_string()).ok();
    }
    eventually("the definitions of others are served", || {
        let all = plane.kubectl(&["get", "issuers,certificates,servicemonitors,prometheusrules", "--all-namespaces"]);
        if all.success() { Ok(()) } else { Err(all) }
    });
    for values in [
        &[][..],
        &["certificates.mode=\"certManager\""],
        &[
            "certificates.mode=\"certManager\"",
            "certificates.issuerRef={\"name\": \"corporate\", \"kind\": \"ClusterIssuer\"}",
        ],
        &["certificates={\"mode\": \"secret\", \"secretName\": \"tls\"}", "replicas=1", "priorityClassName=\"\""],
        &EVERYTHING,
    ] {
        let rendered = helm.render(values).unwrap();
        assert!(documents(&rendered).len() > 20, "{rendered}");
        let apply = ["apply", "--namespace", RELEASE, "--dry-run=server", "--validate=strict", "-f", "-"];
        let applied = plane.kubectl_with(&apply, &rendered);
        assert!(applied.success() && applied.stderr.is_empty(), "{values:?}: {applied}");
    }
    // In a namespace of its own, since it is against the Pod Security Standards that the other enforces.
    let rendered = helm.run(&["template", "host", super::CHART, "--namespace", "default", "--set", "hostNetwork=true"]);
    plane.kubectl_with(&["apply", "--dry-run=server", "--validate=strict", "-f", "-"], &rendered.unwrap()).ok();
}

#[test]
fn dashboard_and_alerts_are_the_files() {
    let Some(helm) = helm() else { return };
    let dashboard = &helm.objects("ConfigMap", &["metrics.dashboard.enabled=true"])[0];
    assert_eq!(dashboard["data"]["verdict.json"], chart_file("observability/grafana.json"));
    let alerts = &helm.objects("PrometheusRule", &["metrics.alerts.enabled=true"])[0];
    assert_eq!(alerts["spec"], documents(&chart_file("observability/alerts.yaml"))[0]);
}

#[test]
fn a_pod_has_time_to_end_and_memory_for_what_it_may_do() {
    let Some(helm) = helm() else { return };
    let pod = |values: &[&str]| helm.objects("Deployment", values)[0]["spec"]["template"]["spec"].clone();
    let seconds = |pod: &Value| pod["terminationGracePeriodSeconds"].as_i64().unwrap();
    assert_eq!(seconds(&pod(&[])), 5 + 30 + 10);
    assert_eq!(seconds(&pod(&["drainDelaySeconds=20", "graceSeconds=60"])), 20 + 60 + 10);
    let memory = |values: &[&str]| pod(values)["containers"][0]["resources"]["limits"]["memory"].clone();
    // As the README of manifests counts it, and half a GiB for the program.
    assert_eq!(memory(&[]), "2032Mi");
    assert_eq!(memory(&["capacity.guestMemoryMiB=1024"]), "2544Mi");
    assert_eq!(memory(&["resources.limits.memory=\"3Gi\""]), "3Gi");
}

#[test]
fn two_installations_share_no_name() {
    let Some(helm) = helm() else { return };
    let names = |values: &[&str]| {
        let all = documents(&helm.render(values).unwrap());
        let name = |it: &Value| format!("{} {}", it["kind"], it["metadata"]["name"]);
        all.iter().map(name).collect::<std::collections::BTreeSet<_>>()
    };
    let (default, blue) = (names(&[]), names(&["instance=\"blue\""]));
    assert_eq!(default.len(), blue.len());
    assert!(default.is_disjoint(&blue), "{default:?}\n{blue:?}");
    let policy = &helm.objects("Validator", &["instance=\"blue\"", "policies.podSecurity.level=\"baseline\""])[0];
    assert_eq!(policy["metadata"]["labels"]["verdict.dev/instance"], "blue");
}

/// A kind of other projects, of any shape.
fn of_others(group: &str, kind: &str) -> Value {
    let singular = kind.to_lowercase();
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("{singular}s.{group}")},
        "spec": {
            "group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": format!("{singular}s"), "singular": singular},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    })
}

/// All that can be there at the same time.
pub const EVERYTHING: [&str; 23] = [
    "instance=\"blue\"",
    "image={\"repository\": \"registry.example.org:5000/verdict\", \"digest\": \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"}",
    "imagePullSecrets=[{\"name\": \"pull\"}]",
    "includeNamespaces=[\"kube-system\"]",
    "exemptLabel=\"example.org/free\"",
    "namespaced.registries=[\"registry.example.org/teams\"]",
    "namespacedValues.enabled=true",
    "providers.serviceAccounts=[{\"namespace\": \"verdict\", \"name\": \"keeper\"}]",
    "callers={\"secretName\": \"callers\", \"names\": [\"kube-apiserver\"]}",
    "registry={\"configSecret\": \"login\", \"allow\": [\"ghcr.io\"], \"mirrors\": [\"a=b\"], \"plainHttp\": [\"c\"], \"caSecret\": \"ca\", \"refresh\": \"10m\"}",
    "verification={\"apiVersion\": \"v1\", \"allOf\": [{\"kind\": \"pubKey\", \"owner\": \"me\", \"key\": \"-----BEGIN PUBLIC KEY-----\"}]}",
    "resources.limits={\"cpu\": 2}",
    "extraArgs=[\"--require-all\"]",
    "extraEnv=[{\"name\": \"A\", \"value\": \"b: c\"}]",
    "extraVolumes=[{\"name\": \"x\", \"emptyDir\": {}}]",
    "extraVolumeMounts=[{\"name\": \"x\", \"mountPath\": \"/x\"}]",
    "podLabels={\"a\": \"b\"}",
    "tolerations=[{\"operator\": \"Exists\"}]",
    "affinity={\"nodeAffinity\": {}}",
    "networkPolicy={\"adminFrom\": [{\"namespaceSelector\": {}}], \"egress\": [{\"ports\": [{\"protocol\": \"TCP\", \"port\": 4318}]}]}",
    "metrics={\"serviceMonitor\": {\"enabled\": true}, \"alerts\": {\"enabled\": true}, \"dashboard\": {\"enabled\": true}}",
    "serviceAnnotations={\"a\": \"b\"}",
    "policies={\"exemptNamespaces\": [\"kube-public\"], \"podSecurity\": {\"level\": \"baseline\"}, \"requiredLabels\": {\"labels\": [\"team\", {\"key\": \"cost\", \"pattern\": \"^[0-9]+$\"}]}, \"images\": {\"allowedRegistries\": [\"ghcr.io\"]}}",
];
