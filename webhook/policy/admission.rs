//! AdmissionReview: all validators that match, together; mutators in order, each on the object as changed so far.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::value::RawValue;
use tracing::error;

use super::{
    Ask, Policy, Selection, changes,
    fold::{Fold, Said},
    matching::View,
    unmatched,
};
use crate::{
    engine::run::Answer,
    review::{
        admission::{AdmissionRequest, Cause, Change, Denial, Mutation},
        clean,
        verdict::{AdmissionVerdict, Denied},
    },
    spec::{Failure, FailurePolicy, Interface, LimitPolicy},
};

impl Selection<'_> {
    /// Asks all validators that match, and reports every denial.
    pub async fn validate(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>) -> AdmissionVerdict {
        let object = request.object.map(RawValue::get);
        // Most reviews match few policies: only these cost more than a look at their rules.
        let mut view = self.view(ask, request);
        let mut asked: Vec<Asked<'_>> = Vec::new();
        for policy in self.about(ask, request) {
            asked.extend(policy.asked(ask, &mut view, object).await);
        }
        drop(view);
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
        let mut view = self.view(ask, request);
        for policy in self.about(ask, request) {
            let object = changed.as_deref().or(original);
            let Some((said, object)) = policy.mutate(ask, &mut view, object).await else { continue };
            if fold.add(policy, said)
                && policy.enforces()
                && let Some(object) = object
            {
                changed = Some(object);
                view.changed();
            }
            if fold.is_denied() {
                return fold.verdict(None);
            }
        }
        let (Some(original), Some(changed)) = (original, changed) else { return fold.verdict(None) };
        match changes::between(original, changed, ask.deadline).await {
            Ok(patch) => fold.verdict(patch),
            Err(failure) => {
                error!(%failure, "the changes cannot be written as one patch");
                fold.fail("the changes cannot be written as one patch", failure.code());
                fold.verdict(None)
            }
        }
    }
}

impl<'s> Selection<'s> {
    fn view<'a>(&self, ask: Ask<'_>, request: &'a AdmissionRequest<'a>) -> View<'a>
    where
        's: 'a,
    {
        View::new(request, self.reads(ask, request), self.set.memory.share(), ask.deadline)
    }
}

/// A policy that matches, or of which nobody can tell.
struct Asked<'a> {
    policy: &'a Policy,
    begin: Instant,
    unmatched: Option<Failure>,
    /// What of its time its conditions took.
    spent: Duration,
}

impl Asked<'_> {
    async fn validate(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>) -> Said {
        let Self { policy, begin, unmatched: failure, spent } = self;
        policy.make_way().await;
        let answer = match failure {
            None => {
                policy.template.validate(policy.call(ask, *spent), request, request.object.map(RawValue::get)).await
            }
            Some(failure) => unmatched(failure.clone()),
        };
        let outcome = answer.result.as_ref().map(|it| if it.denial.is_some() { "denied" } else { "allowed" });
        policy.record(ask, Interface::Validating, request.operation.name(), outcome, answer.usage, *begin);
        if let Some(watch) = ask.watch {
            watch.wrote(&policy.spec.name, Interface::Validating, answer.facts);
        }
        match answer.result {
            Ok(it) => Said {
                denial: Ok(it.denial.map(|it| policy.denied(it))),
                warnings: it.warnings,
                annotations: it.annotations,
            },
            Err(failure) => Said::failed(failure),
        }
    }
}

impl Policy {
    /// None: the policy does not match.
    async fn asked(&self, ask: Ask<'_>, view: &mut View<'_>, object: Option<&str>) -> Option<Asked<'_>> {
        let begin = Instant::now();
        let (spent, unmatched) = match self.decided(ask, Interface::Validating, view, object).await {
            Ok(None) => return None,
            Ok(Some(spent)) => (spent, None),
            Err(failure) => (Duration::ZERO, Some(failure)),
        };
        Some(Asked { policy: self, begin, unmatched, spent })
    }

    /// If it is asked, what of its time its conditions took; why that cannot be told.
    async fn decided(
        &self,
        ask: Ask<'_>,
        interface: Interface,
        view: &mut View<'_>,
        object: Option<&str>,
    ) -> Result<Option<Duration>, Failure> {
        let mut spent = Duration::ZERO;
        let decided = self.matching.admission(view, object, self.bounds(ask), &mut spent).await;
        if let Some(watch) = ask.watch {
            let asked = decided.as_ref().map_or(true, |it| it.is_asked());
            let why = || self.matching.explain(&decided, Some(view.request()));
            watch.matched(&self.spec.name, interface, asked, why);
        }
        decided.map(|it| it.is_asked().then_some(spent))
    }

    /// What it said, and the object as it changed it. None: the policy does not match.
    async fn mutate(&self, ask: Ask<'_>, view: &mut View<'_>, object: Option<&str>) -> Option<(Said, Option<String>)> {
        let begin = Instant::now();
        let decided = self.decided(ask, Interface::Mutating, view, object).await;
        let request = view.request();
        let answer = match decided {
            Ok(None) => return None,
            Ok(Some(spent)) => {
                self.make_way().await;
                let Answer { result, usage, facts } =
                    self.template.mutate(self.call(ask, spent), request, object).await;
                let deadline = changes::deadline(ask.deadline, self.spec.limits.time, spent + usage.timing.guest);
                let result = match result {
                    Ok(mutation) => apply(object, mutation, deadline).await,
                    Err(failure) => Err(failure),
                };
                Answer { result, usage, facts }
            }
            Err(failure) => unmatched(failure),
        };
        let outcome = answer.result.as_ref().map(|(mutation, object)| match (&mutation.outcome, object) {
            (Err(_), _) => "denied",
            (Ok(_), Some(_)) => "mutated",
            (Ok(_), None) => "allowed",
        });
        self.record(ask, Interface::Mutating, request.operation.name(), outcome, answer.usage, begin);
        if let Some(watch) = ask.watch {
            watch.wrote(&self.spec.name, Interface::Mutating, answer.facts);
        }
        Some(match answer.result {
            Ok((it, object)) => {
                let said = Said {
                    denial: Ok(it.outcome.err().map(|it| self.denied(it))),
                    warnings: it.warnings,
                    annotations: it.annotations,
                };
                (said, object)
            }
            Err(failure) => (Said::failed(failure), None),
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

    pub(super) fn fails_on(&self, failure: &Failure) -> bool {
        if failure.is_limit() {
            self.spec.limit_policy == LimitPolicy::Fail
        } else {
            self.spec.failure_policy != FailurePolicy::Ignore
        }
    }
}

/// The mutation, and the object if it changed.
async fn apply(
    object: Option<&str>,
    mut mutation: Mutation,
    deadline: Instant,
) -> Result<(Mutation, Option<String>), Failure> {
    let changed = match (&mut mutation.outcome, object) {
        (Err(_) | Ok(Change::Unchanged), _) => None,
        (Ok(change), Some(object)) => {
            changes::apply(object, std::mem::replace(change, Change::Unchanged), deadline).await?
        }
        (Ok(_), None) => return Err(Failure::Answer("it changes an object where there is none".to_owned())),
    };
    Ok((mutation, changed))
}
