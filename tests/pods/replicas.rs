//! What is seen of the replicas: where they are, what they say, what they serve.

use std::collections::BTreeSet;

use crate::support::{eventually, pods::Cluster};

/// Names of the replicas.
pub fn pods(cluster: &Cluster) -> Vec<String> {
    words(cluster, &["get", "pods", "-l", &of_deployment(cluster), "-o", "jsonpath={.items[*].metadata.name}"])
}

/// Where they are.
pub fn nodes(cluster: &Cluster) -> BTreeSet<String> {
    words(cluster, &["get", "pods", "-l", &of_deployment(cluster), "-o", "jsonpath={.items[*].spec.nodeName}"])
        .into_iter()
        .collect()
}

/// Of those that are ready, as kube-apiserver finds them.
pub fn addresses(cluster: &Cluster) -> Vec<String> {
    let ready = "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}";
    words(cluster, &["get", "endpointslices", "-l", "kubernetes.io/service-name=verdict", "-o", ready])
}

/// Labels of its Pods; each way to install it has others.
fn of_deployment(cluster: &Cluster) -> String {
    let labels = "go-template={{range $name, $value := .spec.selector.matchLabels}}{{$name}}={{$value}},{{end}}";
    let labels = cluster.kubectl(&["get", "deployment", "verdict", "--namespace=verdict", "-o", labels]).ok();
    labels.trim_end_matches(',').to_owned()
}

fn words(cluster: &Cluster, args: &[&str]) -> Vec<String> {
    let output = cluster.kubectl(&[&["--namespace=verdict"], args].concat()).ok();
    output.split_whitespace().map(str::to_owned).collect()
}

/// How often each replica was started again.
pub fn restarts(cluster: &Cluster) -> Vec<String> {
    words(
        cluster,
        &[
            "get",
            "pods",
            "-l",
            &of_deployment(cluster),
            "-o",
            "jsonpath={.items[*].status.containerStatuses[*].restartCount}",
        ],
    )
}

/// Waits until those that are ending have ended.
pub fn gone(cluster: &Cluster, replicas: usize) {
    eventually("what was replaced has ended", || match pods(cluster) {
        it if it.len() == replicas => Ok(()),
        it => Err(format!("{it:?}")),
    });
}

/// What a replica's admin listener says, through kube-apiserver.
pub fn raw(cluster: &Cluster, pod: &str, path: &str) -> String {
    let path = format!("/api/v1/namespaces/verdict/pods/{pod}:8080/proxy/{path}");
    cluster.kubectl(&["get", "--raw", &path]).stdout
}

pub fn reviews(cluster: &Cluster, pod: &str) -> u64 {
    let metrics = raw(cluster, pod, "metrics");
    let lines = metrics.lines().filter(|it| it.starts_with("verdict_reviews_total{"));
    lines.filter_map(|it| it.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// What the replicas serve, each set once.
pub fn digests(cluster: &Cluster) -> BTreeSet<String> {
    let digest = |pod: &String| {
        let metrics = raw(cluster, pod, "metrics");
        metrics.lines().find(|it| it.starts_with("verdict_active_set_info{")).unwrap_or_default().to_owned()
    };
    pods(cluster).iter().map(digest).collect()
}
