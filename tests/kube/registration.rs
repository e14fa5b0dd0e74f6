//! What tells an API server to ask Verdict: kubeconfigs, AuthorizationConfiguration, AdmissionConfiguration, webhook configurations.
//!
//! By hand, as an operator could write them: what `verdict manifests` generates is tested on its own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    control_plane::kubeconfig_of,
    pki::{Identity, Pki},
    replicas::Replicas,
    verdict::Verdict,
};

/// Where a review goes, and who brings it.
pub struct Door<'a> {
    address: SocketAddr,
    client: &'a Identity,
}

impl<'a> From<&'a Verdict> for Door<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        Self { address: verdict.https, client: &verdict.client }
    }
}

impl<'a> From<&'a Replicas> for Door<'a> {
    fn from(replicas: &'a Replicas) -> Self {
        Self { address: replicas.balancer.address, client: replicas.client() }
    }
}

/// A kubeconfig with a client certificate, for one path of a server.
pub fn kubeconfig<'a>(folder: &Path, pki: &Pki, door: impl Into<Door<'a>>, path: &str) -> PathBuf {
    let Door { address, client } = door.into();
    let file = folder.join(format!("kubeconfig{}.yaml", path.replace('/', "-")));
    let server = format!("https://{address}{path}");
    fs::write(&file, kubeconfig_of(&server, pki, Some(client))).expect("a writable folder");
    file
}

/// An authorizer at `path`. `users`: who it is asked about; everybody if empty.
pub fn authorizer(name: &str, kubeconfig: &Path, failure_policy: &str, users: &[&str]) -> Value {
    let conditions: Vec<Value> = match users {
        [] => Vec::new(),
        users => vec![json!({"expression": format!("request.user in {users:?}")})],
    };
    json!({
        "type": "Webhook",
        "name": name,
        "webhook": {
            "timeout": "10s",
            "subjectAccessReviewVersion": "v1",
            "matchConditionSubjectAccessReviewVersion": "v1",
            "failurePolicy": failure_policy,
            "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": kubeconfig},
            "matchConditions": conditions,
        },
    })
}

/// The file for `--authorization-config`: these webhooks, then RBAC.
pub fn authorization(folder: &Path, mut webhooks: Vec<Value>) -> PathBuf {
    webhooks.push(json!({"type": "RBAC", "name": "rbac"}));
    write(
        &folder.join("authorization.yaml"),
        &json!({
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthorizationConfiguration",
            "authorizers": webhooks,
        }),
    )
}

/// The file for `--admission-control-config-file`: a client certificate for every webhook.
pub fn admission<'a>(folder: &Path, pki: &Pki, door: impl Into<Door<'a>>) -> PathBuf {
    // A user of the name `*` is for all servers.
    let config = kubeconfig_of("https://localhost", pki, Some(door.into().client));
    let config = config.replace("name: u", "name: \"*\"").replace("user: u", "user: \"*\"");
    let file = folder.join("admission.kubeconfig");
    fs::write(&file, config).expect("a writable folder");
    let plugin = |name: &str| {
        json!({
            "name": name,
            "configuration": {
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": "WebhookAdmissionConfiguration",
                "kubeConfigFile": file,
            },
        })
    };
    write(
        &folder.join("admission.yaml"),
        &json!({
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AdmissionConfiguration",
            "plugins": [plugin("ValidatingAdmissionWebhook"), plugin("MutatingAdmissionWebhook")],
        }),
    )
}

/// Where a webhook is asked.
#[derive(Clone, Copy)]
pub enum Namespaces<'a> {
    Only(&'a str),
    AllBut(&'a str),
}

/// One webhook of a configuration. `name` has at least two dots.
pub fn webhook<'a>(
    name: &str,
    pki: &Pki,
    door: impl Into<Door<'a>>,
    path: &str,
    namespaces: Namespaces<'_>,
    rules: &Value,
) -> Value {
    let (operator, namespace) = match namespaces {
        Namespaces::Only(namespace) => ("In", namespace),
        Namespaces::AllBut(namespace) => ("NotIn", namespace),
    };
    json!({
        "name": name,
        "clientConfig": {"url": format!("https://{}{path}", door.into().address), "caBundle": STANDARD.encode(&pki.ca_pem)},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 10,
        "namespaceSelector": {"matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": operator, "values": [namespace]},
        ]},
        "rules": rules,
    })
}

/// `kind` is Validating or Mutating.
pub fn webhooks(kind: &str, name: &str, webhooks: &[Value]) -> String {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": format!("{kind}WebhookConfiguration"),
        "metadata": {"name": name},
        "webhooks": webhooks,
    })
    .to_string()
}

/// Rules for the creation and change of these.
pub fn rules(group: &str, version: &str, resource: &str) -> Value {
    json!([{"apiGroups": [group], "apiVersions": [version], "resources": [resource], "operations": ["CREATE", "UPDATE"]}])
}

fn write(file: &Path, content: &Value) -> PathBuf {
    // JSON is YAML.
    fs::write(file, content.to_string()).expect("a writable folder");
    file.to_owned()
}
