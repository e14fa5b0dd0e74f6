//! The six kinds: how a review reaches the policy, and which word its answer is.

use std::fmt::Debug;

use super::wire;
use crate::{
    Action, Authentication, Authenticator, Authorizer, Change, Controller, Decision, Error, Mutation, Mutator,
    Provider, Ruling, Validation, Validator, policy,
};

/// One kind of review.
pub trait Kind<P> {
    /// What the policy answers.
    type Answer: Debug;

    /// Asks the policy.
    fn ask(policy: &P, review: &str) -> Result<Self::Answer, Error>;

    /// The word with which names of sample reviews begin.
    fn verdict(answer: &Self::Answer) -> &'static str;
}

/// AdmissionReview, validating.
pub struct Validating;
/// AdmissionReview, mutating.
pub struct Mutating;
/// TokenReview.
pub struct Authenticating;
/// SubjectAccessReview.
pub struct Authorizing;
/// Events.
pub struct Providing;
/// Changes of objects.
pub struct Controlling;

impl<P: Validator> Kind<P> for Validating {
    type Answer = Validation;

    fn ask(policy: &P, review: &str) -> Result<Validation, Error> {
        policy.validate(&wire::admission(review))
    }

    fn verdict(answer: &Validation) -> &'static str {
        match answer.outcome {
            Ok(()) => "allowed",
            Err(_) => "denied",
        }
    }
}

impl<P: Mutator> Kind<P> for Mutating {
    type Answer = Mutation;

    fn ask(policy: &P, review: &str) -> Result<Mutation, Error> {
        policy.mutate(&wire::admission(review))
    }

    fn verdict(answer: &Mutation) -> &'static str {
        match answer.outcome {
            Ok(Change::Unchanged) => "unchanged",
            Ok(_) => "changed",
            Err(_) => "denied",
        }
    }
}

impl<P: Authenticator> Kind<P> for Authenticating {
    type Answer = Authentication;

    fn ask(policy: &P, review: &str) -> Result<Authentication, Error> {
        policy.authenticate(&wire::token(review))
    }

    fn verdict(answer: &Authentication) -> &'static str {
        match answer {
            Authentication::Authenticated(_) => "authenticated",
            Authentication::Unknown => "unknown",
            Authentication::Rejected(_) => "rejected",
        }
    }
}

impl<P: Authorizer> Kind<P> for Authorizing {
    type Answer = Ruling;

    fn ask(policy: &P, review: &str) -> Result<Ruling, Error> {
        policy.authorize(&wire::access(review))
    }

    fn verdict(answer: &Ruling) -> &'static str {
        match answer.decision {
            Decision::Allow => "allow",
            Decision::Deny => "deny",
            Decision::NoOpinion => "no-opinion",
        }
    }
}

impl<P: Provider> Kind<P> for Providing {
    type Answer = serde_json::Value;

    fn ask(policy: &P, review: &str) -> Result<serde_json::Value, Error> {
        Ok(serde_json::from_str(&policy::answer(policy, review)?)?)
    }

    fn verdict(_: &serde_json::Value) -> &'static str {
        "answered"
    }
}

impl<P: Controller> Kind<P> for Controlling {
    type Answer = Vec<Action>;

    fn ask(policy: &P, change: &str) -> Result<Vec<Action>, Error> {
        policy.handle(&wire::change(change))
    }

    fn verdict(_: &Vec<Action>) -> &'static str {
        "answered"
    }
}
