//! A policy from Kubewarden's files, asked by its id about whatever arrives, as its policy-server does: what it says is changed by the
//! mode, by whether it may change objects, and by the operator's message, in this order (admission_response_handler.rs).

use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::{Ask, Policy, Selection, Set, ask::Question, changes, matching::Decision};
use crate::{
    engine::run::{Answer, Call, Template},
    review::{
        admission::{AdmissionRequest, Annotation, Cause, Change, Mutation},
        clean, together,
        verdict::{AdmissionVerdict, Denied},
    },
    spec::{Failure, Kubewarden, Operation, Outcome},
};

/// Whether the answer is the policy's own, or what the operator makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vanilla {
    /// As `/audit` gives it.
    Yes,
    /// As `/validate` gives it.
    No,
}

impl<'a> Selection<'a> {
    /// The policy from Kubewarden's files that is asked for by its id.
    pub fn of_kubewarden(&self) -> Option<OfKubewarden<'a>> {
        let policy = self.one?;
        let terms = policy.spec.kubewarden?;
        Some(OfKubewarden { policy, terms })
    }
}

impl Set {
    /// All that are asked by their ids.
    pub(super) fn of_kubewarden(&self) -> impl Iterator<Item = OfKubewarden<'_>> {
        self.policies.iter().filter_map(|policy| Some(OfKubewarden { policy, terms: policy.spec.kubewarden? }))
    }
}

/// A policy that is asked by its id.
#[derive(Clone, Copy)]
pub struct OfKubewarden<'a> {
    policy: &'a Policy,
    terms: Kubewarden,
}

impl OfKubewarden<'_> {
    /// Whether what it changes counts.
    pub(super) fn may_mutate(&self) -> bool {
        self.terms.may_mutate
    }

    /// Asks about an AdmissionRequest.
    pub async fn admit(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>, vanilla: Vanilla) -> AdmissionVerdict {
        let object = request.object.map(RawValue::get);
        self.put(ask, &About { request: Some(request), object }, vanilla).await
    }

    /// Asks about any JSON.
    pub async fn admit_raw(&self, ask: Ask<'_>, request: &str) -> AdmissionVerdict {
        self.put(ask, &About { request: None, object: Some(request) }, Vanilla::No).await
    }

    async fn put(&self, ask: Ask<'_>, about: &About<'_>, vanilla: Vanilla) -> AdmissionVerdict {
        let policy = self.policy;
        let asked = policy.asked(ask, about.request, Ok(Decision::Asked(None)), Instant::now(), Duration::ZERO);
        let Some(asked) = asked else { return AdmissionVerdict::default() };
        let said = asked.put(ask, about).await.unwrap_or_else(|failure| Said::failed(&failure));
        let mut denial = said.denial;
        let mut changed = said.object;
        if vanilla == Vanilla::No {
            if !policy.enforces() {
                (denial, changed) = (None, None);
            } else if changed.is_some() && !self.terms.may_mutate {
                let id = &policy.spec.name;
                let message = format!(
                    "Request rejected by policy {id}. The policy attempted to mutate the request, but it is currently configured to not \
                     allow mutations."
                );
                denial = Some(Denied { message, ..Denied::of(403) });
            }
            if let (Some(denial), Some(own)) = (&mut denial, &policy.spec.message) {
                let message = std::mem::replace(&mut denial.message, own.clone());
                denial.causes.push(Cause { message, ..Cause::default() });
            }
        }
        let mut patch = None;
        if denial.is_none()
            && let (Some(original), Some(changed)) = (about.object, changed)
        {
            match changes::between(original, changed, ask.deadline).await {
                Ok(made) => patch = made,
                Err(failure) => denial = Said::failed(&failure).denial,
            }
        }
        AdmissionVerdict {
            denial,
            patch,
            warnings: together::warnings(vec![said.warnings]),
            annotations: together::annotations(vec![(policy.spec.name.as_str(), said.annotations)]),
        }
    }
}

/// An AdmissionRequest with its object; without one any JSON, which is the object then.
struct About<'a> {
    request: Option<&'a AdmissionRequest<'a>>,
    object: Option<&'a str>,
}

struct Said {
    denial: Option<Denied>,
    object: Option<String>,
    warnings: Vec<String>,
    annotations: Vec<Annotation>,
}

impl Said {
    fn failed(failure: &Failure) -> Self {
        let denial = Denied { message: failure.message().to_owned(), ..Denied::of(failure.code()) };
        Self { denial: Some(denial), object: None, warnings: Vec::new(), annotations: Vec::new() }
    }
}

impl Question for About<'_> {
    type Said = Mutation;
    type Answer = Said;

    fn operation(&self) -> Option<Operation> {
        self.request.map(|it| it.operation)
    }

    async fn put(&self, template: &Template, call: Call<'_>) -> Answer<Mutation> {
        match self.request {
            Some(request) => template.mutate(call, request, self.object).await,
            None => template.validate_raw(call, self.object.unwrap_or_default()).await,
        }
    }

    async fn settle(&self, ask: Ask<'_>, policy: &Policy, said: Mutation, used: Duration) -> Result<Said, Failure> {
        let deadline = changes::deadline(ask.deadline, policy.spec.limits.time, used);
        let (denial, object) = match (said.outcome, self.object) {
            (Err(denial), _) => (Some(clean::denied(denial)), None),
            (Ok(Change::Unchanged), _) | (Ok(_), None) => (None, None),
            (Ok(change), Some(object)) => (None, changes::apply(object, change, deadline).await?),
        };
        let warnings = said.warnings.iter().filter_map(|it| clean::warning(it)).collect();
        Ok(Said { denial, object, warnings, annotations: said.annotations })
    }

    fn outcome(policy: &Policy, said: &Said) -> (Outcome, Option<String>) {
        match (&said.denial, &said.object) {
            (Some(denied), _) => (Outcome::Denied, policy.reason(denied)),
            (None, Some(_)) => (Outcome::Mutated, None),
            (None, None) => (Outcome::Allowed, None),
        }
    }
}
