//! Webhook configurations as Kubewarden's controller writes them, one for each policy, pointed at Verdict with the same `policies.yml`.

use std::{fs, path::Path};

use serde_json::json;

use super::{
    cluster::{Cluster, cluster},
    labels,
    registration::{Namespaces, rules, webhook, webhooks},
};
use crate::support::{
    fixtures::{self, annotate},
    processes::folder,
    rego,
    verdict::Verdict,
};

#[test]
fn its_webhooks_are_answered_as_by_its_own_server() {
    let Some(cluster) = cluster() else { return };
    let module = fixtures::module("kubewarden_wapc");
    answered(&cluster, "kubewarden", [&module, &module], ["kubewarden-wapc"; 2]);
}

#[test]
fn its_webhooks_are_answered_in_rego_too() {
    let Some(cluster) = cluster() else { return };
    let (Some(gatekeeper), Some(opa)) = (rego::gatekeeper(), rego::opa()) else { return };
    answered(&cluster, "kubewarden-rego", [&gatekeeper, &opa], ["gatekeeper", "opa"]);
}

/// The first module judges, the second one changes.
fn answered(cluster: &Cluster, name: &str, modules: [&Path; 2], modes: [&str; 2]) {
    let folder = folder(name);
    for (file, (module, mode)) in ["judges", "changes"].into_iter().zip(modules.into_iter().zip(modes)) {
        let metadata =
            json!({"mutating": file == "changes", "protocolVersion": "v1", "executionMode": mode}).to_string();
        let module = annotate(&fs::read(module).unwrap(), &metadata);
        fs::write(folder.join(file).with_extension("wasm"), module).unwrap();
    }
    let [labels, change] = ["labels", "change"].map(|it| format!("clusterwide-{name}-{it}"));
    let policies = format!(
        "{labels}:\n  namespacedName: {{Namespace: '', Name: labels}}\n  module: file://judges.wasm\n  policyMode: protect\n  \
         settings: {{labels: [team]}}\n{change}:\n  module: file://changes.wasm\n  allowedToMutate: true\n"
    );
    let verdict = Verdict::serve(&cluster.pki, &folder, &policies, &[]);
    let plane = &cluster.plane;
    for (kind, id) in [("Mutating", &change), ("Validating", &labels)] {
        let webhook = webhook(
            &format!("{id}.kubewarden.admission"),
            &cluster.pki,
            &verdict,
            &format!("/validate/{id}"),
            Namespaces::Only(name),
            &rules("", "v1", "configmaps"),
        );
        plane.kubectl_with(&["apply", "-f", "-"], &webhooks(kind, id, &[webhook])).ok();
    }
    cluster.namespace(name);
    let create = |labels| labels::create(plane, name, labels);
    labels::wait_until_judged(plane, name);
    let refused = create(json!({})).refused();
    let words =
        format!("admission webhook \"{labels}.kubewarden.admission\" denied the request: the label team is required");
    assert!(refused.contains(&words), "{refused}");
    assert_eq!(create(json!({"team": "a"})).ok(), "");
}
