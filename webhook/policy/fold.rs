//! What several policies said about one AdmissionReview, folded to one verdict.

use tracing::info;

use super::Policy;
use crate::{
    config::schema::Mode,
    engine::{Fact, Failure},
    review::{
        admission::Annotation,
        clean, together,
        verdict::{AdmissionVerdict, Denied},
    },
    text,
};

/// What one policy said.
pub(super) struct Said {
    pub(super) denial: Result<Option<Denied>, Failure>,
    /// Whether it changed the object.
    pub(super) changes: bool,
    pub(super) warnings: Vec<String>,
    pub(super) annotations: Vec<Annotation>,
    pub(super) facts: Vec<Fact>,
}

impl Said {
    pub(super) fn failed(failure: Failure, facts: Vec<Fact>) -> Self {
        Self { denial: Err(failure), changes: false, warnings: Vec::new(), annotations: Vec::new(), facts }
    }
}

/// What all of them said so far.
#[derive(Default)]
pub(super) struct Fold<'a> {
    denials: Vec<Denied>,
    warnings: Vec<Vec<String>>,
    annotations: Vec<(&'a str, Vec<Annotation>)>,
}

impl<'a> Fold<'a> {
    /// Whether the policy allowed.
    pub(super) fn add(&mut self, policy: &'a Policy, said: Said) -> bool {
        let name = &policy.spec.name;
        // Its own verdict comes first, so that nothing else can displace it.
        let mut warnings = Vec::new();
        let mut annotations = Vec::new();
        let allowed = match said.denial {
            Ok(None) => {
                if policy.spec.mode == Mode::Warn && said.changes {
                    warnings.push(format!("{name}: would change the object"));
                }
                true
            }
            Ok(Some(denied)) => {
                let words = format!("{name}: {}", denied.message);
                match policy.spec.mode {
                    Mode::Enforce => self.denials.push(Denied { message: words, ..denied }),
                    Mode::Warn => warnings.push(words),
                    Mode::Audit => {
                        info!(policy = name, denial = text::line(&denied.message), "would be denied");
                        annotations.push(Annotation { key: "denied".to_owned(), value: denied.message });
                    }
                }
                false
            }
            Err(failure) => {
                let words = format!("{name}: {}", failure.message());
                match policy.spec.mode {
                    Mode::Enforce if policy.fails_on(&failure) => self.denials.push(failed(words, failure.code())),
                    Mode::Enforce => warnings.push(format!("{words}; its verdict is not waited for")),
                    Mode::Warn => warnings.push(words),
                    Mode::Audit => {}
                }
                false
            }
        };
        let facts = said.facts.into_iter().map(|it| Annotation { key: it.key, value: it.value });
        annotations.extend(said.annotations.into_iter().chain(facts));
        warnings.extend(said.warnings);
        self.warnings.push(warnings.iter().filter_map(|it| clean::warning(it)).collect());
        self.annotations.push((name, annotations));
        allowed
    }

    /// Whether somebody denied, so that the review is.
    pub(super) fn is_denied(&self) -> bool {
        !self.denials.is_empty()
    }

    /// Denies for a reason that is not a policy's own.
    pub(super) fn fail(&mut self, words: &str, code: u16) {
        self.denials.push(failed(words.to_owned(), code));
    }

    pub(super) fn verdict(self, patch: Option<String>) -> AdmissionVerdict {
        AdmissionVerdict {
            denial: together::denial(self.denials),
            patch,
            warnings: together::warnings(self.warnings),
            annotations: together::annotations(self.annotations),
        }
    }
}

fn failed(message: String, code: u16) -> Denied {
    let reason = if code == 504 { "Timeout" } else { "InternalError" };
    Denied { message, code, reason: reason.to_owned(), causes: Vec::new() }
}
