//! AdmissionReview: all validators that match, together; mutators in order, each on the object as changed so far.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::value::RawValue;
use tracing::error;

use super::{
    Ask, Policy, Selection,
    ask::{Asked, Question},
    changes::{self, Changed},
    fold::{Fold, Said},
    group::Group,
    matching::View,
};
use crate::{
    engine::run::{Answer, Call, Template},
    observe::{Words, flood::Quota},
    review::{
        admission::{AdmissionRequest, Cause, Change, Denial, Mutation, Validation},
        causes, clean,
        seen::Seen,
        verdict::{AdmissionVerdict, Denied},
    },
    spec::{Failure, FailurePolicy, LimitPolicy, Operation, Outcome},
    text,
};

impl Selection<'_> {
    /// Asks all validators that match, and reports every denial.
    pub async fn validate(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>) -> AdmissionVerdict {
        let object = request.object.map(RawValue::get);
        // Most reviews match few policies: only these cost more than a look at their rules.
        let mut view = self.view(ask, request);
        let mut asked: Vec<Asked<'_>> = Vec::new();
        for policy in self.about(ask, request) {
            asked.extend(policy.admits(ask, &mut view, object).await);
        }
        drop(view);
        let mut fold = Fold::default();
        let question = Validate::new(request);
        if asked.len() == 1
            && let Some(asked) = asked.pop()
        {
            fold.add(asked.policy, asked.put(ask, &question).await);
        } else {
            let said = join_all(asked.iter().map(|asked| asked.put(ask, &question))).await;
            for (asked, said) in asked.iter().zip(said) {
                fold.add(asked.policy, said);
            }
        }
        fold.verdict(None)
    }

    /// Asks one mutator after the other; the patch gives exactly the last object.
    pub async fn mutate(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>) -> AdmissionVerdict {
        let original = request.object.map(RawValue::get);
        let mut changed: Option<Changed> = None;
        let mut fold = Fold::default();
        let mut view = self.view(ask, request);
        for policy in self.about(ask, request) {
            let object = changed.as_ref().map_or(original, |it| Some(&it.object));
            let Some(asked) = policy.admits(ask, &mut view, object).await else { continue };
            let is_first = changed.is_none() && policy.enforces();
            let (said, object) = match asked.put(ask, &Mutate { request, object, is_first }).await {
                Ok((said, object)) => (Ok(said), object),
                Err(failure) => (Err(failure), None),
            };
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
        let (Some(original), Some(Changed { object, patch })) = (original, changed) else { return fold.verdict(None) };
        if patch.is_some() {
            return fold.verdict(patch);
        }
        match changes::between(original, object, ask.deadline).await {
            Ok(patch) => fold.verdict(patch),
            Err(failure) => {
                let uid = ask.trail.map(|it| it.uid());
                static TOLD: LazyLock<Arc<Quota>> = LazyLock::new(|| Quota::of_server(NO_PATCH));
                if TOLD.takes() {
                    error!(%failure, uid, "{NO_PATCH}");
                }
                fold.fail(NO_PATCH, failure.code());
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
        let view = View::new(request, self.reads(ask, request), self.set.memory.share(), ask.deadline);
        view.with(self.set.namespaces.clone())
    }
}

impl Policy {
    async fn admits(&self, ask: Ask<'_>, view: &mut View<'_>, object: Option<&str>) -> Option<Asked<'_>> {
        let begin = Instant::now();
        let mut spent = Duration::ZERO;
        let decided = self.matching.admission(view, object, self.bounds(ask), &mut spent).await;
        self.asked(ask, Some(view.request()), decided, begin, spent)
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

    /// What the log tells of a denial.
    pub(super) fn reason(&self, denied: &Denied) -> Option<String> {
        self.spec.actions.audit.then(|| text::line(&causes::with_lines(&denied.message, &denied.causes)))
    }

    pub(super) fn fails_on(&self, failure: &Failure) -> bool {
        if failure.is_limit() {
            self.spec.limit_policy == LimitPolicy::Fail
        } else {
            self.spec.failure_policy != FailurePolicy::Ignore
        }
    }
}

/// A validator's question.
struct Validate<'a> {
    request: &'a AdmissionRequest<'a>,
    seen: Seen<'a>,
}

impl<'a> Validate<'a> {
    fn new(request: &'a AdmissionRequest<'a>) -> Self {
        let objects = [request.object, request.old_object].map(|it| it.map(RawValue::get));
        Self { request, seen: Seen::new(objects[0], objects[1]) }
    }
}

impl Question for Validate<'_> {
    type Said = Validation;
    type Answer = Said;

    fn operation(&self) -> Option<Operation> {
        Some(self.request.operation)
    }

    async fn put(&self, template: &Template, call: Call<'_>) -> Answer<Validation> {
        template.validate(call, self.request, &self.seen).await
    }

    async fn settle(&self, _: Ask<'_>, policy: &Policy, said: Validation, _: Duration) -> Result<Said, Failure> {
        let denial = said.denial.map(|it| policy.denied(it));
        Ok(Said { denial, warnings: said.warnings, annotations: said.annotations })
    }

    async fn put_to(&self, group: &Group, ask: Ask<'_>, policy: &Policy) -> Result<Said, Failure> {
        group.put(ask, policy, self).await
    }

    fn outcome(&self, policy: &Policy, said: &Said) -> (Outcome, Option<String>) {
        match &said.denial {
            Some(denied) => (Outcome::Denied, policy.reason(denied)),
            None => (Outcome::Allowed, None),
        }
    }

    fn words(said: &Said) -> Option<Words> {
        said.denial.as_ref().map(words)
    }
}

/// A mutator's question: the object as changed so far.
struct Mutate<'a> {
    request: &'a AdmissionRequest<'a>,
    object: Option<&'a str>,
    /// Whether that is the one of the request, and what is made of it counts.
    is_first: bool,
}

impl Question for Mutate<'_> {
    type Said = Mutation;
    /// With the object, if it changed.
    type Answer = (Said, Option<Changed>);

    fn operation(&self) -> Option<Operation> {
        Some(self.request.operation)
    }

    async fn put(&self, template: &Template, call: Call<'_>) -> Answer<Mutation> {
        template.mutate(call, self.request, self.object).await
    }

    async fn settle(
        &self,
        ask: Ask<'_>,
        policy: &Policy,
        said: Mutation,
        used: Duration,
    ) -> Result<Self::Answer, Failure> {
        let deadline = changes::deadline(ask.deadline, policy.spec.limits.time, used);
        let (denial, object) = match (said.outcome, self.object) {
            (Err(denial), _) => (Some(policy.denied(denial)), None),
            (Ok(Change::Unchanged), _) => (None, None),
            (Ok(change), Some(object)) if self.is_first => {
                (None, changes::apply_and_patch(object, change, deadline).await?)
            }
            (Ok(change), Some(object)) => {
                let object = changes::apply(object, change, deadline).await?;
                (None, object.map(|object| Changed { object, patch: None }))
            }
            (Ok(_), None) => return Err(Failure::Answer("it changes the object, but the request has none".to_owned())),
        };
        Ok((Said { denial, warnings: said.warnings, annotations: said.annotations }, object))
    }

    fn outcome(&self, policy: &Policy, (said, object): &Self::Answer) -> (Outcome, Option<String>) {
        match (&said.denial, object) {
            (Some(denied), _) => (Outcome::Denied, policy.reason(denied)),
            (None, Some(_)) => (Outcome::Mutated, None),
            (None, None) => (Outcome::Allowed, None),
        }
    }

    fn words((said, _): &Self::Answer) -> Option<Words> {
        said.denial.as_ref().map(words)
    }
}

/// What whoever is told of a request is told of a denial.
pub(super) fn words(denied: &Denied) -> Words {
    Words { message: denied.message.clone(), causes: denied.causes.clone() }
}

const NO_PATCH: &str = "the changes cannot be written as one patch";
