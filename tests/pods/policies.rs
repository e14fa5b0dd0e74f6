//! What the replicas are asked about.

use serde_json::json;

/// A validator and a mutator who both show their version, for the namespace `robots`.
pub fn policies(version: usize) -> String {
    let policy = |kind: &str, resource: &str, builtin: &str, settings: serde_json::Value| {
        let spec = json!({
            "component": {"builtin": builtin},
            "settings": settings,
            // Much else runs on this machine.
            "limits": {"timeoutMilliseconds": 5000},
            // Controllers put a ConfigMap into every namespace.
            "matchConditions": [{"name": "users", "expression": "!request.userInfo.username.startsWith('system:')"}],
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "robots"}},
                "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": [resource], "operations": ["CREATE"]}],
            },
        });
        let metadata = json!({"name": "version"});
        format!(
            "---\n{}\n",
            json!({"apiVersion": "verdict.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})
        )
    };
    [
        policy("Validator", "configmaps", "required-labels", json!({"labels": [format!("v{version}")]})),
        policy("Mutator", "pods", "default-resources", json!({"limits": {"memory": format!("{}Mi", version + 1)}})),
    ]
    .concat()
}
