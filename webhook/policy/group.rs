//! Policies of Kubewarden's that decide together: an expression over what each of them says.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{
    Ask, Policy, Set,
    kubewarden::{OfKubewarden, Vanilla},
};
use crate::{
    cel,
    review::{
        admission::{AdmissionRequest, Annotation, Cause, Denial},
        clean, together,
        verdict::{AdmissionVerdict, Denied},
    },
    spec::{Failure, GroupSpec},
};

/// A group that is loaded.
pub struct Group {
    spec: Arc<GroupSpec>,
    expression: cel::Group,
    /// Positions in the set, in the order of the expression's numbers.
    members: Vec<usize>,
}

/// What asks the members of a group, each once.
struct Asking<'a, 'r> {
    members: Vec<OfKubewarden<'a>>,
    ask: Ask<'a>,
    request: &'r AdmissionRequest<'r>,
    said: Vec<Option<bool>>,
    causes: Vec<Cause>,
    warnings: Vec<Vec<String>>,
    annotations: Vec<(&'a str, Vec<Annotation>)>,
}

impl Group {
    /// The groups whose members these are. Their expressions were checked where they were read.
    pub(super) fn all(policies: &[Policy]) -> Vec<Self> {
        let mut groups: Vec<(Arc<GroupSpec>, Vec<usize>)> = Vec::new();
        for (position, policy) in policies.iter().enumerate() {
            let Some(spec) = policy.spec.kubewarden.as_ref().and_then(|it| it.group.as_ref()) else { continue };
            match groups.iter_mut().find(|(known, _)| Arc::ptr_eq(known, spec)) {
                Some((_, members)) => members.push(position),
                None => groups.push((Arc::clone(spec), vec![position])),
            }
        }
        let group = |(spec, members): (Arc<GroupSpec>, Vec<usize>)| {
            let names: Vec<&str> =
                members.iter().filter_map(|it| policies.get(*it)).map(|it| member(&it.spec.name)).collect();
            let expression = cel::Group::compile(&spec.expression, &names).ok()?;
            Some(Self { spec, expression, members })
        };
        groups.into_iter().filter_map(group).collect()
    }

    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    /// Asks those of its members that matter.
    pub(super) async fn admit<'a>(
        &'a self,
        set: &'a Set,
        ask: Ask<'a>,
        request: &AdmissionRequest<'_>,
        vanilla: Vanilla,
    ) -> AdmissionVerdict {
        let members: Vec<OfKubewarden<'_>> =
            self.members.iter().filter_map(|it| OfKubewarden::of(set.policies.get(*it)?)).collect();
        let said = vec![None; members.len()];
        let mut asking =
            Asking { members, ask, request, said, causes: Vec::new(), warnings: Vec::new(), annotations: Vec::new() };
        let denial = match self.expression.eval(&mut asking).await {
            Ok(true) => None,
            Ok(false) => Some(clean::denied(Denial {
                message: self.spec.message.clone(),
                causes: asking.causes,
                ..Denial::default()
            })),
            // Else `!member()` of one that took too long would allow.
            Err(failure) => Some(Denied { message: failure.message().to_owned(), ..Denied::of(failure.code()) }),
        };
        let enforces = self.spec.actions.deny || vanilla == Vanilla::Yes;
        AdmissionVerdict {
            denial: denial.filter(|_| enforces),
            patch: None,
            warnings: together::warnings(asking.warnings),
            annotations: together::annotations(asking.annotations),
        }
    }
}

impl cel::Members for Asking<'_, '_> {
    type Failure = Failure;

    async fn ask(&mut self, member: usize) -> Result<bool, Failure> {
        if let Some(Some(said)) = self.said.get(member) {
            return Ok(*said);
        }
        let Some(policy) = self.members.get(member).copied() else {
            return Err(Failure::Host("a member of the group is not there".to_owned()));
        };
        let object = self.request.object.map(RawValue::get);
        let said = policy.ask(self.ask, Some(self.request), object).await?;
        let words = match (said.denial, said.object) {
            (Some(denied), _) => Some(denied.message),
            (None, Some(_)) => Some(NO_MUTATION.to_owned()),
            (None, None) => None,
        };
        let name = policy.name();
        self.warnings.push(said.warnings);
        self.annotations.push((name, said.annotations));
        let allowed = words.is_none();
        if let Some(message) = words {
            let field = format!("spec.policies.{}", self::member(name));
            self.causes.push(Cause { field, message, ..Cause::default() });
        }
        if let Some(said) = self.said.get_mut(member) {
            *said = Some(allowed);
        }
        Ok(allowed)
    }
}

/// Its name within the group.
fn member(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, member)| member)
}

/// As Kubewarden's server says it.
const NO_MUTATION: &str = "mutation is not allowed inside of policy group";
