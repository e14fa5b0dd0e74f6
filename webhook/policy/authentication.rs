//! TokenReview: the first that authenticates or rejects.

use std::time::{Duration, Instant};

use super::{
    Ask, Policy, Selection,
    ask::{Asked, Question},
};
use crate::{
    engine::run::{Answer, Call, Template},
    review::{
        clean,
        token::{Authentication, Identity, TokenReview},
        verdict::TokenVerdict,
    },
    spec::{Failure, Outcome},
    text,
};

impl Selection<'_> {
    /// Asks one authenticator after the other.
    pub async fn authenticate(&self, ask: Ask<'_>, review: &TokenReview) -> TokenVerdict {
        let mut failed = None;
        for policy in self.policies() {
            let Some(asked) = policy.authenticates(ask, review).await else { continue };
            let answer = asked.put(ask, review).await;
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
        // Where one failed, the answer is not known: the error keeps the "no" out of kube-apiserver's cache.
        TokenVerdict::Unauthenticated { error: failed }
    }
}

impl Policy {
    async fn authenticates(&self, ask: Ask<'_>, review: &TokenReview) -> Option<Asked<'_>> {
        let begin = Instant::now();
        let decided = self.matching.authentication(review, self.bounds(ask)).await;
        self.asked(ask, None, decided, begin, begin.elapsed())
    }
}

impl Question for TokenReview {
    type Said = Authentication;
    type Answer = Authentication;
    const MAKES_WAY: bool = false;

    async fn put(&self, template: &Template, call: Call<'_>) -> Answer<Authentication> {
        template.authenticate(call, self).await
    }

    /// Never an empty username; only audiences that were asked for, and if none is left, not by this policy.
    async fn settle(
        &self,
        _: Ask<'_>,
        _: &Policy,
        said: Authentication,
        _: Duration,
    ) -> Result<Authentication, Failure> {
        let Authentication::Authenticated(Identity { user, mut audiences }) = said else { return Ok(said) };
        if user.username.trim().is_empty() {
            return Err(Failure::Answer("the username is empty".to_owned()));
        }
        if audiences.is_empty() {
            return Ok(Authentication::Authenticated(Identity { user, audiences }));
        }
        audiences.retain(|it| self.audiences.contains(it));
        Ok(if audiences.is_empty() {
            Authentication::Unknown
        } else {
            Authentication::Authenticated(Identity { user, audiences })
        })
    }

    fn outcome(&self, policy: &Policy, answer: &Authentication) -> (Outcome, Option<String>) {
        match answer {
            Authentication::Authenticated(_) => (Outcome::Authenticated, None),
            Authentication::Unknown => (Outcome::Unknown, None),
            Authentication::Rejected(reason) => {
                // It may hold the token.
                let told = || clean::line(&text::without(reason, &self.token), clean::MAX_REASON);
                let told = if policy.spec.grants.log { told() } else { String::new() };
                (Outcome::Rejected, Some(told))
            }
        }
    }
}
