//! One review asked of all policies that it concerns, offline, as the server and kube-apiserver together would:
//! mutators, then validators with the object as the mutators left it.

use std::{collections::BTreeSet, fmt};

use serde_json::value::RawValue;

use super::{Ask, Authorization, OfKubewarden, Selection, Set, Vanilla, Which};
use crate::{
    config::fields::is_near,
    review::{
        self, KINDS, Malformed, Version, access,
        admission::{self, AdmissionRequest},
        change::{self, Change},
        patch::{self, PatchError, Work},
        together,
        token::{self, TokenReview},
        verdict::{AdmissionVerdict, TokenVerdict},
    },
    spec::Interface,
    text,
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
    /// It is neither a review nor, with a provider at hand, an event.
    #[error(transparent)]
    Kind(#[from] UnknownKind),
    /// It is no change of an object, which is all that these policies answer; why not.
    #[error("{0}")]
    Change(String),
    /// No policy exports the interface that this needs.
    #[error("no policy here answers {asked}: they answer {exported}")]
    NotExported {
        /// What was asked.
        asked: &'static str,
        /// What could be asked.
        exported: String,
    },
    /// The object as changed cannot be read.
    #[error(transparent)]
    Patch(#[from] PatchError),
}

/// A text that claims to be something else than a review.
#[derive(Debug, thiserror::Error)]
pub struct UnknownKind {
    /// None: it has no kind.
    pub found: Option<String>,
    /// Whether an object would do as well.
    pub objects: bool,
}

impl fmt::Display for UnknownKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third] = KINDS;
        let object = if self.objects { ", or an object with apiVersion and kind" } else { "" };
        match &self.found {
            None => write!(formatter, "kind is missing: ")?,
            Some(found) => write!(formatter, "the kind {:?} is unknown: ", text::shorten(found, 64))?,
        }
        write!(formatter, "expected {first}, {second} or {third}{object}")?;
        let near = self.found.as_ref().and_then(|found| KINDS.iter().find(|kind| is_near(found, kind)));
        near.map_or(Ok(()), |kind| write!(formatter, "; did you mean {kind}?"))
    }
}

impl Set {
    /// Asks about `ask.raw`: a review of any kind, or else an event.
    ///
    /// # Errors
    /// It cannot be asked of these policies.
    pub async fn answer<'a>(&self, ask: Ask<'a>) -> Result<Answered<'a>, Unanswerable> {
        let bytes = ask.raw.as_bytes();
        Ok(match self.recognise(ask.raw)? {
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
            _ => Answered::Event(match change::decode(ask.raw) {
                Ok(change) if self.exports(Interface::Changes) => self.actions(ask, &change).await?,
                _ => self.asked(Interface::Provider)?.handle_event(ask).await,
            }),
        })
    }

    /// Whether any policy is asked this.
    pub fn exports(&self, interface: Interface) -> bool {
        self.policies.iter().any(|it| it.answers(interface))
    }

    /// The kind of review that `raw` claims to be. None: an event.
    ///
    /// # Errors
    /// It is not JSON, or no event either, since there is no provider.
    pub fn recognise(&self, raw: &str) -> Result<Option<&'static str>, Unanswerable> {
        let found = review::kind(raw)?;
        let kind = found.as_deref().and_then(|found| KINDS.into_iter().find(|kind| *kind == found));
        if kind.is_some() || self.exports(Interface::Provider) {
            return Ok(kind);
        }
        if self.exports(Interface::Changes) {
            return change::decode(raw).map(|_| None).map_err(Unanswerable::Change);
        }
        Err(UnknownKind { found, objects: self.admits() }.into())
    }

    /// What the first provider of those that answer changes wants done, as a list in JSON.
    async fn actions(
        &self,
        ask: Ask<'_>,
        change: &Change<'_>,
    ) -> Result<Result<Box<RawValue>, (u16, &'static str)>, Unanswerable> {
        let asked = self.asked(Interface::Changes)?.handle_change(ask, change).await;
        Ok(match asked {
            Ok(actions) => serde_json::value::to_raw_value(&actions).map_err(|_| (500, "its actions are no JSON")),
            Err(Some(failure)) => Err((failure.code(), failure.message())),
            Err(None) => Err((404, "no such policy")),
        })
    }

    /// Whether any policy is asked an AdmissionReview.
    pub fn admits(&self) -> bool {
        self.exports(Interface::Mutating) || self.exports(Interface::Validating)
    }

    async fn admit<'a>(&self, ask: Ask<'a>) -> Result<Admission<'a>, Unanswerable> {
        let envelope = admission::decode(ask.raw.as_bytes())?;
        let (mutators, validators) = (self.asked(Interface::Mutating).ok(), self.asked(Interface::Validating).ok());
        let by_id: Vec<OfKubewarden<'_>> = self.of_kubewarden().collect();
        if mutators.is_none() && validators.is_none() && by_id.is_empty() {
            return Err(self.not_exported(Interface::Validating));
        }
        let request = envelope.review;
        let mut done = Admission { version: envelope.version, request, mutated: None, object: None, validated: None };
        if let Some(mutators) = mutators {
            let verdict = mutators.mutate(ask, &done.request).await;
            let denied = verdict.denial.is_some();
            if let (Some(object), Some(patch)) = (done.request.object, &verdict.patch) {
                done.object = patch::apply(
                    object.get(),
                    &admission::Change::JsonPatch(patch.clone()),
                    &mut Work::until(ask.deadline),
                )?;
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
        // Each of them as if a webhook of its own were registered for it.
        for policy in by_id {
            self.admit_by_id(ask, policy, &mut done).await?;
        }
        Ok(done)
    }

    async fn admit_by_id(
        &self,
        ask: Ask<'_>,
        policy: OfKubewarden<'_>,
        done: &mut Admission<'_>,
    ) -> Result<(), PatchError> {
        let changed = done.object.clone().and_then(|it| RawValue::from_string(it).ok());
        let before = changed.as_deref().or(done.request.object);
        let request = AdmissionRequest { object: before, ..done.request.clone() };
        let verdict = policy.admit(ask, &request, Vanilla::No).await;
        if let (Some(object), Some(patch)) = (before, &verdict.patch) {
            let change = admission::Change::JsonPatch(patch.clone());
            done.object = patch::apply(object.get(), &change, &mut Work::until(ask.deadline))?;
        }
        let stage = if policy.may_mutate() { &mut done.mutated } else { &mut done.validated };
        *stage = Some(match stage.take() {
            Some(other) => together::verdicts(other, verdict),
            None => verdict,
        });
        // One patch that gives the last object.
        if let (Some(mutated), Some(original), Some(object)) = (&mut done.mutated, done.request.object, &done.object) {
            mutated.patch = patch::between(original.get(), object, &mut Work::until(ask.deadline))?;
        }
        Ok(())
    }

    fn asked(&self, interface: Interface) -> Result<Selection<'_>, Unanswerable> {
        self.select(interface, Which::All).ok_or_else(|| self.not_exported(interface))
    }

    fn not_exported(&self, interface: Interface) -> Unanswerable {
        let exported: BTreeSet<&str> =
            Interface::ALL.into_iter().filter(|it| self.exports(*it)).map(question).collect();
        let exported = exported.into_iter().collect::<Vec<_>>().join(", ");
        Unanswerable::NotExported { asked: question(interface), exported }
    }
}

/// What an interface is asked.
fn question(interface: Interface) -> &'static str {
    match interface {
        Interface::Authentication => token::KIND,
        Interface::Authorization => access::KIND,
        Interface::Validating | Interface::Mutating => admission::KIND,
        Interface::Provider => "events",
        Interface::Changes => "changes of objects",
    }
}
