//! SubjectAccessReview: the first allow or deny, in order; never both. kube-apiserver caches every valid answer, so a
//! failure must not look like one.

use std::time::Instant;

use super::{Ask, Policy, Selection, unmatched};
use crate::{
    review::{
        access::{Decision, Ruling, SubjectAccessReview},
        clean,
    },
    spec::{Failure, FailurePolicy, Interface},
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
            let Some(answer) = policy.authorize(ask, review).await else { continue };
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
    /// None: the policy does not match.
    async fn authorize(&self, ask: Ask<'_>, review: &SubjectAccessReview) -> Option<Result<Ruling, Failure>> {
        let begin = Instant::now();
        let decided = self.matching.authorization(review, self.bounds(ask)).await;
        let spent = begin.elapsed();
        if let Some(watch) = ask.watch {
            let asked = decided.as_ref().map_or(true, |it| it.is_asked());
            watch.matched(&self.spec.name, Interface::Authorization, asked, || self.matching.explain(&decided, None));
        }
        let answer = match decided {
            Ok(decision) if !decision.is_asked() => return None,
            Ok(_) => self.template.authorize(self.call(ask, spent), review).await,
            Err(failure) => unmatched(failure),
        };
        let result = answer.result.map(|ruling| {
            let own = self.spec.message.as_ref().filter(|_| ruling.decision == Decision::Deny);
            let reason = clean::line(own.unwrap_or(&ruling.reason), clean::MAX_REASON);
            Ruling { decision: ruling.decision, reason }
        });
        let outcome = result.as_ref().map(|ruling| match ruling.decision {
            Decision::Allow => "allowed",
            Decision::Deny => "denied",
            Decision::NoOpinion => "no_opinion",
        });
        self.record(ask, Interface::Authorization, "", outcome, answer.usage, begin);
        if let Some(watch) = ask.watch {
            watch.wrote(&self.spec.name, Interface::Authorization, answer.facts);
        }
        Some(result)
    }

    /// A used-up limit is never a reason to have no opinion: users can inflate what they send.
    fn on_failure(&self, failure: &Failure) -> FailurePolicy {
        match self.spec.failure_policy {
            FailurePolicy::NoOpinion if failure.is_limit() => FailurePolicy::Fail,
            policy => policy,
        }
    }
}
