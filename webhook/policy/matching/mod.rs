//! Which reviews a policy is asked about: Kubernetes' matchConstraints ([`rules`]) and matchConditions.
//!
//! Follows k8s.io/apiserver: conditions come last, one that is false decides whatever others say, and only then does
//! one that cannot be evaluated count, as a failure of the policy. Objects are read
//! only for what asks for them ([`view`]), and a limit that is used up is told apart from an error.

mod explain;
mod rules;
mod view;

use std::time::{Duration, Instant};

pub(super) use view::View;

use crate::{
    cel::{Budget, Condition, Reads, Subject, Unevaluated, Variables},
    config::rules::subject,
    review::{access::SubjectAccessReview, token::TokenReview},
    spec::{Failure, Kind, MatchSpec},
    turn,
};

/// `spec.matchConstraints` and `spec.matchConditions`, compiled.
#[derive(Default)]
pub(super) struct Match {
    rules: MatchSpec,
    conditions: Vec<Condition>,
    /// What the conditions of an AdmissionReview read.
    conditions_read: Reads,
    /// That, and what `objectSelector` reads.
    reads: Reads,
}

/// Whether a policy is asked, and what decided it: positions in the lists of the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Decision {
    /// By this rule; None: there are no rules.
    Asked(Option<usize>),
    /// None of the rules matches.
    NoRule,
    /// By this rule of `excludeResourceRules`.
    Excluded(usize),
    /// `namespaceSelector` does not select the namespace.
    Namespace,
    /// `objectSelector` selects neither object.
    Object,
    /// This condition is false.
    Condition(usize),
}

impl Decision {
    pub(super) fn is_asked(self) -> bool {
        matches!(self, Self::Asked(_))
    }
}

impl Match {
    /// Compiles the conditions for the reviews of `kind`.
    ///
    /// # Errors
    /// Fields of the document, such as `spec.matchConditions[0].expression`, and what is wrong with each.
    pub(super) fn compile(spec: &MatchSpec, kind: Kind) -> Result<Self, Vec<(String, String)>> {
        let Some(subject) = subject(kind) else {
            return Ok(Self { rules: spec.clone(), ..Self::default() });
        };
        let mut errors = Vec::new();
        let mut conditions = Vec::new();
        for (index, condition) in spec.match_conditions.iter().enumerate() {
            match Condition::compile(&condition.name, &condition.expression, subject) {
                Ok(condition) => conditions.push(condition),
                Err(words) => errors.push((format!("spec.matchConditions[{index}].expression"), words)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut conditions_read = Reads::default();
        if subject == Subject::Admission {
            conditions.iter().for_each(|it: &Condition| conditions_read.merge(it.reads()));
        }
        let mut reads = conditions_read.clone();
        if let Some(selector) = &spec.object_selector {
            selector.reads(&mut reads);
        }
        Ok(Self { rules: spec.clone(), conditions, conditions_read, reads })
    }

    /// What it takes of an AdmissionReview to decide.
    pub(super) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Whether the policy is asked; `object` is the object as changed so far in a chain of mutators. `spent` is what the
    /// conditions took, without reading, which is done for all policies.
    ///
    /// # Errors
    /// Labels cannot be read, or a condition cannot be evaluated within these bounds.
    pub(super) async fn admission(
        &self,
        view: &mut View<'_>,
        object: Option<&str>,
        bounds: Bounds,
        spent: &mut Duration,
    ) -> Result<Decision, Failure> {
        let decision = self.rules.admission(view.request());
        if !decision.is_asked() {
            return Ok(decision);
        }
        if let Some(selector) = &self.rules.object_selector
            && !selector.selects(view, object).await?
        {
            return Ok(Decision::Object);
        }
        if self.conditions.is_empty() {
            return Ok(decision);
        }
        let variables = view.variables(&self.conditions_read, object).await?;
        let begin = Instant::now();
        let decision = all(&self.conditions, decision, &variables, bounds).await;
        *spent = begin.elapsed();
        decision
    }

    /// Whether the policy is asked about `review`.
    ///
    /// # Errors
    /// A condition cannot be evaluated within these bounds; its words do not hold the token.
    pub(super) async fn authentication(&self, review: &TokenReview, bounds: Bounds) -> Result<Decision, Failure> {
        let asked = Decision::Asked(None);
        if self.conditions.is_empty() {
            return Ok(asked);
        }
        all(&self.conditions, asked, &Variables::new(review.spec_json()), bounds).await
    }

    /// Whether the policy is asked about `review`.
    ///
    /// # Errors
    /// A condition cannot be evaluated within these bounds.
    pub(super) async fn authorization(
        &self,
        review: &SubjectAccessReview,
        bounds: Bounds,
    ) -> Result<Decision, Failure> {
        let asked = Decision::Asked(None);
        if self.conditions.is_empty() {
            return Ok(asked);
        }
        all(&self.conditions, asked, &Variables::new(review.spec_json()), bounds).await
    }
}

/// How long conditions may take.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Bounds {
    /// When the caller must have its answer.
    pub(in crate::policy) deadline: Instant,
    /// What the policy may take of it.
    pub(in crate::policy) time: Duration,
}

/// The first that is false, else that a limit is used up, else the first error, else `asked`.
async fn all(
    conditions: &[Condition],
    asked: Decision,
    variables: &Variables,
    bounds: Bounds,
) -> Result<Decision, Failure> {
    let deadline = bounds.deadline.min(Instant::now() + bounds.time);
    loop {
        let end = turn::must_leave_at().map_or(deadline, |it| it.min(deadline));
        match once(conditions, asked, variables, end).await {
            // They are begun again on a thread that they may keep: nothing that they did is seen.
            Err(Failure::Timeout) if end < deadline => turn::leave().await,
            ended => return ended,
        }
    }
}

async fn once(
    conditions: &[Condition],
    asked: Decision,
    variables: &Variables,
    end: Instant,
) -> Result<Decision, Failure> {
    let mut budget = Budget::new(end);
    let (mut limit, mut wrong) = (None, None);
    for (index, condition) in conditions.iter().enumerate() {
        let words = |words: &str| format!("{}: {words}", condition.name());
        match condition.eval(variables, &mut budget) {
            Ok(true) => {}
            Ok(false) => return Ok(Decision::Condition(index)),
            Err(Unevaluated::Deadline) => return Err(Failure::Timeout),
            Err(Unevaluated::Limit(why)) => limit = limit.or_else(|| Some(Failure::ConditionLimit(words(why)))),
            Err(Unevaluated::Failed(why)) => wrong = wrong.or_else(|| Some(Failure::Condition(words(&why)))),
        }
        if turn::must_leave_at().is_none() {
            turn::pause().await;
        }
    }
    // Users can inflate an object until a limit is used up, so that what else is wrong must not hide it.
    limit.or(wrong).map_or(Ok(asked), Err)
}

#[cfg(test)]
mod tests;
