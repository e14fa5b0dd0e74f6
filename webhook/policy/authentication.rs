//! TokenReview: the first that authenticates or rejects.

use std::time::Instant;

use tracing::info;

use super::{Ask, Policy, Selection, checked, unmatched};
use crate::{
    engine::run::Answer,
    review::{
        clean,
        token::{Authentication, Identity, TokenReview},
        verdict::TokenVerdict,
    },
    spec::{Failure, Interface},
};

impl Selection<'_> {
    /// Asks one authenticator after the other.
    pub async fn authenticate(&self, ask: Ask<'_>, review: &TokenReview) -> TokenVerdict {
        let mut failed = None;
        for policy in self.policies() {
            let Some(answer) = policy.authenticate(ask, review).await else { continue };
            // A policy in shadow is asked and counted, and never decides.
            if !policy.enforces() {
                continue;
            }
            match answer {
                Ok(Authentication::Authenticated(identity)) => {
                    return TokenVerdict::Authenticated { user: identity.user, audiences: identity.audiences };
                }
                Ok(Authentication::Rejected(_)) => break,
                Ok(Authentication::Unknown) => {}
                Err(failure) => failed = failed.or(Some(format!("policy {}: {}", policy.spec.name, failure.message()))),
            }
        }
        // Where one failed, nobody can tell: the error keeps the "no" out of kube-apiserver's cache.
        TokenVerdict::Unauthenticated { error: failed }
    }
}

impl Policy {
    /// None: the policy does not match.
    async fn authenticate(&self, ask: Ask<'_>, review: &TokenReview) -> Option<Result<Authentication, Failure>> {
        let begin = Instant::now();
        let decided = self.matching.authentication(review, self.bounds(ask)).await;
        let spent = begin.elapsed();
        if let Some(watch) = ask.watch {
            let asked = decided.as_ref().map_or(true, |it| it.is_asked());
            watch.matched(&self.spec.name, Interface::Authentication, asked, || self.matching.explain(&decided, None));
        }
        let answer = match decided {
            Ok(decision) if !decision.is_asked() => return None,
            Ok(_) => self.template.authenticate(self.call(ask, spent), review).await,
            Err(failure) => unmatched(failure),
        };
        let Answer { result, usage, facts } = checked(answer, |it| check(it, review));
        let outcome = match &result {
            Ok(Authentication::Authenticated(_)) => Ok("authenticated"),
            Ok(Authentication::Unknown) => Ok("unknown"),
            Ok(Authentication::Rejected(reason)) => {
                let reason = if self.spec.grants.log { clean::line(reason, clean::MAX_REASON) } else { String::new() };
                info!(policy = self.spec.name, reason, "a token was rejected");
                Ok("rejected")
            }
            Err(failure) => Err(failure),
        };
        self.record(ask, Interface::Authentication, "", outcome, usage, begin);
        if let Some(watch) = ask.watch {
            watch.wrote(&self.spec.name, Interface::Authentication, facts);
        }
        Some(result)
    }
}

/// Never an empty username; only audiences that were asked for, and if none is left, not by this policy.
fn check(answer: Authentication, review: &TokenReview) -> Result<Authentication, Failure> {
    let Authentication::Authenticated(Identity { user, mut audiences }) = answer else { return Ok(answer) };
    if user.username.trim().is_empty() {
        return Err(Failure::Answer("the username is empty".to_owned()));
    }
    if audiences.is_empty() {
        return Ok(Authentication::Authenticated(Identity { user, audiences }));
    }
    audiences.retain(|it| review.audiences.contains(it));
    Ok(if audiences.is_empty() {
        Authentication::Unknown
    } else {
        Authentication::Authenticated(Identity { user, audiences })
    })
}
