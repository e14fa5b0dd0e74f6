//! AdmissionReview: all validators that match, together; mutators in order, each on the object as changed so far.

use std::time::Instant;

use futures_util::future::join_all;
use serde_json::value::RawValue;
use tracing::info;

use super::{Ask, Policy, Selection, checked, matching::Decision, unmatched};
use crate::{
    config::schema::{FailurePolicy, Mode, OnLimit},
    engine::{Fact, Failure, Interface},
    review::{
        admission::{AdmissionRequest, Annotation, Cause, Change, Denial, Mutation},
        clean, patch,
        verdict::{AdmissionVerdict, Denied},
    },
};

impl Selection<'_> {
    /// Asks all validators that match, and reports every denial.
    pub async fn validate(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>) -> AdmissionVerdict {
        let object = request.object.map(RawValue::get);
        // Most reviews match few policies: only these cost more than a look at their rules.
        let mut asked: Vec<Asked<'_>> =
            self.about(ask, &request.resource.resource).filter_map(|it| it.asked(ask, request, object)).collect();
        let mut fold = Fold::default();
        if asked.len() == 1
            && let Some(asked) = asked.pop()
        {
            fold.add(asked.policy, asked.validate(ask, request).await);
        } else {
            let said = join_all(asked.iter().map(|asked| asked.validate(ask, request))).await;
            for (asked, said) in asked.iter().zip(said) {
                fold.add(asked.policy, said);
            }
        }
        fold.verdict(None)
    }

    /// Asks one mutator after the other; the patch gives exactly the last object.
    pub async fn mutate(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>) -> AdmissionVerdict {
        let original = request.object.map(RawValue::get);
        let mut changed: Option<String> = None;
        let mut fold = Fold::default();
        for policy in self.about(ask, &request.resource.resource) {
            let object = changed.as_deref().or(original);
            let Some(mut said) = policy.mutate(ask, request, object).await else { continue };
            let object = said.object.take();
            if fold.add(policy, said) && policy.enforces() {
                changed = object.or(changed);
            }
            if !fold.denials.is_empty() {
                return fold.verdict(None);
            }
        }
        match (original, changed) {
            (Some(original), Some(changed)) => match patch::between(original, &changed) {
                Ok(patch) => fold.verdict(patch),
                Err(error) => {
                    tracing::error!(%error, "the changes cannot be written as one patch");
                    fold.denials.push(failed("the changes cannot be written as one patch".to_owned(), 500));
                    fold.verdict(None)
                }
            },
            _ => fold.verdict(None),
        }
    }
}

/// What one policy said.
struct Said {
    denial: Result<Option<Denied>, Failure>,
    /// The object as this policy changed it.
    object: Option<String>,
    warnings: Vec<String>,
    annotations: Vec<Annotation>,
    facts: Vec<Fact>,
}

/// What all of them said so far.
#[derive(Default)]
struct Fold {
    denials: Vec<Denied>,
    warnings: Vec<String>,
    verdict: AdmissionVerdict,
}

impl Fold {
    /// Whether the policy allowed.
    fn add(&mut self, policy: &Policy, said: Said) -> bool {
        let name = &policy.spec.name;
        let facts = said.facts.into_iter().map(|it| Annotation { key: it.key, value: it.value });
        clean::annotate(&mut self.verdict.annotations, name, said.annotations.into_iter().chain(facts));
        self.warnings.extend(said.warnings.iter().filter_map(|it| clean::warning(it)));
        match said.denial {
            Ok(None) => {
                if policy.spec.mode == Mode::Warn && said.object.is_some() {
                    self.warn(&format!("{name}: would change the object"));
                }
                true
            }
            Ok(Some(denied)) => {
                let words = format!("{name}: {}", denied.message);
                match policy.spec.mode {
                    Mode::Enforce => self.denials.push(Denied { message: words, ..denied }),
                    Mode::Warn => self.warn(&words),
                    Mode::Audit => {
                        info!(policy = name, message = denied.message, "would be denied");
                        let denied = Annotation { key: "denied".to_owned(), value: denied.message };
                        clean::annotate(&mut self.verdict.annotations, name, [denied]);
                    }
                }
                false
            }
            Err(failure) => {
                let words = format!("{name}: {}", failure.message());
                match policy.spec.mode {
                    Mode::Enforce if policy.fails_on(&failure) => self.denials.push(failed(words, failure.code())),
                    Mode::Enforce => self.warn(&format!("{words}; its verdict is not waited for")),
                    Mode::Warn => self.warn(&words),
                    Mode::Audit => {}
                }
                false
            }
        }
    }

    fn warn(&mut self, text: &str) {
        self.warnings.extend(clean::warning(text));
    }

    fn verdict(mut self, patch: Option<String>) -> AdmissionVerdict {
        self.warnings.truncate(clean::MAX_WARNINGS);
        self.verdict.warnings = self.warnings;
        self.verdict.patch = patch;
        self.verdict.denial = together(self.denials);
        self.verdict
    }
}

/// One denial of several: every message and cause, and the code and reason that they share.
fn together(mut denials: Vec<Denied>) -> Option<Denied> {
    if denials.len() <= 1 {
        return denials.pop();
    }
    // What a user can mend comes before what only the operator can.
    let by_policy = denials.iter().filter(|it| it.code < 500).collect::<Vec<_>>();
    let first = by_policy.first().copied().or(denials.first())?;
    let alike = by_policy.iter().all(|it| (it.code, &it.reason) == (first.code, &first.reason));
    let (code, reason) = if alike { (first.code, first.reason.clone()) } else { (403, "Forbidden".to_owned()) };
    let messages: Vec<&str> = denials.iter().map(|it| it.message.as_str()).collect();
    let message = messages.join("\n");
    let causes = denials.into_iter().flat_map(|it| it.causes).collect();
    Some(Denied { message, code, reason, causes })
}

fn failed(message: String, code: u16) -> Denied {
    let reason = if code == 504 { "Timeout" } else { "InternalError" };
    Denied { message, code, reason: reason.to_owned(), causes: Vec::new() }
}

/// A policy that matches, or of which nobody can tell.
struct Asked<'a> {
    policy: &'a Policy,
    begin: Instant,
    /// Words for the operator.
    unmatched: Option<String>,
}

impl Asked<'_> {
    async fn validate(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>) -> Said {
        let Self { policy, begin, unmatched: words } = self;
        let answer = match words {
            None => policy.template.validate(policy.call(ask), request, request.object.map(RawValue::get)).await,
            Some(words) => unmatched(words.clone()),
        };
        let outcome = answer.result.as_ref().map(|it| if it.denial.is_some() { "denied" } else { "allowed" });
        policy.record(ask, Interface::Validating, request.operation.name(), outcome, answer.usage, *begin);
        let facts = answer.facts;
        match answer.result {
            Ok(it) => Said {
                denial: Ok(it.denial.map(|it| policy.denied(it))),
                object: None,
                warnings: it.warnings,
                annotations: it.annotations,
                facts,
            },
            Err(failure) => Said::failed(failure, facts),
        }
    }
}

impl Policy {
    /// None: the policy does not match.
    fn asked(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>, object: Option<&str>) -> Option<Asked<'_>> {
        let begin = Instant::now();
        let unmatched = match self.decided(ask, Interface::Validating, request, object) {
            Ok(false) => return None,
            Ok(true) => None,
            Err(words) => Some(words),
        };
        Some(Asked { policy: self, begin, unmatched })
    }

    /// Whether it is asked; words for the operator where nobody can tell.
    fn decided(
        &self,
        ask: Ask<'_>,
        interface: Interface,
        request: &AdmissionRequest<'_>,
        object: Option<&str>,
    ) -> Result<bool, String> {
        let decided = self.matching.admission(request, object);
        if let Some(watch) = ask.watch {
            let asked = decided.as_ref().map_or(true, |it| it.is_asked());
            watch.matched(&self.spec.name, interface, asked, || self.matching.explain(&decided, Some(request)));
        }
        decided.map(Decision::is_asked)
    }

    /// None: the policy does not match.
    async fn mutate(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>, object: Option<&str>) -> Option<Said> {
        let begin = Instant::now();
        let answer = match self.decided(ask, Interface::Mutating, request, object) {
            Ok(false) => return None,
            Ok(true) => {
                let answer = self.template.mutate(self.call(ask), request, object).await;
                checked(answer, |it| apply(object, it))
            }
            Err(words) => unmatched(words),
        };
        let outcome = answer.result.as_ref().map(|(mutation, object)| match (&mutation.outcome, object) {
            (Err(_), _) => "denied",
            (Ok(_), Some(_)) => "mutated",
            (Ok(_), None) => "allowed",
        });
        self.record(ask, Interface::Mutating, request.operation.name(), outcome, answer.usage, begin);
        let facts = answer.facts;
        Some(match answer.result {
            Ok((it, object)) => Said {
                denial: Ok(it.outcome.err().map(|it| self.denied(it))),
                object,
                warnings: it.warnings,
                annotations: it.annotations,
                facts,
            },
            Err(failure) => Said::failed(failure, facts),
        })
    }

    /// The policy's words, or the operator's with the policy's kept as a cause.
    fn denied(&self, mut denial: Denial) -> Denied {
        if let Some(own) = &self.spec.message {
            let theirs = std::mem::replace(&mut denial.message, own.clone());
            if denial.causes.is_empty() {
                denial.causes.push(Cause { message: theirs, ..Cause::default() });
            }
        }
        clean::denied(denial)
    }

    fn fails_on(&self, failure: &Failure) -> bool {
        if failure.is_limit() {
            self.spec.on_limit == OnLimit::Fail
        } else {
            self.spec.failure_policy != FailurePolicy::Ignore
        }
    }
}

impl Said {
    fn failed(failure: Failure, facts: Vec<Fact>) -> Self {
        Self { denial: Err(failure), object: None, warnings: Vec::new(), annotations: Vec::new(), facts }
    }
}

/// The mutation, and the object if it changed.
fn apply(object: Option<&str>, mutation: Mutation) -> Result<(Mutation, Option<String>), Failure> {
    let changed = match (&mutation.outcome, object) {
        (Err(_) | Ok(Change::Unchanged), _) => None,
        (Ok(change), Some(object)) => {
            patch::apply(object, change).map_err(|error| Failure::Answer(error.to_string()))?
        }
        (Ok(_), None) => return Err(Failure::Answer("it changes an object where there is none".to_owned())),
    };
    Ok((mutation, changed))
}
