//! Which reviews a policy is asked about: Kubernetes' matchConstraints ([`rules`]) and matchConditions.
//!
//! Follows k8s.io/apiserver: conditions come last, one that is false decides whatever others say, and only then does
//! one that cannot be evaluated count, as a failure of the policy. Objects are read
//! only for what asks for them ([`view`]), and a limit that is used up is told apart from an error.

mod explain;
mod namespaces;
mod rules;
mod view;

use std::time::{Duration, Instant};

pub use namespaces::{Found, Labels, Namespaces};
pub(super) use view::View;

use crate::{
    cel::{Conditions, Reads, Subject, Undecided, Unevaluated, Variables},
    config::rules::subject,
    review::{access::SubjectAccessReview, token::TokenReview},
    spec::{Failure, Kind, MatchSpec},
};

/// `spec.matchConstraints` and `spec.matchConditions`, compiled.
#[derive(Default)]
pub(super) struct Match {
    rules: MatchSpec,
    conditions: Conditions,
    /// What the conditions of an AdmissionReview read.
    conditions_read: Reads,
    /// That, and what selectors read.
    reads: Reads,
}

/// Whether a policy is asked, and what decided it: positions in the lists of the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Decision {
    /// By this rule; None: there are no rules.
    Asked(Option<usize>),
    /// It belongs to a namespace, and this is about nothing in it.
    Elsewhere,
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
        let named = spec.match_conditions.iter().map(|it| (it.name.as_str(), it.expression.as_str()));
        let conditions = Conditions::compile(named, subject).map_err(|wrong| {
            let field = |(position, words)| (format!("spec.matchConditions[{position}].expression"), words);
            wrong.into_iter().map(field).collect::<Vec<_>>()
        })?;
        let conditions_read = if subject == Subject::Admission { conditions.reads().clone() } else { Reads::default() };
        let mut reads = conditions_read.clone();
        if let Some(selector) = &spec.object_selector {
            selector.reads(&mut reads);
        }
        if let Some(selector) = &spec.namespace_selector {
            selector.reads_of_namespaces(&mut reads);
        }
        Ok(Self { rules: spec.clone(), conditions, conditions_read, reads })
    }

    /// What it takes of an AdmissionReview to decide.
    pub(super) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// That, if it is read together with what others take. What a policy of one namespace takes is read for itself.
    pub(super) fn reads_with_others(&self) -> Option<&Reads> {
        self.rules.only_namespace.is_none().then_some(&self.reads)
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
        if let Some(selector) = &self.rules.namespace_selector
            && !selector.is_of_names()
            && !selector.selects_namespace(view, object).await?
        {
            return Ok(Decision::Namespace);
        }
        if self.rules.object_selector.is_none() && self.conditions.is_empty() {
            return Ok(decision);
        }
        if self.rules.only_namespace.is_some() {
            // Who wrote it may write for one namespace only: what it reads, and that this cannot be read, is nobody else's concern.
            return self.by_objects(decision, &mut view.alone(&self.reads), object, bounds, spent).await;
        }
        self.by_objects(decision, view, object, bounds, spent).await
    }

    /// `decision`, unless what the objects hold says otherwise.
    async fn by_objects(
        &self,
        decision: Decision,
        view: &mut View<'_>,
        object: Option<&str>,
        bounds: Bounds,
        spent: &mut Duration,
    ) -> Result<Decision, Failure> {
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
        let decision = self.decide(decision, &variables, bounds).await;
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
        self.decide(asked, &Variables::new(review.spec_json()), bounds).await
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
        self.decide(asked, &Variables::new(review.spec_json()), bounds).await
    }

    /// `asked`, unless a condition is false.
    async fn decide(&self, asked: Decision, variables: &Variables, bounds: Bounds) -> Result<Decision, Failure> {
        let deadline = bounds.deadline.min(Instant::now() + bounds.time);
        match self.conditions.first_false(variables, deadline).await {
            Ok(None) => Ok(asked),
            Ok(Some(position)) => Ok(Decision::Condition(position)),
            Err(Undecided { position, why }) => {
                let name = self.rules.match_conditions.get(position).map_or("", |it| &it.name);
                Err(match why {
                    Unevaluated::Deadline => Failure::Timeout,
                    Unevaluated::Limit(words) => Failure::ConditionLimit(format!("{name}: {words}")),
                    Unevaluated::Failed(words) => Failure::Condition(format!("{name}: {words}")),
                })
            }
        }
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

#[cfg(test)]
mod tests;
