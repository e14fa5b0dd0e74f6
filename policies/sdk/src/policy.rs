//! What an author implements: a policy, and one trait per kind of review that it answers.
//!
//! A `Result::Err` means "this policy could not decide". It is never an allow: the operator's failurePolicy
//! decides, and the text goes to the server's log, not to the user.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Action, AdmissionRequest, Authentication, Error, Mutation, ObjectChange, Ruling, SettingsError,
    SubjectAccessReview, TokenReview, Validation, settings::parse,
};

/// A policy: built once from its settings, then asked. State that it changes while it answers is gone with the
/// answer: every review starts from the policy as it was after `new`.
pub trait Policy: Sized + 'static {
    /// What the operator may set; [`NoSettings`](crate::NoSettings) for nothing. Settings that do not fit are
    /// refused with the path of the field. Put `#[serde(deny_unknown_fields)]` on it, so that typing errors are found.
    type Settings: DeserializeOwned;

    /// Checks the settings and builds the policy. Errors are shown to the operator, and the policy does not load.
    fn new(settings: Self::Settings) -> Result<Self, Vec<SettingsError>>;
}

/// Has something to do when it is unloaded: `export!(MyPolicy: Validator, Cleanup);`.
pub trait Cleanup: Policy {
    /// Called once, in an instance that has seen no review. An error is logged and changes nothing.
    fn cleanup(&self) -> Result<(), Error>;
}

/// Answers TokenReview: who is the bearer of this token?
pub trait Authenticator: Policy {
    /// Decides one review. For tokens of others the answer is [`Authentication::Unknown`].
    fn authenticate(&self, review: &TokenReview) -> Result<Authentication, Error>;
}

/// Answers SubjectAccessReview: may this user do this?
pub trait Authorizer: Policy {
    /// Decides one review. What the policy does not care for is [`Ruling::no_opinion`].
    fn authorize(&self, review: &SubjectAccessReview) -> Result<Ruling, Error>;
}

/// Answers AdmissionReview without changing the object: may it enter?
pub trait Validator: Policy {
    /// Decides one review.
    fn validate(&self, request: &AdmissionRequest) -> Result<Validation, Error>;
}

/// Answers AdmissionReview and may change the object.
pub trait Mutator: Policy {
    /// Decides one review. Applied to its own result, a mutator must answer [`Mutation::unchanged`]: the API server may ask again.
    fn mutate(&self, request: &AdmissionRequest) -> Result<Mutation, Error>;
}

/// Answers events.
pub trait Provider: Policy {
    /// The event; [`serde_json::Value`] takes any. An event that does not fit is answered with an error that names the field.
    type Event: DeserializeOwned;
    /// The answer.
    type Answer: Serialize;

    /// Answers one event.
    fn handle_event(&self, event: Self::Event) -> Result<Self::Answer, Error>;
}

/// Answers changes of objects of a cluster with what is to be done: `spec.events` of the object that names the component says of which
/// objects it is told, and `spec.grants.kubernetes.serviceAccount` as whom its actions are done.
pub trait Controller: Policy {
    /// What is to be done about one change, in this order; nothing, where the list is empty. Where one action fails, those after it are
    /// not done, and the change comes again later; so it does after an error. At most 64 actions.
    fn handle(&self, change: &ObjectChange) -> Result<Vec<Action>, Error>;
}

/// One event through a provider: JSON text in, JSON text out.
pub(crate) fn answer<P: Provider>(policy: &P, event: &str) -> Result<String, Error> {
    let event = parse(event).map_err(|(path, message)| Error::new(format!("event{path}: {message}")))?;
    let answer = policy.handle_event(event)?;
    Ok(serde_json::to_string(&answer)?)
}
