//! Between wit-bindgen's types and the author's: a policy in its slot, one function per export.

use std::{cell::OnceCell, thread::LocalKey};

use crate::{
    Authenticator, Authorizer, Cleanup, Controller, Error, Mutator, Policy, Provider, Validator,
    generated::base::exports::verdict::policy::lifecycle::SettingsError, settings,
};

/// wit-bindgen's types, by interface.
pub mod wit {
    pub use crate::generated::{
        authentication::exports::verdict::authentication::authentication,
        authorization::exports::verdict::authorization::authorization, changes::exports::verdict::events::changes,
        mutating::exports::verdict::admission::mutating, validating::exports::verdict::admission::validating,
        validating::verdict::admission::admission,
    };
}

pub type InitResult = Result<(), Vec<SettingsError>>;

/// What `export!` makes: a place for the one policy of the component.
pub trait Exported {
    type Policy: Policy;

    fn slot() -> &'static LocalKey<OnceCell<Self::Policy>>;
}

pub fn init<E: Exported>(settings: &str) -> InitResult {
    let to_wit = |errors: Vec<settings::SettingsError>| {
        errors.into_iter().map(|error| SettingsError { path: error.path, message: error.message }).collect::<Vec<_>>()
    };
    let policy = settings::build::<E::Policy>(settings).map_err(to_wit)?;
    E::slot().with(|slot| slot.set(policy)).map_err(|_| {
        to_wit(vec![settings::SettingsError::new("", "init was called a second time in the same instance")])
    })
}

pub fn cleanup<E: Exported<Policy: Cleanup>>() -> Result<(), String> {
    ask::<E, _>(|policy| policy.cleanup())
}

pub fn authenticate<E: Exported<Policy: Authenticator>>(
    review: wit::authentication::TokenReview,
) -> Result<wit::authentication::Outcome, String> {
    ask::<E, _>(|policy| policy.authenticate(&review.into())).map(Into::into)
}

pub fn authorize<E: Exported<Policy: Authorizer>>(
    review: wit::authorization::SubjectAccessReview,
) -> Result<wit::authorization::Ruling, String> {
    ask::<E, _>(|policy| policy.authorize(&review.into())).map(Into::into)
}

pub fn validate<E: Exported<Policy: Validator>>(
    request: wit::admission::Request,
) -> Result<wit::validating::Validation, String> {
    ask::<E, _>(|policy| policy.validate(&request.into())).map(Into::into)
}

pub fn mutate<E: Exported<Policy: Mutator>>(
    request: wit::admission::Request,
) -> Result<wit::mutating::Mutation, String> {
    ask::<E, _>(|policy| policy.mutate(&request.into())).map(Into::into)
}

pub fn handle_event<E: Exported<Policy: Provider>>(event: &str) -> Result<String, String> {
    ask::<E, _>(|policy| crate::policy::answer(policy, event))
}

pub fn handle<E: Exported<Policy: Controller>>(
    change: wit::changes::Change,
) -> Result<Vec<wit::changes::Action>, String> {
    let actions = ask::<E, _>(|policy| policy.handle(&change.into()))?;
    Ok(actions.into_iter().map(Into::into).collect())
}

fn ask<E: Exported, T>(question: impl FnOnce(&E::Policy) -> Result<T, Error>) -> Result<T, String> {
    E::slot().with(|slot| match slot.get() {
        Some(policy) => question(policy).map_err(|error| error.to_string()),
        None => Err("the policy was asked before init".to_owned()),
    })
}
