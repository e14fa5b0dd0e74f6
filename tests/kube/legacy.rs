//! The flags for one webhook each, in their default version v1beta1 and in v1; and authenticators that misbehave.

use serde_json::{Value, json};

use super::{cluster::policy, registration::kubeconfig};
use crate::support::{
    binaries::binaries, control_plane::ControlPlane, fixtures::misbehaving, pki::Pki, processes::folder,
    verdict::Verdict,
};

#[test]
fn both_versions_of_the_flags_work() {
    let Some(binaries) = binaries() else { return };
    let folder = folder("legacy");
    let pki = Pki::new(&folder.join("pki"));
    let verdict = Verdict::serve(&pki, &folder, &policies(), &[]);
    let flags = |version: &[&str]| {
        let config = |path| kubeconfig(&folder, &pki, &verdict, path).display().to_string();
        let mut flags = vec![
            format!("--authentication-token-webhook-config-file={}", config("/authenticate")),
            "--authorization-mode=Webhook,RBAC".to_owned(),
            format!("--authorization-webhook-config-file={}", config("/authorize")),
        ];
        flags.extend(version.iter().map(ToString::to_string));
        flags
    };

    let plane = ControlPlane::start(binaries, &pki, &flags(&[]));
    reviews_work(&plane, &pki);
    a_failed_authenticator_is_asked_again(&plane, &pki, &verdict);

    let v1 = ["--authentication-token-webhook-version=v1", "--authorization-webhook-version=v1"];
    let plane = plane.restart(&pki, &flags(&v1));
    reviews_work(&plane, &pki);
    a_failed_authenticator_is_asked_again(&plane, &pki, &verdict);
}

fn reviews_work(plane: &ControlPlane, pki: &Pki) {
    let whoami = plane.kubectl_as(pki, "magic-token", &["auth", "whoami", "-o", "json"], "").ok();
    let whoami: Value = serde_json::from_str(&whoami).expect("JSON");
    assert_eq!(whoami["status"]["userInfo"]["username"], "magic-user", "{whoami}");
    assert_eq!(whoami["status"]["userInfo"]["groups"], json!(["magic-group", "system:authenticated"]));
    plane.kubectl_as(pki, "magic-token", &["get", "configmaps"], "").ok();
    let refused = plane.kubectl_as(pki, "magic-token", &["get", "secrets"], "").refused();
    assert!(
        refused.starts_with("Error from server (Forbidden): secrets is forbidden: User \"magic-user\""),
        "{refused}"
    );
}

/// Three authenticators fail for all tokens that nobody before them knows: one crashes, one gives an empty username, one an audience that
/// nobody asked for. None of them logs in, and that nobody could tell is not cached.
fn a_failed_authenticator_is_asked_again(plane: &ControlPlane, pki: &Pki, verdict: &Verdict) {
    let asked = || {
        let outcomes = [("traps", "trap"), ("empty-username", "invalid_answer"), ("foreign-audience", "unknown")];
        outcomes.map(|(policy, outcome)| verdict.reviews(policy, outcome))
    };
    for _ in 0..2 {
        let before = asked();
        let refused = plane.kubectl_as(pki, "unknown-token", &["get", "--raw", "/api"], "").refused();
        assert!(refused.contains("Unauthorized") || refused.contains("must be logged in"), "{refused}");
        assert_eq!(asked(), before.map(|count| count + 1));
    }
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "unknown-token"},
    });
    let reply = plane.post(pki, "/apis/authentication.k8s.io/v1/tokenreviews", &review);
    let (_, body) = reply.expect("an answer");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_ne!(answer["status"]["authenticated"], true, "{answer}");
    let error = answer["status"]["error"].as_str().unwrap_or_default();
    assert!(error.contains("policy empty-username: the policy's answer is not valid"), "{answer}");
}

fn policies() -> String {
    let component = misbehaving("authentication");
    let component = component.to_str().expect("UTF-8");
    let none = json!({});
    let bad = |name: &str, deed: &str| policy(name, component, &json!({"do": deed}), &none);
    [
        policy("magic-authenticator", "builtin:magic-authenticator", &none, &json!({"order": 1})),
        policy("magic-authorizer", "builtin:magic-authorizer", &none, &json!({"order": 1})),
        bad("foreign-audience", "foreign-audience"),
        bad("traps", "trap"),
        bad("empty-username", "empty-username"),
    ]
    .concat()
}
