//! One review asked of all policies that it concerns, offline, as the server and kube-apiserver together would:
//! mutators, then validators with the object as the mutators left it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Ask, Authorization, Selection, Set};
use crate::{
    engine::Interface,
    review::{
        Malformed, Version, access,
        admission::{self, AdmissionRequest, Change},
        patch::{self, PatchError, Work},
        token::{self, TokenReview},
        verdict::{AdmissionVerdict, TokenVerdict},
    },
};

/// What came of a review.
pub enum Answered<'a> {
    /// Of a TokenReview.
    Token {
        /// In which it came.
        version: Version,
        /// What was asked.
        review: TokenReview,
        /// What authenticators said.
        verdict: TokenVerdict,
    },
    /// Of a SubjectAccessReview.
    Access {
        /// In which it came.
        version: Version,
        /// What authorizers said.
        answer: Authorization,
    },
    /// Of an AdmissionReview.
    Admission(Box<Admission<'a>>),
    /// Of an event: JSON, or a status code and short words.
    Event(Result<Box<RawValue>, (u16, &'static str)>),
}

/// What came of an AdmissionReview.
pub struct Admission<'a> {
    /// In which it came.
    pub version: Version,
    /// What was asked, with the object as it came.
    pub request: AdmissionRequest<'a>,
    /// What mutators said. None: there are none.
    pub mutated: Option<AdmissionVerdict>,
    /// The object as mutators changed it.
    pub object: Option<String>,
    /// What validators said. None: there are none, or a mutator denied.
    pub validated: Option<AdmissionVerdict>,
}

/// Why nobody can be asked.
#[derive(Debug, thiserror::Error)]
pub enum Unanswerable {
    /// It is no review.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// No policy exports the interface.
    #[error("the policy does not answer this: it does not export what {0} needs")]
    NotExported(&'static str),
    /// The object as changed cannot be read.
    #[error(transparent)]
    Patch(#[from] PatchError),
}

impl Set {
    /// Asks about `ask.raw`: a review of any kind, or else an event.
    ///
    /// # Errors
    /// It cannot be asked of these policies.
    pub async fn answer<'a>(&self, ask: Ask<'a>) -> Result<Answered<'a>, Unanswerable> {
        let bytes = ask.raw.as_bytes();
        Ok(match kind(ask.raw).as_deref() {
            Some("TokenReview") => {
                let envelope = token::decode(bytes)?;
                let verdict = self.asked(Interface::Authentication)?.authenticate(ask, &envelope.review).await;
                Answered::Token { version: envelope.version, review: envelope.review, verdict }
            }
            Some("SubjectAccessReview") => {
                let envelope = access::decode(bytes)?;
                let answer = self.asked(Interface::Authorization)?.authorize(ask, &envelope.review).await;
                Answered::Access { version: envelope.version, answer }
            }
            Some("AdmissionReview") => Answered::Admission(Box::new(self.admit(ask).await?)),
            _ => Answered::Event(self.asked(Interface::Provider)?.handle_event(ask).await),
        })
    }

    /// Whether any policy is asked this.
    pub fn exports(&self, interface: Interface) -> bool {
        self.policies.iter().any(|it| it.kind().interface() == interface)
    }

    async fn admit<'a>(&self, ask: Ask<'a>) -> Result<Admission<'a>, Unanswerable> {
        let envelope = admission::decode(ask.raw.as_bytes())?;
        let (mutators, validators) = (self.asked(Interface::Mutating).ok(), self.asked(Interface::Validating).ok());
        if mutators.is_none() && validators.is_none() {
            return Err(Unanswerable::NotExported("AdmissionReview"));
        }
        let request = envelope.review;
        let mut done = Admission { version: envelope.version, request, mutated: None, object: None, validated: None };
        if let Some(mutators) = mutators {
            let verdict = mutators.mutate(ask, &done.request).await;
            let denied = verdict.denial.is_some();
            if let (Some(object), Some(patch)) = (done.request.object, &verdict.patch) {
                done.object =
                    patch::apply(object.get(), &Change::JsonPatch(patch.clone()), &mut Work::until(ask.deadline))?;
            }
            done.mutated = Some(verdict);
            if denied {
                return Ok(done);
            }
        }
        if let Some(validators) = validators {
            // What was just written is JSON.
            let changed = done.object.clone().and_then(|it| RawValue::from_string(it).ok());
            let request =
                AdmissionRequest { object: changed.as_deref().or(done.request.object), ..done.request.clone() };
            done.validated = Some(validators.validate(ask, &request).await);
        }
        Ok(done)
    }

    fn asked(&self, interface: Interface) -> Result<Selection<'_>, Unanswerable> {
        self.select(interface, None).ok_or(Unanswerable::NotExported(interface.name()))
    }
}

fn kind(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Header {
        #[serde(default)]
        kind: Option<serde_json::Value>,
    }
    let header: Header = serde_json::from_str(text).ok()?;
    header.kind?.as_str().map(str::to_owned)
}
