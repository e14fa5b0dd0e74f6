//! What the server serves when nothing is configured, and how to try it.

use std::{net::SocketAddr, path::Path};

/// Commands to copy, each of which works as it stands.
pub(super) fn try_next(address: SocketAddr, admin: SocketAddr, ca: &Path) -> String {
    let curl = |path: &str, body: &str| {
        format!(
            "curl -sS --cacert {} https://{address}{path} -H 'Content-Type: application/json' -d '{body}'\n",
            ca.display()
        )
    };
    let admission = |data: &str| {
        format!(
            r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"1","kind":{{"group":"","version":"v1","kind":"ConfigMap"}},"resource":{{"group":"","version":"v1","resource":"configmaps"}},"name":"demo","namespace":"default","operation":"CREATE","userInfo":{{"username":"jane"}},"object":{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"demo"}},"data":{{"{data}":"x"}}}}}}}}"#
        )
    };
    [
        "\nTry next, in another terminal:\n\n# Who is this? (TokenReview)\n".to_owned(),
        curl("/authenticate", r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{"token":"magic-token"}}"#),
        "\n# May they? (SubjectAccessReview)\n".to_owned(),
        curl("/authorize", r#"{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","spec":{"user":"magic-user","groups":["magic-group"],"resourceAttributes":{"verb":"list","resource":"configmaps","version":"v1","namespace":"default"}}}"#),
        "\n# May this object enter? No: (AdmissionReview, validating)\n".to_owned(),
        curl("/validate", &admission("not-allowed-value")),
        "\n# And how must it be changed? (AdmissionReview, mutating; the patch is base64)\n".to_owned(),
        curl("/mutate", &admission("a")),
        "\n# Anything else: an event to a provider\n".to_owned(),
        curl("/events/caesar-cipher", r#"{"action":"encrypt","message":"hello world"}"#),
        format!("\n# What is loaded, and how it goes\ncurl -sS http://{admin}/policies\ncurl -sS http://{admin}/metrics\n"),
        "\nYour own policies: verdict serve --policies PATH (see manifests/README.md). Ctrl-C ends.\n".to_owned(),
    ]
    .concat()
}

/// What is served when nothing is configured.
pub(super) const EXAMPLES: [&str; 5] =
    ["magic-authenticator", "magic-authorizer", "magic-validator", "magic-mutator", "caesar-cipher"];
