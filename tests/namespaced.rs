//! `NamespacedValidator` and `NamespacedMutator`: asked about what is in their namespace, at `/validate/NAMESPACE/NAME`, and about nothing else.

use serde_json::{Value, json};

use crate::support::host::{Host, admission};

/// The misbehaving component, whose deed is done in whatever namespace it is asked about.
fn policy(kind: &str, namespace: &str, name: &str) -> String {
    format!(
        "---\napiVersion: verdict.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  component: {{path: $FIXTURE}}\n  settings: {{do: deny}}\n  limits: {{timeoutMilliseconds: 300}}\n"
    )
}

/// A review of something of `resource` in `namespace`.
fn about(resource: &str, namespace: &str) -> Value {
    let mut review = admission("u", json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}}));
    review["request"]["resource"]["resource"] = json!(resource);
    review["request"]["requestResource"] = review["request"]["resource"].clone();
    review["request"]["namespace"] = json!(namespace);
    review["request"]["name"] = json!("cm");
    review
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespaced_policy_decides_in_its_namespace_only() {
    let policies = policy("NamespacedValidator", "team-a", "p")
        + &policy("NamespacedValidator", "team-b", "p")
        + &policy("NamespacedMutator", "team-a", "p");
    let host = Host::yaml(&policies).await;
    for (path, resource, namespace, allowed) in [
        ("/validate", "configmaps", "team-a", false),
        ("/validate", "configmaps", "team-c", true),
        ("/validate/team-a/p", "configmaps", "team-a", false),
        ("/validate/team-a/p", "configmaps", "team-b", true),
        ("/validate/team-b/p", "configmaps", "team-b", false),
        ("/mutate/team-a/p", "configmaps", "team-a", false),
        ("/mutate/team-a/p", "configmaps", "team-b", true),
        ("/mutate", "configmaps", "team-b", true),
        // The namespace itself, and what is in none.
        ("/validate/team-a/p", "namespaces", "team-a", true),
        ("/validate", "nodes", "", true),
    ] {
        let answer = host.review(path, &about(resource, namespace)).await["response"].clone();
        assert_eq!(answer["allowed"], allowed, "{path} {resource} in {namespace}: {answer}");
    }
    assert_eq!(host.count("NamespacedValidator", "team-a/p", "denied"), 2);
    let answer = host.review("/validate/team-a/p", &about("configmaps", "team-a")).await["response"].clone();
    assert!(answer["status"]["message"].as_str().unwrap().starts_with("team-a/p: "), "{answer}");
    for path in [
        "/validate/p",
        "/validate/team-c/p",
        "/validate/team-a/p/more",
        "/mutate/team-b/p",
        "/validate//p",
        "/validate/team-a/",
    ] {
        assert_eq!(host.post(path, about("configmaps", "team-a").to_string()).await.0, 404, "{path}");
    }
}

/// kube-apiserver takes a key of one part only, and no other policy has the same one.
#[tokio::test(flavor = "multi_thread")]
async fn what_it_writes_into_the_audit_log_has_keys_that_kube_apiserver_takes() {
    let audits = |policy: String| policy + "  validationActions: [Audit]\n";
    let both = audits(policy("NamespacedValidator", "team-a", "p"))
        + &audits(policy("Validator", "none", "team-a-p").replace(", namespace: none", ""));
    let host = Host::yaml(&both).await;
    let answer = host.review("/validate", &about("configmaps", "team-a")).await["response"].clone();
    let keys: Vec<&String> = answer["auditAnnotations"].as_object().unwrap().keys().collect();
    let [cluster, namespaced] = keys[..] else { panic!("{answer}") };
    assert_eq!(cluster, "team-a-p.denied");
    assert!(namespaced.starts_with("team-a-p.denied.") && !namespaced.contains('/'), "{namespaced}");
}

/// What the conditions of one namespace's policy read is read for nobody else: else whoever writes it could make objects too large for the
/// policies of the whole cluster, and one that ignores limits would be passed.
#[tokio::test(flavor = "multi_thread")]
async fn its_conditions_change_nothing_for_the_policies_of_the_cluster() {
    let greedy = policy("NamespacedValidator", "team-a", "greedy")
        + "  order: 1\n  matchConditions: [{name: whole, expression: object == oldObject || true}]\n";
    let of_cluster = policy("Validator", "none", "strict").replace(", namespace: none", "")
        + "  limitPolicy: Ignore\n  matchConstraints: {objectSelector: {matchLabels: {app: web}}}\n";
    let host = Host::yaml(&(greedy + &of_cluster)).await;
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    let mut review = about("configmaps", "team-a");
    review["request"]["object"] = json!({"metadata": {"labels": {"app": "web"}}, "deep": deep});
    let answer = host.review("/validate", &review).await["response"].clone();
    let message = answer["status"]["message"].as_str().unwrap();
    assert!(message.contains("strict: denied on purpose") && message.contains("team-a/greedy: "), "{answer}");
    assert_eq!(host.count("NamespacedValidator", "team-a/greedy", "denied"), 0, "its condition could not be read");
}
