//! Which reviews a policy is asked about: Kubernetes' matchConstraints ([`rules`]) and matchConditions.
//!
//! Follows k8s.io/apiserver: conditions come last, one that is false decides whatever others say, and only then does
//! one that cannot be evaluated count, as a failure of the policy. Objects are read
//! only for what asks for them ([`view`]), and a limit that is used up is told apart from an error.

mod explain;
mod rules;
mod view;

use std::time::{Duration, Instant};

pub(super) use explain::ALWAYS;
pub(super) use view::View;

use crate::{
    cel::{Budget, Condition, Reads, Subject, Unevaluated, Variables},
    config::schema::MatchSpec,
    engine::{Failure, Interface},
    review::{access::SubjectAccessReview, token::TokenReview},
    turn,
};

/// `spec.match`, with its conditions compiled for each kind of review that the component is asked.
pub(super) struct Match {
    rules: MatchSpec,
    authentication: Vec<Condition>,
    authorization: Vec<Condition>,
    admission: Vec<Condition>,
    /// What the conditions of an AdmissionReview read.
    conditions_read: Reads,
    /// That, and what `objectSelector` reads.
    reads: Reads,
}

/// Whether a policy is asked, and what decided it: positions in the lists of `spec.match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
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
    /// Compiles the conditions for what `interfaces` are asked; a condition must be good for all of it.
    ///
    /// # Errors
    /// Fields of the document, such as `spec.match.matchConditions[0].expression`, and what is wrong with each.
    pub(super) fn compile(spec: &MatchSpec, interfaces: &[Interface]) -> Result<Self, Vec<(String, String)>> {
        let mut errors = Vec::new();
        let mut of = |subject: Subject, asked: &[Interface]| {
            let mut compiled = Vec::new();
            if !interfaces.iter().any(|interface| asked.contains(interface)) {
                return compiled;
            }
            for (index, condition) in spec.match_conditions.iter().enumerate() {
                match Condition::compile(&condition.name, &condition.expression, subject) {
                    Ok(condition) => compiled.push(condition),
                    Err(words) => {
                        let error = (format!("spec.match.matchConditions[{index}].expression"), words);
                        // What is wrong for every kind of review is said once.
                        if !errors.contains(&error) {
                            errors.push(error);
                        }
                    }
                }
            }
            compiled
        };
        let authentication = of(Subject::TokenReview, &[Interface::Authentication]);
        let authorization = of(Subject::SubjectAccessReview, &[Interface::Authorization]);
        let admission = of(Subject::Admission, &[Interface::Validating, Interface::Mutating]);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut conditions_read = Reads::default();
        admission.iter().for_each(|it| conditions_read.merge(it.reads()));
        let mut reads = conditions_read.clone();
        if let Some(selector) = &spec.object_selector {
            selector.reads(&mut reads);
        }
        Ok(Self { rules: spec.clone(), authentication, authorization, admission, conditions_read, reads })
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
        if self.admission.is_empty() {
            return Ok(decision);
        }
        let variables = view.variables(&self.conditions_read, object).await?;
        let begin = Instant::now();
        let decision = all(&self.admission, decision, &variables, bounds).await;
        *spent = begin.elapsed();
        decision
    }

    /// Whether the policy is asked about `review`.
    ///
    /// # Errors
    /// A condition cannot be evaluated within these bounds; its words do not hold the token.
    pub(super) async fn authentication(&self, review: &TokenReview, bounds: Bounds) -> Result<Decision, Failure> {
        let asked = Decision::Asked(None);
        if self.authentication.is_empty() {
            return Ok(asked);
        }
        all(&self.authentication, asked, &Variables::new(review.spec_json()), bounds).await
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
        if self.authorization.is_empty() {
            return Ok(asked);
        }
        all(&self.authorization, asked, &Variables::new(review.spec_json()), bounds).await
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
