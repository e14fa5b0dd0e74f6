//! A policy from Kubewarden's files, asked by its id about whatever arrives, as its policy-server does: what it says is changed by the
//! mode, by whether it may change objects, and by the operator's message, in this order (admission_response_handler.rs).

use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::{
    Answers, Ask, Policy, Selected, Selection, Set, admission::words, ask::Question, changes, fold, group::Group,
    matching::Decision,
};
use crate::{
    engine::run::{Answer, Call, Template},
    observe::Words,
    review::{
        admission::{AdmissionRequest, Annotation, Change, Mutation},
        clean, together,
        verdict::{AdmissionVerdict, Denied},
    },
    spec::{Failure, Operation, Outcome},
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
    /// What from Kubewarden's files is asked for by its id.
    pub fn of_kubewarden(&self) -> Option<OfKubewarden<'a>> {
        match self.asked {
            Selected::One(policy) => OfKubewarden::of(policy),
            Selected::Several(_) => None,
        }
    }
}

impl Set {
    /// All that are asked by their ids.
    pub(super) fn of_kubewarden(&self) -> impl Iterator<Item = OfKubewarden<'_>> {
        self.policies.iter().filter_map(|it| OfKubewarden::of(it))
    }
}

/// A policy or a group that is asked by its id.
#[derive(Clone, Copy)]
pub struct OfKubewarden<'a> {
    policy: &'a Policy,
    may_mutate: bool,
}

impl<'a> OfKubewarden<'a> {
    fn of(policy: &'a Policy) -> Option<Self> {
        let may_mutate = policy.spec.kubewarden.as_ref()?.may_mutate;
        Some(Self { policy, may_mutate })
    }

    /// Whether what it changes counts.
    pub(super) fn may_mutate(&self) -> bool {
        self.may_mutate
    }

    /// What the policy itself says.
    async fn ask(
        &self,
        ask: Ask<'_>,
        request: Option<&AdmissionRequest<'_>>,
        object: Option<&str>,
    ) -> Result<Said, Failure> {
        let asked = self.policy.asked(ask, request, Ok(Decision::Asked(None)), Instant::now(), Duration::ZERO);
        let asked = asked.ok_or_else(|| Failure::Host("it is not asked".to_owned()))?;
        asked.put(ask, &About { request, object }).await
    }

    /// Asks about an AdmissionRequest.
    pub async fn admit(&self, ask: Ask<'_>, request: &AdmissionRequest<'_>, vanilla: Vanilla) -> AdmissionVerdict {
        let object = request.object.map(RawValue::get);
        self.put(ask, Some(request), object, vanilla).await
    }

    /// Asks about any JSON. None: groups are not asked that.
    pub async fn admit_raw(&self, ask: Ask<'_>, request: &str) -> Option<AdmissionVerdict> {
        self.policy.component()?;
        Some(self.put(ask, None, Some(request), Vanilla::No).await)
    }

    async fn put(
        &self,
        ask: Ask<'_>,
        request: Option<&AdmissionRequest<'_>>,
        object: Option<&str>,
        vanilla: Vanilla,
    ) -> AdmissionVerdict {
        let policy = self.policy;
        let said = self.ask(ask, request, object).await.unwrap_or_else(|failure| Said::failed(&failure));
        let mut denial = said.denial;
        let mut changed = said.object;
        if vanilla == Vanilla::No {
            if !policy.enforces() {
                (denial, changed) = (None, None);
            } else if changed.is_some() && !self.may_mutate {
                let id = &policy.spec.name;
                let message = format!(
                    "Request rejected by policy {id}. The policy attempted to mutate the request, but it is currently configured to not \
                     allow mutations."
                );
                denial = Some(Denied { message, ..Denied::of(403) });
            }
            // A group's denial is in them already.
            if let (Some(own), Answers::Component(_)) = (&policy.spec.message, &policy.answers) {
                denial = denial.map(|it| it.in_words(own));
            }
        }
        let mut patch = None;
        if denial.is_none()
            && let (Some(original), Some(changed)) = (object, changed)
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

/// What a policy said; the object, if it changed it.
pub(super) struct Said {
    pub(super) denial: Option<Denied>,
    pub(super) object: Option<String>,
    pub(super) warnings: Vec<String>,
    pub(super) annotations: Vec<Annotation>,
}

impl Said {
    fn failed(failure: &Failure) -> Self {
        let denial = Denied { message: failure.message().to_owned(), ..Denied::of(failure.code()) };
        Self { denial: Some(denial), object: None, warnings: Vec::new(), annotations: Vec::new() }
    }
}

/// As a member of a group says it.
impl From<Said> for fold::Said {
    fn from(said: Said) -> Self {
        let changed = said.object.map(|_| Denied { message: NO_MUTATION.to_owned(), ..Denied::of(403) });
        Self { denial: said.denial.or(changed), warnings: said.warnings, annotations: said.annotations }
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

    async fn put_to(&self, group: &Group, ask: Ask<'_>, policy: &Policy) -> Result<Said, Failure> {
        let fold::Said { denial, warnings, annotations } = group.put(ask, policy, self).await?;
        Ok(Said { denial, object: None, warnings, annotations })
    }

    fn outcome(&self, policy: &Policy, said: &Said) -> (Outcome, Option<String>) {
        match (&said.denial, &said.object) {
            (Some(denied), _) => (Outcome::Denied, policy.reason(denied)),
            (None, Some(_)) => (Outcome::Mutated, None),
            (None, None) => (Outcome::Allowed, None),
        }
    }

    fn words(said: &Said) -> Option<Words> {
        said.denial.as_ref().map(words)
    }
}

/// As Kubewarden's server says it.
const NO_MUTATION: &str = "mutation is not allowed inside of policy group";
