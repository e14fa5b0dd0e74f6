//! The schemas of the namespaced kinds: those of the kinds of a whole cluster, without what reaches beyond one namespace.

use serde_json::{Value, json};

pub(super) const VALIDATOR: &str = "Refuses objects of its own namespace, or warns of them: asked about requests that create, change or delete something in it, of which it changes nothing.";
pub(super) const MUTATOR: &str = "Changes objects of its own namespace before they are validated and stored.";

/// Of the same kind for a whole cluster.
pub(super) fn spec(mut of_cluster: Value, description: &str) -> Value {
    of_cluster["description"] = json!(description);
    let constraints = &mut of_cluster["properties"]["matchConstraints"]["properties"];
    if let Some(fields) = constraints.as_object_mut() {
        fields.remove("namespaceSelector");
    }
    constraints["resourceRules"]["items"]["x-kubernetes-validations"] = json!([{
        "rule": "!has(self.scope) || self.scope != 'Cluster'",
        "message": "a namespaced policy is asked about what is in its namespace, and never about objects of scope Cluster",
    }]);
    of_cluster
}
