//! What servers write about objects in a cluster: the `status` of a policy, and Replicas, in each of which one server says how it is.

use serde_json::{Value, json};

/// The `status` of every kind of policy. Who runs a newer server may write more into `accepted`.
pub(super) fn of_policies() -> Value {
    json!({
        "description": "What the servers made of it; written by the one that leads.",
        "type": "object",
        "properties": {
            "observedGeneration": {
                "description": "The metadata.generation that all of this is about.",
                "type": "integer",
                "format": "int64",
            },
            "conditions": conditions(),
            "replicas": {
                "description": "The servers.",
                "type": "object",
                "properties": {
                    "ready": number("Those that answer by this version of the object."),
                    "total": number("All of them."),
                },
            },
            "component": text("The digest of the component's own bytes, such as sha256:5f3a...; of a PolicyGroup, of its members."),
            "interfaces": {
                "description": "What the component exports of the contract.",
                "type": "array",
                "items": {"type": "string"},
            },
            "mode": text("What a verdict does: Deny, Warn and Audit, with commas between several; of other kinds Enforce or Shadow."),
            "message": text("What is wrong, in one sentence; absent: nothing is."),
            "accepted": {
                "description": "What the policy was when it served on every replica last: its generation and its spec. It serves where the spec of now does not load.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
            },
        },
    })
}

/// The shape of k8s.io/apimachinery `meta/v1.Condition`.
fn conditions() -> Value {
    json!({
        "description": "Loaded: all servers have it. Registered: kube-apiserver asks it. Watching: a provider is told of changes. Handled: none of them was given up. Ready: all that it needs, and it took effect.",
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status"],
            "properties": {
                "type": text("Loaded, Registered, Watching, Handled or Ready."),
                "status": {"description": "Whether it holds.", "type": "string", "enum": ["True", "False", "Unknown"]},
                "observedGeneration": {
                    "description": "The metadata.generation that it is about.",
                    "type": "integer",
                    "format": "int64",
                },
                "lastTransitionTime": time("When its status changed last."),
                "reason": text("Why, in one word."),
                "message": text("Why, for people."),
            },
        },
    })
}

/// A Replica, whole. Its status is no subresource: it has nothing else.
pub fn replica() -> Value {
    json!({
        "description": "One server and what it made of each policy: written by itself, read by the one that leads. Nothing for people to change.",
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "status": {
                "description": "How it is.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": true,
                "properties": {
                    "digest": text("Of the set of policies that serve."),
                    "renewed": time("When it said so last. Only of servers outside Pods: others end with their Pod."),
                    "policies": {
                        "description": "Each policy, as it is there.",
                        "type": "array",
                        "items": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": true,
                            "required": ["policy", "state"],
                            "properties": {
                                "policy": text("Its kind and name, such as Validator/team-labels."),
                                "state": {
                                    "description": "Whether its newest version serves; stale: an older one does.",
                                    "type": "string",
                                    "enum": ["active", "stale", "failed", "loading"],
                                },
                                "declared": text("The version of the object that was read last."),
                                "serves": text("The version that serves."),
                                "component": text("The beginning of the digest of its component, or of each."),
                                "message": text("What is wrong."),
                            },
                        },
                    },
                },
            },
        },
    })
}

fn text(description: &str) -> Value {
    json!({"description": description, "type": "string"})
}

fn number(description: &str) -> Value {
    json!({"description": description, "type": "integer", "format": "int32"})
}

fn time(description: &str) -> Value {
    json!({"description": description, "type": "string", "format": "date-time"})
}
