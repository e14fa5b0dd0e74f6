//! The schemas of the namespaced kinds: those of the kinds of a whole cluster, without what reaches beyond one namespace.

use serde_json::{Value, json};

pub(super) const VALIDATOR: &str = "Refuses objects of its own namespace, or warns of them: asked about requests that create, change or delete something in it, of which it changes nothing.";
pub(super) const MUTATOR: &str = "Changes objects of its own namespace before they are validated and stored.";

/// Of the same kind for a whole cluster.
pub(super) fn spec(mut of_cluster: Value, description: &str) -> Value {
    of_cluster["description"] = json!(description);
    // Look-ups and calls to others reach beyond a namespace, also those that this server does not have yet.
    let granted = of_cluster.pointer_mut("/properties/grants/properties/hostCapabilities/items/enum");
    if let Some(patterns) = granted.and_then(Value::as_array_mut) {
        patterns.retain(|it| it.as_str().is_some_and(|it| it.starts_with("crypto/")));
    }
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

#[cfg(test)]
mod tests {
    use crate::spec::{Kind, schema};

    #[test]
    fn nothing_that_reaches_beyond_a_namespace_can_be_granted() {
        for kind in Kind::ALL {
            let text = schema::object(kind).to_string();
            let reaches =
                ["namespaceSelector", "\"*\",\"crypto/*\"", "kubernetes/", "net/", "oci/"].map(|it| text.contains(it));
            assert!(!kind.is_namespaced() || reaches == [false; 5], "{kind}: {reaches:?}");
            assert!(!kind.is_namespaced() || text.contains("crypto/*"), "{kind}");
        }
        assert!(
            schema::object(Kind::Validator).to_string().contains("\"*\",\"crypto/*\""),
            "the patterns are others now"
        );
    }
}
