//! TokenReview: who bears a token.

use serde_json::{Value, json};

use super::cluster::{Cluster, cluster};

#[test]
fn a_bearer_token_logs_in() {
    let Some(cluster) = cluster() else { return };
    let magic = whoami(&cluster, "magic-token");
    assert_eq!(magic["username"], "magic-user");
    assert_eq!(magic["uid"], "0");
    assert_eq!(magic["groups"], json!(["magic-group", "system:authenticated"]));

    let jane = whoami(&cluster, "extra-token");
    assert_eq!(jane["username"], "jane");
    assert_eq!(jane["uid"], "42");
    assert_eq!(jane["groups"], json!(["dev", "ops", "system:authenticated"]));
    assert_eq!(jane["extra"]["example.com/team"], json!(["a", "b"]));
}

#[test]
fn a_wrong_token_is_unauthorized() {
    let Some(cluster) = cluster() else { return };
    for token in ["wrong-token", "magic-token-and-more", "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"] {
        let refused = cluster.plane.kubectl_as(&cluster.pki, token, &["auth", "whoami"], "").refused();
        assert_eq!(refused, "error: You must be logged in to the server (Unauthorized)\n");
    }
}

#[test]
fn audiences_bind_a_token() {
    let Some(cluster) = cluster() else { return };
    // For whom it is good is said, and only of those asked for.
    let status = review(&cluster, "reports-token", &["reports", "other"]);
    assert_eq!(status["authenticated"], true, "{status}");
    assert_eq!(status["user"]["username"], "reporter");
    assert_eq!(status["audiences"], json!(["reports"]));
    // For others it is no token, and to the API server itself it is none either.
    let status = review(&cluster, "reports-token", &["other"]);
    assert_ne!(status["authenticated"], true, "{status}");
    let refused = cluster.plane.kubectl_as(&cluster.pki, "reports-token", &["auth", "whoami"], "").refused();
    assert_eq!(refused, "error: You must be logged in to the server (Unauthorized)\n");

    // A token without audiences is good for the API server only.
    let status = review(&cluster, "magic-token", &["https://kubernetes.default.svc"]);
    assert_eq!(status["authenticated"], true, "{status}");
    let status = review(&cluster, "magic-token", &["reports"]);
    assert_ne!(status["authenticated"], true, "{status}");
}

fn whoami(cluster: &Cluster, token: &str) -> Value {
    let output = cluster.plane.kubectl_as(&cluster.pki, token, &["auth", "whoami", "-o", "json"], "").ok();
    let review: Value = serde_json::from_str(&output).expect("JSON");
    review["status"]["userInfo"].clone()
}

/// The status of a TokenReview that a client posts to the API server.
fn review(cluster: &Cluster, token: &str, audiences: &[&str]) -> Value {
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": audiences},
    });
    let reply = cluster.plane.post(&cluster.pki, "/apis/authentication.k8s.io/v1/tokenreviews", &review);
    let (status, body) = reply.expect("an answer");
    assert_eq!(status, 201, "{body}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    answer["status"].clone()
}
