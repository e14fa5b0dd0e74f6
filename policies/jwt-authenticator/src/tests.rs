use serde_json::{Value, json};
use verdict_sdk::testing;

use super::*;

/// With the keys that signed the sample reviews.
const SETTINGS: &str = include_str!("../settings.json");

pub(crate) fn example() -> Value {
    serde_json::from_str(SETTINGS).unwrap()
}

fn subject(change: impl FnOnce(&mut Value)) -> testing::Subject<JwtAuthenticator, testing::Authenticating> {
    let mut settings = example();
    change(&mut settings);
    testing::authenticator(&settings.to_string())
}

#[test]
fn the_sample_reviews_give_the_verdict_that_they_are_named_after() {
    subject(|_| ()).check_reviews();
}

#[test]
fn user_and_groups_come_from_claims_with_their_prefixes() {
    let Authentication::Authenticated(identity) = subject(|_| ()).ask_file("authenticated-rsa.json") else {
        panic!("not authenticated");
    };
    assert_eq!(identity.user.username, "issuer:jane");
    assert_eq!(identity.user.groups, ["issuer:developers", "issuer:sre"]);
    assert_eq!(identity.user.extra["authentication.kubernetes.io/credential-id"], ["JTI=a1"]);
    // Not the vault's, which is not accepted here.
    assert_eq!(identity.audiences, ["https://kubernetes.default.svc"]);
    let other = subject(|it| it["usernameClaim"] = json!("jti"));
    let Authentication::Authenticated(identity) = other.ask_file("authenticated-rsa.json") else {
        panic!("not authenticated");
    };
    assert_eq!(identity.user.username, "issuer:a1");
}

#[test]
fn each_refusal_says_why() {
    let subject = subject(|_| ());
    for (file, words) in [
        ("rejected-expired.json", "it has expired"),
        ("rejected-not-yet.json", "it is not valid yet"),
        ("rejected-no-expiry.json", "it lacks the claim exp"),
        ("rejected-other-audience.json", "it is for another audience"),
        ("rejected-wrong-key.json", "its signature is wrong"),
        ("rejected-tampered.json", "its signature is wrong"),
        ("rejected-unknown-key.json", "it is signed with a key that is not in the settings"),
        ("rejected-no-name.json", "its claim sub is no name"),
    ] {
        assert_eq!(subject.ask_file(file), Authentication::Rejected(words.to_owned()), "{file}");
    }
}

#[test]
fn a_token_is_only_good_for_what_was_asked_for() {
    let review = |file: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/reviews/");
        let mut review: Value =
            serde_json::from_str(&std::fs::read_to_string(format!("{folder}{file}")).unwrap()).unwrap();
        review["spec"]["audiences"] = json!(["vault"]);
        review.to_string()
    };
    assert_eq!(subject(|_| ()).ask(&review("authenticated-rsa.json")), Authentication::Unknown);
}

#[test]
fn bad_settings_are_refused_where_they_are() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str, &str); 9] = [
        (|it| it["issuer"] = json!(""), "/issuer", "expected the claim iss"),
        (|it| it["audiences"] = json!([]), "/audiences", "at least one"),
        (|it| it["groupsPrefix"] = json!(""), "/groupsPrefix", "expected a prefix"),
        (|it| it["jwks"]["keys"] = json!([]), "/jwks/keys", "at least one key"),
        (|it| it["jwks"]["keys"][1]["alg"] = json!("RS256"), "/jwks/keys/1", "one of [ES256]"),
        (|it| it["jwks"]["keys"][1]["crv"] = json!("P-521"), "/jwks/keys/1", "P-256 or P-384"),
        (|it| it["jwks"]["keys"][0] = json!({"kty": "oct", "k": "AAAA"}), "/jwks/keys/0", "symmetric"),
        (|it| it["jwks"]["keys"][0]["n"] = json!("AQAB"), "/jwks/keys/0", "2048 bits"),
        (|it| it["leeway"] = json!(1), "/leeway", "unknown field"),
    ];
    for (change, path, words) in cases {
        let mut settings = example();
        change(&mut settings);
        let errors = testing::settings_errors::<JwtAuthenticator>(&settings.to_string());
        assert_eq!(errors[0].path, path, "{errors:?}");
        assert!(errors[0].message.contains(words), "{errors:?}");
    }
}

#[test]
fn keys_for_encryption_are_passed_over() {
    let subject = subject(|it| it["jwks"]["keys"][0]["use"] = json!("enc"));
    assert!(matches!(subject.ask_file("authenticated-rsa.json"), Authentication::Rejected(_)));
}

#[test]
fn the_schema_is_that_of_the_settings() {
    testing::check_schema(&schemars::schema_for!(Settings));
}
