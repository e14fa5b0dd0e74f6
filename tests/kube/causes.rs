//! Where kubectl leaves out the causes of a denial, its message has them.

use std::fs;

use serde_json::{Value, json};

use super::{
    cluster::{Cluster, cluster, policy},
    registration::{Namespaces, rules, webhook, webhooks},
};
use crate::support::{eventually, fixtures::misbehaving, processes::folder, verdict::Verdict};

#[test]
fn a_user_sees_every_cause_once_whatever_the_code_and_how_many_deny() {
    let Some(cluster) = cluster() else { return };
    let component = misbehaving("admission");
    let component = component.to_str().expect("UTF-8");
    let denies = |name: &str, deed: &str| policy(name, component, &json!({"do": deed}), &json!({}));
    let folder = folder("causes");
    fs::create_dir_all(&folder).expect("a writable folder");
    let both = denies("one", "deny") + &denies("two", "invalid");
    let server = Verdict::serve(&cluster.pki, &folder, &both, &[]);
    let webhook_of = |(namespace, path): (&str, &str)| {
        let (name, only) = (format!("{namespace}.verdict.test"), Namespaces::Only(namespace));
        webhook(&name, &cluster.pki, &server, path, only, &rules("", "v1", "configmaps"))
    };
    let all: Vec<Value> = [("cause-one", "/validate/one"), ("cause-two", "/validate/two"), ("cause-both", "/validate")]
        .map(webhook_of)
        .into();
    cluster.plane.kubectl_with(&["apply", "-f", "-"], &webhooks("Validating", "causes", &all)).ok();

    let one = "one: denied on purpose\n* spec.x: x is wrong\n";
    let two = "two: the message\n* data.a: must be x\n* data.b: is missing\n";
    let from_server = |namespace: &str, reason: &str, words: &str| {
        let denied = format!("admission webhook \"{namespace}.verdict.test\" denied the request: {words}");
        format!("Error from server ({reason}): error when creating \"STDIN\": {denied}")
    };
    for (namespace, objects, expected) in [
        ("cause-one", &["a"][..], from_server("cause-one", "Forbidden", one)),
        (
            "cause-two",
            &["a"],
            "The ConfigMap \"a\" is invalid: \n* data.a: must be x\n* data.b: is missing\n".to_owned(),
        ),
        // Of several objects kubectl shows the message, also of an Invalid.
        ("cause-two", &["a", "b"], from_server("cause-two", "Invalid", two).repeat(2)),
        ("cause-both", &["a"], from_server("cause-both", "Forbidden", &(one.to_owned() + two))),
    ] {
        assert_eq!(refused(&cluster, namespace, objects), expected, "{namespace} {objects:?}");
    }
    cluster.plane.kubectl(&["delete", "validatingwebhookconfiguration", "causes"]).ok();
}

/// What kubectl says to ConfigMaps of these names in one file.
fn refused(cluster: &Cluster, namespace: &str, names: &[&str]) -> String {
    let namespaces = cluster.plane.kubectl(&["get", "namespace", namespace]);
    if !namespaces.success() {
        cluster.namespace(namespace);
    }
    let of = |name: &&str| {
        let metadata = json!({"name": name, "namespace": namespace});
        format!("---\n{}\n", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}))
    };
    let objects: String = names.iter().map(of).collect();
    eventually("the webhook is live", || {
        let output = cluster.plane.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &objects);
        // Go's words for a connection that the API server closed itself.
        let unasked = output.success() || output.stderr.contains("use of closed network connection");
        if unasked { Err(output.to_string()) } else { Ok(output.refused()) }
    })
}
