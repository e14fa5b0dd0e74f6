//! SubjectAccessReview: the first allow or deny, in order; never both. kube-apiserver caches every valid answer, so a
//! failure must not look like one.

use std::time::{Duration, Instant};

use super::{
    Ask, Policy, Selection,
    ask::{Asked, Question},
};
use crate::{
    engine::run::{Answer, Call, Template},
    observe::Words,
    review::{
        access::{Decision, Ruling, SubjectAccessReview},
        clean,
    },
    spec::{Failure, FailurePolicy, Outcome},
};

/// The verdict of authorizers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// An answer that kube-apiserver may cache.
    Decided(Ruling),
    /// A policy failed and nothing may be cached: HTTP 503 without Retry-After, with these short words.
    Unavailable(String),
}

impl Selection<'_> {
    /// Asks one authorizer after the other.
    pub async fn authorize(&self, ask: Ask<'_>, review: &SubjectAccessReview) -> Authorization {
        let mut failed = None;
        let mut reason = String::new();
        for policy in self.policies() {
            let Some(asked) = policy.authorizes(ask, review).await else { continue };
            let answer = asked.put(ask, review).await;
            // A policy in shadow is asked and counted, and never decides.
            if !policy.enforces() {
                continue;
            }
            match answer {
                // What the failed one would have denied, a later one must not allow.
                Ok(ruling) if ruling.decision == Decision::Allow && failed.is_some() => {}
                Ok(ruling) if ruling.decision == Decision::NoOpinion => {
                    if reason.is_empty() {
                        reason = ruling.reason;
                    }
                }
                Ok(ruling) => return Authorization::Decided(ruling),
                Err(failure) => {
                    let words = format!("policy {}: {}", policy.spec.name, failure.message());
                    match policy.on_failure(&failure) {
                        FailurePolicy::Deny => return decided(Decision::Deny, words),
                        FailurePolicy::NoOpinion | FailurePolicy::Ignore => {}
                        FailurePolicy::Fail => failed = failed.or(Some(words)),
                    }
                }
            }
        }
        match failed {
            Some(words) => Authorization::Unavailable(words),
            None => decided(Decision::NoOpinion, reason),
        }
    }
}

fn decided(decision: Decision, reason: String) -> Authorization {
    Authorization::Decided(Ruling { decision, reason })
}

impl Policy {
    async fn authorizes(&self, ask: Ask<'_>, review: &SubjectAccessReview) -> Option<Asked<'_>> {
        let begin = Instant::now();
        let decided = self.matching.authorization(review, self.bounds(ask)).await;
        self.asked(ask, None, decided, begin, begin.elapsed())
    }

    /// A used-up limit is never a reason to have no opinion: users can inflate what they send.
    fn on_failure(&self, failure: &Failure) -> FailurePolicy {
        match self.spec.failure_policy {
            FailurePolicy::NoOpinion if failure.is_limit() => FailurePolicy::Fail,
            policy => policy,
        }
    }
}

impl Question for SubjectAccessReview {
    type Said = Ruling;
    type Answer = Ruling;
    const MAKES_WAY: bool = false;

    async fn put(&self, template: &Template, call: Call<'_>) -> Answer<Ruling> {
        template.authorize(call, self).await
    }

    async fn settle(&self, _: Ask<'_>, policy: &Policy, said: Ruling, _: Duration) -> Result<Ruling, Failure> {
        let own = policy.spec.message.as_ref().filter(|_| said.decision == Decision::Deny);
        let reason = clean::line(own.unwrap_or(&said.reason), clean::MAX_REASON);
        Ok(Ruling { decision: said.decision, reason })
    }

    fn outcome(&self, _: &Policy, answer: &Ruling) -> (Outcome, Option<String>) {
        let outcome = match answer.decision {
            Decision::Allow => Outcome::Allowed,
            Decision::Deny => Outcome::Denied,
            Decision::NoOpinion => Outcome::NoOpinion,
        };
        (outcome, None)
    }

    fn words(answer: &Ruling) -> Option<Words> {
        Some(Words { message: answer.reason.clone(), causes: Vec::new() })
    }
}
