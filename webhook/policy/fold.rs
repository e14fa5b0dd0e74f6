//! What several policies said about one AdmissionReview, folded to one verdict.

use std::iter;

use super::Policy;
use crate::{
    review::{
        admission::Annotation,
        causes, clean, together,
        verdict::{AdmissionVerdict, Denied},
    },
    spec::Failure,
};

/// What one policy said.
pub(super) struct Said {
    pub(super) denial: Option<Denied>,
    pub(super) warnings: Vec<String>,
    pub(super) annotations: Vec<Annotation>,
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
    pub(super) fn add(&mut self, policy: &'a Policy, said: Result<Said, Failure>) -> bool {
        let (name, actions) = (&policy.spec.name, policy.spec.actions);
        // Its own verdict comes first, so that nothing else can displace it.
        let mut warnings = Vec::new();
        let mut annotations = Vec::new();
        let (denial, more) = match said {
            Ok(said) => (Ok(said.denial), (said.warnings, said.annotations)),
            Err(failure) => (Err(failure), Default::default()),
        };
        let allowed = match denial {
            Ok(None) => true,
            Ok(Some(denied)) => {
                let whole = causes::with_lines(&denied.message, &denied.causes);
                if actions.audit {
                    annotations.push(Annotation { key: "denied".to_owned(), value: whole.clone() });
                }
                if actions.warn {
                    let lines = causes::lines(&denied.message, &denied.causes);
                    warnings.extend(iter::once(denied.message.clone()).chain(lines).map(|it| format!("{name}: {it}")));
                }
                if actions.deny {
                    self.denials.push(Denied { message: format!("{name}: {whole}"), ..denied });
                }
                false
            }
            Err(failure) if !policy.fails_on(&failure) => {
                if actions.deny || actions.warn {
                    let field = if failure.is_limit() { "limitPolicy" } else { "failurePolicy" };
                    warnings.push(format!("{name}: {}; ignored because of {field}", failure.message()));
                }
                false
            }
            // A failure that counts is enforced by the same actions as a denial.
            Err(failure) => {
                let words = format!("{name}: {}", failure.message());
                if actions.audit {
                    annotations.push(Annotation { key: "failed".to_owned(), value: failure.message().to_string() });
                }
                if actions.warn {
                    warnings.push(words.clone());
                }
                if actions.deny {
                    self.denials.push(failed(words, failure.code()));
                }
                false
            }
        };
        warnings.extend(more.0);
        annotations.extend(more.1);
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
    Denied { message, ..Denied::of(code) }
}
