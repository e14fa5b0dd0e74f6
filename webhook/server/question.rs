//! What can be asked, and how each question comes from a body to its answer.

use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use super::callers::Purpose;
use crate::{
    observe::Trail,
    policy::{Ask, Authorization, Selection, Vanilla},
    review::{Malformed, access, admission, token},
    spec::{self, Interface},
};

/// One for each route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Authenticate,
    Authorize,
    Validate,
    Mutate,
    /// A policy of Kubewarden's, without what the operator makes of its answer.
    Audit,
    /// A policy of Kubewarden's, about any JSON.
    ValidateRaw,
    Event,
}

impl Question {
    pub(super) fn interface(self) -> Interface {
        match self {
            Self::Authenticate => Interface::Authentication,
            Self::Authorize => Interface::Authorization,
            Self::Validate | Self::Audit | Self::ValidateRaw => Interface::Validating,
            Self::Mutate => Interface::Mutating,
            Self::Event => Interface::Provider,
        }
    }

    /// Where it is answered.
    pub(super) fn lane(self) -> spec::Lane {
        if self == Self::Audit { spec::Lane::Audit } else { spec::Lane::of(self.interface()) }
    }

    /// Who may ask it.
    pub(super) fn purpose(self) -> Purpose {
        match self {
            Self::Authenticate | Self::Authorize => Purpose::Access,
            Self::Validate | Self::Mutate | Self::Audit | Self::ValidateRaw => Purpose::Admission,
            Self::Event => Purpose::Events,
        }
    }

    /// The value of the label `route`.
    pub(super) fn route(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::Validate => "validate",
            Self::Mutate => "mutate",
            Self::Audit => "audit",
            Self::ValidateRaw => "validate_raw",
            Self::Event => "events",
        }
    }
}

/// Status and short words for a caller who gets no review.
pub(super) type Refusal = (StatusCode, String);

/// From a body to its answer.
pub(super) async fn ask(
    question: Question,
    selection: &Selection<'_>,
    bytes: &[u8],
    deadline: Instant,
    trail: &Arc<Trail>,
) -> Result<Vec<u8>, Refusal> {
    let raw = std::str::from_utf8(bytes).map_err(|_| (StatusCode::BAD_REQUEST, "the body is not UTF-8".to_owned()))?;
    let audit = question == Question::Audit;
    let ask = Ask { raw, deadline: deadline.into_std(), watch: None, trail: Some(trail), now: None, audit };
    let malformed = |malformed: Malformed| (StatusCode::BAD_REQUEST, malformed.to_string());
    Ok(match question {
        Question::Authenticate => {
            let envelope = token::decode(bytes).map_err(malformed)?;
            trail.token();
            let verdict = selection.authenticate(ask, &envelope.review).await;
            trail.authenticated(&envelope.review, &verdict);
            token::encode(envelope.version, &envelope.review, &verdict)
        }
        Question::Authorize => {
            let envelope = access::decode(bytes).map_err(malformed)?;
            trail.access(&envelope.review);
            match selection.authorize(ask, &envelope.review).await {
                Authorization::Decided(ruling) => {
                    trail.ruled(&ruling);
                    access::encode(envelope.version, &ruling)
                }
                Authorization::Unavailable(words) => return Err((StatusCode::SERVICE_UNAVAILABLE, words)),
            }
        }
        Question::Validate => {
            let envelope = admission::decode(bytes).map_err(malformed)?;
            trail.admission(envelope.version, &envelope.review);
            let verdict = match selection.of_kubewarden() {
                Some(policy) => policy.admit(ask, &envelope.review, Vanilla::No).await,
                None => selection.validate(ask, &envelope.review).await,
            };
            trail.admitted(&verdict);
            admission::encode(envelope.version, &envelope.review, &verdict)
        }
        Question::Audit => {
            let envelope = admission::decode(bytes).map_err(malformed)?;
            trail.admission(envelope.version, &envelope.review);
            let verdict = match selection.of_kubewarden() {
                Some(policy) => policy.admit(ask, &envelope.review, Vanilla::Yes).await,
                None => return Err(no_policy(true)),
            };
            trail.admitted(&verdict);
            admission::encode(envelope.version, &envelope.review, &verdict)
        }
        Question::ValidateRaw => {
            let raw = admission::decode_raw(bytes).map_err(malformed)?;
            trail.raw(&raw.uid, raw.request.get());
            let verdict = match selection.of_kubewarden() {
                Some(policy) => policy.admit_raw(ask, raw.request.get()).await,
                None => None,
            };
            let verdict = verdict.ok_or_else(|| no_policy(true))?;
            trail.admitted(&verdict);
            admission::encode_raw(&raw.uid, &verdict)
        }
        Question::Mutate => {
            let envelope = admission::decode(bytes).map_err(malformed)?;
            trail.admission(envelope.version, &envelope.review);
            let verdict = selection.mutate(ask, &envelope.review).await;
            trail.admitted(&verdict);
            admission::encode(envelope.version, &envelope.review, &verdict)
        }
        Question::Event => {
            serde_json::from_str::<&serde_json::value::RawValue>(raw)
                .map_err(|error| (StatusCode::BAD_REQUEST, format!("the event is not JSON: {error}")))?;
            trail.event(raw);
            let answer = selection.handle_event(ask).await;
            let answer = answer.map_err(|(code, words)| {
                (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), words.to_owned())
            })?;
            trail.answered();
            answer.get().as_bytes().to_vec()
        }
    })
}

pub(super) fn no_policy(named: bool) -> Refusal {
    let words = if named { "no such policy, or not of this kind" } else { "no policy answers this" };
    (StatusCode::NOT_FOUND, words.to_owned())
}
