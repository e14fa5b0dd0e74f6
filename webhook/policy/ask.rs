//! One policy asked one review: the same steps for every interface, from what decides whether it is asked to the event that
//! tells of it.

use std::time::{Duration, Instant};

use super::{Answers, Ask, Component, Policy, group::Group, matching::Decision};
use crate::{
    engine::run::{Answer, Call, Listen, Template},
    observe::{PolicyEvent, Words},
    review::admission::AdmissionRequest,
    spec::{Fact, Failure, Operation, Outcome, Timing, Usage},
};

/// In what the reviews differ.
pub(super) trait Question: Sync {
    /// As the guest gives it.
    type Said: Send;
    /// As policies' answers are folded.
    type Answer: Send;

    /// What is done to the object that it is about.
    fn operation(&self) -> Option<Operation> {
        None
    }

    /// Whether other work of the same thread comes first. Not where logins wait for it.
    const MAKES_WAY: bool = true;

    /// Puts it to an instance.
    fn put(&self, template: &Template, call: Call<'_>) -> impl Future<Output = Answer<Self::Said>> + Send;

    /// Checks what was said against the contract, and makes of it what is folded; `used` of the policy's time is gone.
    ///
    /// # Errors
    /// It is no valid answer.
    fn settle(
        &self,
        ask: Ask<'_>,
        policy: &Policy,
        said: Self::Said,
        used: Duration,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;

    /// Puts it to the members of a group, which only admission has.
    ///
    /// # Errors
    /// One of them failed.
    fn put_to(&self, _: &Group, _: Ask<'_>, _: &Policy) -> impl Future<Output = Result<Self::Answer, Failure>> + Send {
        std::future::ready(Err(Failure::Host("it is a group, and is asked about objects only".to_owned())))
    }

    /// What came of it, and why, if the operator's log tells that.
    fn outcome(&self, policy: &Policy, answer: &Self::Answer) -> (Outcome, Option<String>);

    /// What the policy says of its decision, for whoever is told of the whole request.
    fn words(_: &Self::Answer) -> Option<Words> {
        None
    }
}

/// A policy that is asked, or of which it cannot be told whether it is.
pub(super) struct Asked<'a> {
    pub(super) policy: &'a Policy,
    begin: Instant,
    /// Why it cannot be told.
    unmatched: Option<Failure>,
    /// What of its time its conditions took.
    spent: Duration,
}

impl Policy {
    /// `decided` since `begin`, of which `spent` in the policy's own conditions. None: the policy is not asked.
    pub(super) fn asked(
        &self,
        ask: Ask<'_>,
        request: Option<&AdmissionRequest<'_>>,
        decided: Result<Decision, Failure>,
        begin: Instant,
        spent: Duration,
    ) -> Option<Asked<'_>> {
        let is_asked = decided.as_ref().map_or(true, |it| it.is_asked());
        if let Some(watch) = ask.watch {
            watch.matched(&self.spec.name, self.kind, is_asked, || self.matching.explain(&decided, request));
        }
        is_asked.then(|| Asked { policy: self, begin, unmatched: decided.err(), spent })
    }
}

impl<'a> Asked<'a> {
    /// A member of a group, which is asked about whatever its group is.
    pub(super) fn member(policy: &'a Policy, ask: Ask<'_>) -> Self {
        if let Some(watch) = ask.watch {
            watch.member(&policy.spec.name, policy.kind);
        }
        Self { policy, begin: Instant::now(), unmatched: None, spent: Duration::ZERO }
    }

    /// Asks, checks the answer, and tells of it.
    pub(super) async fn put<Q: Question>(&self, ask: Ask<'_>, question: &Q) -> Result<Q::Answer, Failure> {
        let Self { policy, begin, unmatched, .. } = self;
        let (result, usage, facts) = match (unmatched, &policy.answers) {
            (Some(failure), _) => (Err(failure.clone()), Usage::default(), Vec::new()),
            (None, Answers::Nobody) => (Err(Failure::NotLoaded), Usage::default(), Vec::new()),
            (None, Answers::Component(component)) => self.put_to(component, ask, question).await,
            (None, Answers::Group(group)) => (question.put_to(group, ask, policy).await, Usage::default(), Vec::new()),
        };
        let (outcome, reason) = match &result {
            Ok(answer) => question.outcome(policy, answer),
            Err(failure) => (Outcome::Failed(failure.clone()), None),
        };
        let timing = Timing { whole: begin.elapsed(), ..usage.timing };
        let records = ask.trail.is_some_and(|it| it.records());
        let event = PolicyEvent {
            kind: policy.kind,
            policy: &policy.spec.name,
            operation: question.operation(),
            outcome,
            reason,
            words: result.as_ref().ok().filter(|_| records).and_then(Q::words),
            decides: policy.enforces(),
            usage: Usage { timing, ..usage },
            facts,
        };
        event.tell(&policy.metrics, ask.watch, ask.trail);
        result
    }

    async fn put_to<Q: Question>(
        &self,
        component: &Component,
        ask: Ask<'_>,
        question: &Q,
    ) -> (Result<Q::Answer, Failure>, Usage, Vec<Fact>) {
        let Self { policy, spent, .. } = self;
        if Q::MAKES_WAY {
            component.make_way().await;
        }
        let call = Call {
            raw: ask.raw,
            deadline: ask.deadline,
            spent: *spent,
            listen: listen(ask),
            trail: ask.trail,
            now: ask.now,
            operation: policy.spec.operation.as_deref(),
            audit: ask.audit,
        };
        let Answer { result, usage, facts } = question.put(component.template(), call).await;
        component.took(&usage.timing);
        let settled = match result {
            Ok(said) => question.settle(ask, policy, said, *spent + usage.timing.guest).await,
            Err(failure) => Err(failure),
        };
        (settled, usage, facts)
    }
}

/// Where what a guest says goes: to whoever tries it out, or to the log, and then to whoever is told of the request as well.
fn listen(ask: Ask<'_>) -> Listen {
    match (ask.watch, ask.trail) {
        (Some(watch), _) if watch.listens() => Listen::Only,
        (_, Some(trail)) if trail.records() => Listen::Too,
        _ => Listen::No,
    }
}
