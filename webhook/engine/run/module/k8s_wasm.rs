//! What k8s-wasm's modules read and answer: `{"request", "settings"}` and `{"response", "error"}` around whole reviews of v1.

use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use wasmtime::format_err;

use super::{
    super::question::Reply,
    Asked,
    response::{AdmissionResponse, lenient},
    reviews::{Request, Said, parsed, then},
};
use crate::{
    component::protocol::function,
    review::{
        access::{self, Decision, Ruling, SubjectAccessReview},
        admission::{self, AdmissionRequest, Mutation, Validation},
        token::{self, Authentication, Identity, TokenReview},
        user::UserInfo,
    },
    spec::Interface,
};

pub(in crate::engine::run) async fn authenticate(asked: Asked<'_>, review: &TokenReview) -> Reply<Authentication> {
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": token::KIND, "spec": review.spec_json()});
    let said: TokenAnswer = match asked.put(Interface::Authentication, &request, MAX_ANSWER).await? {
        Ok(said) => said,
        Err(words) => return Ok(Err(words)),
    };
    check(said.api_version.as_deref(), said.kind.as_deref(), ["authentication.k8s.io/v1", token::KIND])?;
    Ok(match said.status.unwrap_or_default() {
        TokenStatus { authenticated: true, user, audiences, .. } => {
            Ok(Authentication::Authenticated(Identity { user, audiences }))
        }
        // More than a "no": the caller must not remember it.
        TokenStatus { error, .. } if !error.is_empty() => Err(error),
        TokenStatus { .. } => Ok(Authentication::Unknown),
    })
}

pub(in crate::engine::run) async fn authorize(asked: Asked<'_>, review: &SubjectAccessReview) -> Reply<Ruling> {
    let request = json!({"apiVersion": "authorization.k8s.io/v1", "kind": access::KIND, "spec": review.spec_json()});
    let said = asked.put(Interface::Authorization, &request, MAX_ANSWER).await?;
    then(said, |said: AccessAnswer| {
        check(said.api_version.as_deref(), said.kind.as_deref(), ["authorization.k8s.io/v1", access::KIND])?;
        let status = said.status.unwrap_or_default();
        let decision = match status {
            // Both is a contradiction, which allows nothing.
            AccessStatus { denied: true, .. } => Decision::Deny,
            AccessStatus { allowed: true, .. } => Decision::Allow,
            AccessStatus { .. } => Decision::NoOpinion,
        };
        Ok(Ruling { decision, reason: status.reason })
    })
}

pub(in crate::engine::run) async fn validate(
    asked: Asked<'_>,
    request: &AdmissionRequest<'_>,
    object: Option<&str>,
) -> Reply<Validation> {
    then(admit(asked, request, object, Interface::Validating).await?, Said::validation)
}

pub(in crate::engine::run) async fn mutate(
    asked: Asked<'_>,
    request: &AdmissionRequest<'_>,
    object: Option<&str>,
) -> Reply<Mutation> {
    Ok(admit(asked, request, object, Interface::Mutating).await?.map(Said::mutation))
}

async fn admit(
    asked: Asked<'_>,
    request: &AdmissionRequest<'_>,
    object: Option<&str>,
    interface: Interface,
) -> Reply<Said> {
    let review = Review {
        api_version: "admission.k8s.io/v1",
        kind: admission::KIND,
        request: Request::new(request, object).map_err(|error| format_err!("{error}"))?,
    };
    let said = asked.put(interface, &review, MAX_OBJECT).await?;
    then(said, |said: AdmissionAnswer| {
        check(said.api_version.as_deref(), said.kind.as_deref(), ["admission.k8s.io/v1", admission::KIND])?;
        let response = said.response.ok_or_else(|| format_err!("response.response is missing"))?;
        if response.uid != request.uid {
            return Err(format_err!("response.response.uid is not that of the request"));
        }
        response.read()
    })
}

impl Asked<'_> {
    /// The response to `request`, or the guest's error, which wins over a response.
    async fn put<T: for<'de> Deserialize<'de>>(
        self,
        interface: Interface,
        request: &impl Serialize,
        most: usize,
    ) -> Reply<T> {
        let name = function(interface).ok_or_else(|| format_err!("k8s-wasm has no events"))?;
        let failed = |error: serde_json::Error| format_err!("{error}");
        let settings: Option<&RawValue> = self.settings.map(serde_json::from_str).transpose().map_err(failed)?;
        let input = serde_json::to_vec(&Input { request, settings }).map_err(failed)?;
        let answer = match self.module.ask(self.store, self.instance, name, input, most).await? {
            Ok(answer) => answer,
            Err(words) => return Ok(Err(words)),
        };
        let output: Output<T> = parsed(&answer, interface != Interface::Authentication)?;
        match output {
            Output { error: Some(error), .. } if !error.is_empty() => Ok(Err(error)),
            Output { response: Some(response), .. } => Ok(Ok(response)),
            Output { response: None, .. } => Err(format_err!("it has neither a response nor an error")),
        }
    }
}

#[derive(Serialize)]
struct Input<'a, T> {
    request: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Output<T> {
    response: Option<T>,
    error: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: &'static str,
    kind: &'static str,
    request: Request<'a>,
}

/// Modules of k8s-wasm may leave both out.
fn check(api_version: Option<&str>, kind: Option<&str>, expected: [&str; 2]) -> wasmtime::Result<()> {
    for (field, found, expected) in [("apiVersion", api_version, expected[0]), ("kind", kind, expected[1])] {
        if found.is_some_and(|it| !it.is_empty() && it != expected) {
            return Err(format_err!("response.{field} is another one than {expected}"));
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenAnswer {
    api_version: Option<String>,
    kind: Option<String>,
    status: Option<TokenStatus>,
}

#[derive(Default, Deserialize)]
struct TokenStatus {
    #[serde(default, deserialize_with = "lenient")]
    authenticated: bool,
    #[serde(default, deserialize_with = "lenient")]
    user: UserInfo,
    #[serde(default, deserialize_with = "lenient")]
    audiences: Vec<String>,
    #[serde(default, deserialize_with = "lenient")]
    error: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessAnswer {
    api_version: Option<String>,
    kind: Option<String>,
    status: Option<AccessStatus>,
}

#[derive(Default, Deserialize)]
struct AccessStatus {
    #[serde(default, deserialize_with = "lenient")]
    allowed: bool,
    #[serde(default, deserialize_with = "lenient")]
    denied: bool,
    #[serde(default, deserialize_with = "lenient")]
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdmissionAnswer {
    api_version: Option<String>,
    kind: Option<String>,
    response: Option<AdmissionResponse>,
}

/// Bytes of an answer about a user.
const MAX_ANSWER: usize = 1 << 20;
/// Bytes of an answer with an object: kube-apiserver takes 3 MiB from a user, which escaping and base64 multiply.
const MAX_OBJECT: usize = 16 << 20;
