//! Native unit tests of policies: whole v1 reviews in, answers out, without Wasm and without a server.
//!
//! Sample reviews live in the policy's folder `reviews/`, named after the verdict that they must give:
//! `allowed-…` and `denied-…` for a validator; `unchanged-…`, `changed-…` and `denied-…` for a mutator;
//! `authenticated-…`, `unknown-…`, `rejected-…`; `allow-…`, `deny-…`, `no-opinion-…`; `answered-…` for a provider, whose reviews
//! are events, and for a controller, whose reviews are changes (`{"type": "ADDED", "object": {...}}`, and `oldObject` and `replayed`
//! where they are known). `error-…` for all: the policy cannot decide.

mod kinds;
mod wire;

use std::{fs, marker::PhantomData, path::PathBuf};

pub use kinds::{Authenticating, Authorizing, Controlling, Kind, Mutating, Providing, Validating};
pub use wire::{access, admission, change, token};

use crate::{
    Authenticator, Authorizer, Controller, Error, Mutator, Policy, Provider, SettingsError, Validator,
    host::{imports, log::Level},
    settings,
};

/// A policy that is built and can be asked in one of its kinds.
pub struct Subject<P, K> {
    policy: P,
    kind: PhantomData<K>,
}

/// A validator with these settings (JSON text). Panics if they are refused.
pub fn validator<P: Validator>(settings: &str) -> Subject<P, Validating> {
    Subject::new(settings)
}

/// A mutator with these settings (JSON text). Panics if they are refused.
pub fn mutator<P: Mutator>(settings: &str) -> Subject<P, Mutating> {
    Subject::new(settings)
}

/// An authenticator with these settings (JSON text). Panics if they are refused.
pub fn authenticator<P: Authenticator>(settings: &str) -> Subject<P, Authenticating> {
    Subject::new(settings)
}

/// An authorizer with these settings (JSON text). Panics if they are refused.
pub fn authorizer<P: Authorizer>(settings: &str) -> Subject<P, Authorizing> {
    Subject::new(settings)
}

/// A provider with these settings (JSON text). Panics if they are refused.
pub fn provider<P: Provider>(settings: &str) -> Subject<P, Providing> {
    Subject::new(settings)
}

/// A controller with these settings (JSON text). Panics if they are refused.
pub fn controller<P: Controller>(settings: &str) -> Subject<P, Controlling> {
    Subject::new(settings)
}

/// Why these settings (JSON text) are refused. Panics if they are not.
pub fn settings_errors<P: Policy>(settings: &str) -> Vec<SettingsError> {
    match settings::build::<P>(settings) {
        Ok(_) => panic!("the settings were taken: {settings}"),
        Err(errors) => errors,
    }
}

/// Panics unless `settings.schema.json` in the policy's folder is this JSON Schema, that of the settings' type, for example by
/// the crate schemars: `schemars::schema_for!(Settings)`. With the environment variable `BLESS` set it writes the file.
pub fn check_schema(schema: &impl serde::Serialize) {
    let path = folder("settings.schema.json");
    let wanted = serde_json::to_value(schema).unwrap_or_else(|error| panic!("no JSON: {error}"));
    if std::env::var_os("BLESS").is_some() {
        let text = format!("{wanted:#}\n");
        return fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let found = fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    assert!(
        found.as_ref() == Some(&wanted),
        "{} is not the schema of the settings: run BLESS=1 cargo test; expected {wanted:#}",
        path.display()
    );
}

/// What this thread's policies logged since the last call.
pub fn take_logged() -> Vec<(Level, String)> {
    imports::LOGGED.take()
}

/// What this thread's policies wrote to the audit log since the last call.
pub fn take_audited() -> Vec<(String, String)> {
    imports::AUDITED.take()
}

impl<P: Policy, K: Kind<P>> Subject<P, K> {
    fn new(settings: &str) -> Self {
        match settings::build(settings) {
            Ok(policy) => Self { policy, kind: PhantomData },
            Err(errors) => panic!("the settings were refused: {errors:?}"),
        }
    }

    /// The answer to a whole review (a v1 AdmissionReview, TokenReview or SubjectAccessReview; an event for a provider, a change for a controller) as JSON.
    pub fn try_ask(&self, review: &str) -> Result<K::Answer, Error> {
        imports::RAW.set(review.to_owned());
        K::ask(&self.policy, review)
    }

    /// As `try_ask`; panics if the policy cannot decide.
    pub fn ask(&self, review: &str) -> K::Answer {
        match self.try_ask(review) {
            Ok(answer) => answer,
            Err(error) => panic!("the policy could not decide: {error}"),
        }
    }

    /// The answer to a file in the policy's folder `reviews/`.
    pub fn ask_file(&self, name: &str) -> K::Answer {
        let path = folder("reviews").join(name);
        match fs::read_to_string(&path) {
            Ok(review) => self.ask(&review),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }

    /// Asks every file in `reviews/`, and panics unless each gives the verdict that it is named after.
    pub fn check_reviews(&self) {
        self.check_folder("reviews");
    }

    /// As `check_reviews`, for another folder of the policy's.
    pub fn check_folder(&self, name: &str) {
        let folder = folder(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut files: Vec<PathBuf> =
            entries.map(|entry| entry.map(|it| it.path())).collect::<Result<_, _>>().unwrap_or_default();
        files.retain(|path| path.extension().is_some_and(|it| it == "json"));
        files.sort();
        assert!(!files.is_empty(), "no sample reviews in {}", folder.display());
        for path in files {
            self.check_file(&path);
        }
    }

    fn check_file(&self, path: &std::path::Path) {
        let review = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let answer = self.try_ask(&review);
        let verdict = answer.as_ref().map_or("error", K::verdict);
        let stem = path.file_stem().and_then(|it| it.to_str()).unwrap_or_default();
        let agrees = stem == verdict || stem.strip_prefix(verdict).is_some_and(|rest| rest.starts_with('-'));
        assert!(agrees, "{} gave {verdict}: {answer:?}", path.display());
    }
}

fn folder(name: &str) -> PathBuf {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into());
    PathBuf::from(root).join(name)
}
