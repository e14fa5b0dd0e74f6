//! TokenReview (authentication.k8s.io).

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Envelope, Malformed, Version,
    decode::{self, Header, read, required, strings},
    user::UserInfo,
    verdict::TokenVerdict,
    written,
};

/// What is asked: TokenReviewSpec.
#[derive(Clone)]
pub struct TokenReview {
    /// A secret: never logged, and absent from `Debug`.
    pub token: String,
    /// The audiences for which the token must be good; empty means those of the API server.
    pub audiences: Vec<String>,
}

/// The answer of one authenticator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// The token is good.
    Authenticated(Identity),
    /// Not a token of this policy's.
    Unknown,
    /// A token of this policy's, and no good; the text is for the log.
    Rejected(String),
}

/// Who the bearer is, and for which of the asked audiences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who the bearer is.
    pub user: UserInfo,
    /// Empty: the policy does not know audiences.
    pub audiences: Vec<String>,
}

impl TokenReview {
    /// The spec as `matchConditions` see it.
    pub fn spec_json(&self) -> Value {
        json!({"token": self.token, "audiences": self.audiences})
    }
}

impl fmt::Debug for TokenReview {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenReview").field("audiences", &self.audiences).finish_non_exhaustive()
    }
}

/// Reads a TokenReview of either version.
///
/// # Errors
/// Short words for the caller; they never hold the token.
pub fn decode(body: &[u8]) -> Result<Envelope<TokenReview>, Malformed> {
    let (wire, version) = read::<Wire>(body, KIND, GROUP)?;
    let spec = wire.spec.ok_or(Malformed::Missing("spec"))?;
    let review = TokenReview { token: required(spec.token, "spec.token")?, audiences: spec.audiences };
    Ok(Envelope { version, review })
}

/// The whole answer, as JSON.
pub fn encode(version: Version, asked: &TokenReview, verdict: &TokenVerdict) -> Vec<u8> {
    let status = match verdict {
        // kube-apiserver would take an empty username for a user, so it never leaves as one.
        TokenVerdict::Authenticated { user, .. } if user.username.is_empty() => Status {
            authenticated: false,
            user: None,
            audiences: &asked.audiences,
            error: Some("the authenticator gave no username"),
        },
        TokenVerdict::Authenticated { user, audiences } => {
            Status { authenticated: true, user: Some(user), audiences, error: None }
        }
        // kube-apiserver checks the audiences before it looks at the error.
        TokenVerdict::Unauthenticated { error: Some(error) } => {
            Status { authenticated: false, user: None, audiences: &asked.audiences, error: Some(error) }
        }
        TokenVerdict::Unauthenticated { error: None } => {
            Status { authenticated: false, user: None, audiences: &[], error: None }
        }
    };
    written(&Answer { kind: KIND, api_version: version.of(GROUP), status })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    kind: Option<String>,
    api_version: Option<String>,
    spec: Option<Spec>,
}

impl decode::Wire<'_> for Wire {
    fn header(&mut self) -> Header {
        Header { kind: self.kind.take(), api_version: self.api_version.take() }
    }
}

#[derive(Deserialize)]
struct Spec {
    token: Option<String>,
    #[serde(default, deserialize_with = "strings")]
    audiences: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    kind: &'static str,
    api_version: String,
    status: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    authenticated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a UserInfo>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    audiences: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// Its kind.
pub const KIND: &str = "TokenReview";
const GROUP: &str = "authentication.k8s.io";

#[cfg(test)]
mod tests {
    use super::*;

    fn review(spec: &str) -> String {
        format!(
            r#"{{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1beta1","metadata":{{}},"spec":{spec},"status":{{"user":{{}}}}}}"#
        )
    }

    #[test]
    fn a_review_as_kube_apiserver_sends_it_is_read() {
        let envelope = decode(review(r#"{"token":"t","audiences":["a",null]}"#).as_bytes()).unwrap();
        assert_eq!(envelope.version, Version::V1Beta1);
        assert_eq!(envelope.review.token, "t");
        assert_eq!(envelope.review.audiences, ["a", ""]);
        assert!(!format!("{:?}", envelope.review).contains("\"t\""));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (spec, words) in [
            ("null", "spec is missing"),
            ("{}", "spec.token is missing"),
            (r#"{"token":""}"#, "spec.token is missing"),
            (r#"{"token":{"secret":1}}"#, "wrong type: expected a string"),
        ] {
            let error = decode(review(spec).as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
    }

    #[test]
    fn every_verdict_is_written() {
        let asked = TokenReview { token: "t".into(), audiences: vec!["a".into(), "b".into()] };
        let text = |verdict| String::from_utf8(encode(Version::V1, &asked, &verdict)).unwrap();
        let head = r#"{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":{"authenticated":"#;
        let user = UserInfo { username: "jane".into(), groups: vec!["g".into()], ..UserInfo::default() };
        assert_eq!(
            text(TokenVerdict::Authenticated { user, audiences: vec!["b".into()] }),
            format!(r#"{head}true,"user":{{"username":"jane","groups":["g"]}},"audiences":["b"]}}}}"#)
        );
        assert_eq!(
            text(TokenVerdict::Authenticated { user: UserInfo::default(), audiences: vec!["b".into()] }),
            format!(r#"{head}false,"audiences":["a","b"],"error":"the authenticator gave no username"}}}}"#)
        );
        assert_eq!(text(TokenVerdict::Unauthenticated { error: None }), format!("{head}false}}}}"));
        assert_eq!(
            text(TokenVerdict::Unauthenticated { error: Some("down".into()) }),
            format!(r#"{head}false,"audiences":["a","b"],"error":"down"}}}}"#)
        );
    }
}
