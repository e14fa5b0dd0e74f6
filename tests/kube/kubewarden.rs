//! Webhook configurations as Kubewarden's controller writes them, one for each policy, pointed at Verdict with the same `policies.yml`.

use std::fs;

use serde_json::json;

use super::{
    cluster::cluster,
    labels,
    registration::{Namespaces, rules, webhook, webhooks},
};
use crate::{
    modules::annotate,
    support::{fixtures, processes::folder, verdict::Verdict},
};

#[test]
fn its_webhooks_are_answered_as_by_its_own_server() {
    let Some(cluster) = cluster() else { return };
    let folder = folder("kubewarden");
    let metadata = json!({"mutating": true, "protocolVersion": "v1", "executionMode": "kubewarden-wapc"}).to_string();
    let module = annotate(&fs::read(fixtures::module("kubewarden_wapc")).unwrap(), &metadata);
    fs::write(folder.join("policy.wasm"), module).unwrap();
    let policies = "clusterwide-labels:\n  namespacedName: {Namespace: '', Name: labels}\n  module: file://policy.wasm\n  \
                    policyMode: protect\n  settings: {labels: [team]}\nclusterwide-change:\n  module: file://policy.wasm\n  \
                    allowedToMutate: true\n";
    let verdict = Verdict::serve(&cluster.pki, &folder, policies, &[]);
    let plane = &cluster.plane;
    for (kind, id) in [("Mutating", "clusterwide-change"), ("Validating", "clusterwide-labels")] {
        let webhook = webhook(
            &format!("{id}.kubewarden.admission"),
            &cluster.pki,
            &verdict,
            &format!("/validate/{id}"),
            Namespaces::Only("kubewarden"),
            &rules("", "v1", "configmaps"),
        );
        plane.kubectl_with(&["apply", "-f", "-"], &webhooks(kind, id, &[webhook])).ok();
    }
    cluster.namespace("kubewarden");
    let create = |labels| labels::create(plane, "kubewarden", labels);
    labels::wait_until_judged(plane, "kubewarden");
    let refused = create(json!({})).refused();
    let words =
        "admission webhook \"clusterwide-labels.kubewarden.admission\" denied the request: the label team is required";
    assert!(refused.contains(words), "{refused}");
    assert_eq!(create(json!({"team": "a"})).ok(), "");
}
