//! Which reviews a policy is asked about: Kubernetes' matchConstraints ([`rules`]) and matchConditions.
//!
//! Follows k8s.io/apiserver: conditions come last, one that is false decides whatever others say, and only then does
//! one that cannot be evaluated count, as a failure of the policy. Objects are parsed only for what asks for them.

use std::time::{Duration, Instant};

mod explain;
mod rules;

pub(super) use explain::ALWAYS;
use serde_json::value::RawValue;

use crate::{
    cel::{Budget, Condition, Subject, Variables},
    config::schema::MatchSpec,
    engine::Interface,
    review::{access::SubjectAccessReview, admission::AdmissionRequest, patch, token::TokenReview},
};

/// `spec.match`, with its conditions compiled for each kind of review that the component is asked.
pub(super) struct Match {
    rules: MatchSpec,
    authentication: Vec<Condition>,
    authorization: Vec<Condition>,
    admission: Vec<Condition>,
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
        if errors.is_empty() {
            Ok(Self { rules: spec.clone(), authentication, authorization, admission })
        } else {
            Err(errors)
        }
    }

    /// Whether the policy is asked about `request`; `object` is the object as changed so far in a chain of mutators.
    ///
    /// # Errors
    /// Labels cannot be read or a condition cannot be evaluated; words for the operator.
    pub(super) fn admission(&self, request: &AdmissionRequest<'_>, object: Option<&str>) -> Result<Decision, String> {
        let decision = self.rules.admission(request, object)?;
        if !decision.is_asked() {
            return Ok(decision);
        }
        let tree = |text: Option<&str>, name: &str| {
            text.map(|text| patch::parse(text, name).map_err(|error| error.to_string())).transpose()
        };
        all(&self.admission, decision, || {
            let mut variables = Variables::new(request.request_json());
            if self.admission.iter().any(Condition::uses_object) {
                variables = variables.with_object(tree(object, "object")?);
            }
            if self.admission.iter().any(Condition::uses_old_object) {
                variables = variables.with_old_object(tree(request.old_object.map(RawValue::get), "old object")?);
            }
            Ok(variables)
        })
    }

    /// Whether the policy is asked about `review`.
    ///
    /// # Errors
    /// A condition cannot be evaluated; words for the operator, without the token.
    pub(super) fn authentication(&self, review: &TokenReview) -> Result<Decision, String> {
        all(&self.authentication, Decision::Asked(None), || Ok(Variables::new(review.spec_json())))
    }

    /// Whether the policy is asked about `review`.
    ///
    /// # Errors
    /// A condition cannot be evaluated; words for the operator.
    pub(super) fn authorization(&self, review: &SubjectAccessReview) -> Result<Decision, String> {
        all(&self.authorization, Decision::Asked(None), || Ok(Variables::new(review.spec_json())))
    }
}

/// The first that is false, else the first error, else `asked`. Variables are made only if there is a condition.
fn all(
    conditions: &[Condition],
    asked: Decision,
    variables: impl FnOnce() -> Result<Variables, String>,
) -> Result<Decision, String> {
    if conditions.is_empty() {
        return Ok(asked);
    }
    let variables = variables()?;
    let mut budget = Budget::new(Instant::now() + PATIENCE);
    let mut wrong = None;
    for (index, condition) in conditions.iter().enumerate() {
        match condition.eval(&variables, &mut budget) {
            Ok(true) => {}
            Ok(false) => return Ok(Decision::Condition(index)),
            Err(words) => wrong = wrong.or_else(|| Some(format!("{}: {words}", condition.name()))),
        }
    }
    wrong.map_or(Ok(asked), Err)
}

const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
