//! Kubeconfigs, and the configuration files of kube-apiserver that name them.

use std::time::Duration;

use serde::Serialize;

use super::{Options, Place};

/// A kubeconfig for TokenReview or SubjectAccessReview: its server is the URL with the path.
pub(super) fn review(options: &Options, path: &str) -> Kubeconfig {
    let base = match &options.place {
        Place::Url(url) => url.clone(),
        Place::Service { namespace, name, port } => format!("https://{name}.{namespace}.svc:{port}"),
    };
    kubeconfig(options, format!("{base}{path}"), "kube-apiserver".to_owned())
}

/// A kubeconfig for admission, in which the name of the user says for which server it is.
pub(super) fn admission(options: &Options) -> Kubeconfig {
    let user = match &options.place {
        Place::Url(url) => {
            let authority = url.trim_start_matches("https://").to_owned();
            // For port 443, kube-apiserver looks for the host alone.
            authority.strip_suffix(":443").map(str::to_owned).unwrap_or(authority)
        }
        Place::Service { namespace, name, port: 443 } => format!("{name}.{namespace}.svc"),
        Place::Service { namespace, name, port } => format!("{name}.{namespace}.svc:{port}"),
    };
    kubeconfig(options, String::new(), user)
}

fn kubeconfig(options: &Options, server: String, user: String) -> Kubeconfig {
    let client = options.client.as_ref().map(|(certificate, key)| (show(certificate), show(key)));
    let (client_certificate, client_key) = client.unzip();
    let token_file = options.token_file.as_deref().map(show);
    let cluster = NamedCluster {
        name: "verdict".to_owned(),
        cluster: Cluster { server, certificate_authority_data: options.ca.as_deref().map(base64) },
    };
    Kubeconfig {
        api_version: "v1",
        kind: "Config",
        clusters: if cluster.cluster.server.is_empty() { Vec::new() } else { vec![cluster] },
        users: vec![NamedUser { name: user.clone(), user: User { client_certificate, client_key, token_file } }],
        contexts: vec![NamedContext { name: "verdict", context: Context { cluster: "verdict", user } }],
        current_context: "verdict",
    }
}

/// AdmissionConfiguration: both plugins with the kubeconfig above.
pub(super) fn admission_configuration(options: &Options) -> AdmissionConfiguration {
    let plugin = |name| Plugin {
        name,
        configuration: WebhookAdmissionConfiguration {
            api_version: "apiserver.config.k8s.io/v1",
            kind: "WebhookAdmissionConfiguration",
            kube_config_file: show(&options.folder.join("admission-kubeconfig.yaml")),
        },
    };
    AdmissionConfiguration {
        api_version: "apiserver.config.k8s.io/v1",
        kind: "AdmissionConfiguration",
        plugins: ["ValidatingAdmissionWebhook", "MutatingAdmissionWebhook"].map(plugin),
    }
}

/// AuthorizationConfiguration: Verdict, Node, RBAC.
pub(super) fn authorization_configuration(options: &Options, open: bool, time: Duration) -> AuthorizationConfiguration {
    let verdict = Authorizer {
        r#type: "Webhook",
        name: "verdict",
        webhook: Some(Webhook {
            timeout: format!("{}s", super::admission::seconds(time)),
            subject_access_review_version: "v1",
            match_condition_subject_access_review_version: "v1",
            failure_policy: if open { "NoOpinion" } else { "Deny" },
            authorized_ttl: "5m0s",
            unauthorized_ttl: "30s",
            connection_info: ConnectionInfo {
                r#type: "KubeConfigFile",
                kube_config_file: show(&options.folder.join("authorization-kubeconfig.yaml")),
            },
            match_conditions: CONTROL_PLANE.iter().map(|expression| Condition { expression }).collect(),
        }),
    };
    let other = |r#type, name| Authorizer { r#type, name, webhook: None };
    AuthorizationConfiguration {
        api_version: "apiserver.config.k8s.io/v1",
        kind: "AuthorizationConfiguration",
        authorizers: [verdict, other("Node", "node"), other("RBAC", "rbac")],
    }
}

fn show(path: &std::path::Path) -> String {
    path.display().to_string()
}

fn base64(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}

/// Who is never asked about: without these, a server that is down takes the control plane with it. Whole names, and for
/// nodes both marks of one as the node authorizer wants them, so that nobody gets here by a name that looks alike.
const CONTROL_PLANE: [&str; 3] = [
    "!('system:nodes' in request.groups && request.user.startsWith('system:node:'))",
    "!(request.user in ['system:apiserver', 'system:kube-controller-manager', 'system:kube-scheduler', 'system:kube-proxy'])",
    "!request.user.startsWith('system:serviceaccount:kube-system:')",
];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kubeconfig {
    api_version: &'static str,
    kind: &'static str,
    clusters: Vec<NamedCluster>,
    users: Vec<NamedUser>,
    contexts: Vec<NamedContext>,
    #[serde(rename = "current-context")]
    current_context: &'static str,
}

#[derive(Serialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_authority_data: Option<String>,
}

#[derive(Serialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key: Option<String>,
    #[serde(rename = "tokenFile", skip_serializing_if = "Option::is_none")]
    token_file: Option<String>,
}

#[derive(Serialize)]
struct NamedContext {
    name: &'static str,
    context: Context,
}

#[derive(Serialize)]
struct Context {
    cluster: &'static str,
    user: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AdmissionConfiguration {
    api_version: &'static str,
    kind: &'static str,
    plugins: [Plugin; 2],
}

#[derive(Serialize)]
struct Plugin {
    name: &'static str,
    configuration: WebhookAdmissionConfiguration,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WebhookAdmissionConfiguration {
    api_version: &'static str,
    kind: &'static str,
    kube_config_file: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthorizationConfiguration {
    api_version: &'static str,
    kind: &'static str,
    authorizers: [Authorizer; 3],
}

#[derive(Serialize)]
struct Authorizer {
    r#type: &'static str,
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<Webhook>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    timeout: String,
    subject_access_review_version: &'static str,
    match_condition_subject_access_review_version: &'static str,
    failure_policy: &'static str,
    #[serde(rename = "authorizedTTL")]
    authorized_ttl: &'static str,
    #[serde(rename = "unauthorizedTTL")]
    unauthorized_ttl: &'static str,
    connection_info: ConnectionInfo,
    match_conditions: Vec<Condition>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionInfo {
    r#type: &'static str,
    kube_config_file: String,
}

#[derive(Serialize)]
struct Condition {
    expression: &'static &'static str,
}
