//! Policies that decide together: an expression over what each of them says.

use super::{
    Ask, Policy,
    ask::{Asked, Question},
    fold::Said,
};
use crate::{
    cel,
    review::{
        admission::{Annotation, Cause, Denial},
        clean,
        verdict::Denied,
    },
    spec::{Failure, GroupSpec, Runs},
};

/// A group that is loaded.
pub(super) struct Group {
    expression: cel::Group,
    /// In the order of the expression's numbers.
    members: Vec<Policy>,
}

impl Group {
    pub(super) fn new(expression: cel::Group, members: Vec<Policy>) -> Self {
        Self { expression, members }
    }

    pub(super) fn members(&self) -> &[Policy] {
        &self.members
    }

    /// Asks those of its members that matter, for `policy`, which is the group.
    ///
    /// # Errors
    /// One of them failed: else `!member()` of one that took too long would allow.
    pub(super) async fn put<Q>(&self, ask: Ask<'_>, policy: &Policy, question: &Q) -> Result<Said, Failure>
    where
        Q: Question + Send,
        Q::Answer: Into<Said>,
    {
        let mut asking = Asking {
            members: &self.members,
            of_kubewarden: policy.spec.kubewarden.is_some(),
            ask,
            question,
            said: vec![None; self.members.len()],
            whole: Said { denial: None, warnings: Vec::new(), annotations: Vec::new() },
            causes: Vec::new(),
        };
        let allowed = self.expression.eval(&mut asking).await?;
        let Asking { whole, causes, .. } = asking;
        let denial = (!allowed).then(|| {
            let message = policy.spec.message.clone().unwrap_or_else(|| match &policy.spec.runs {
                Runs::Group(group) => format!("it does not hold that {}", group.expression.trim()),
                Runs::Component(_) => String::new(),
            });
            clean::denied(Denial { message, causes, ..Denial::default() })
        });
        Ok(Said { denial, ..whole })
    }
}

/// What asks the members of a group, each once.
struct Asking<'a, Q> {
    members: &'a [Policy],
    of_kubewarden: bool,
    ask: Ask<'a>,
    question: &'a Q,
    said: Vec<Option<bool>>,
    /// What its members say beside their verdicts.
    whole: Said,
    causes: Vec<Cause>,
}

impl<Q> cel::Members for Asking<'_, Q>
where
    Q: Question + Send,
    Q::Answer: Into<Said>,
{
    type Failure = Failure;

    async fn ask(&mut self, member: usize) -> Result<bool, Failure> {
        if let Some(Some(said)) = self.said.get(member) {
            return Ok(*said);
        }
        let Some(policy) = self.members.get(member) else {
            return Err(Failure::Host("a member of the group is not there".to_owned()));
        };
        let said: Said = Asked::member(policy, self.ask).put(self.ask, self.question).await?.into();
        let name = GroupSpec::within(&policy.spec.name);
        let annotations = said.annotations.into_iter();
        self.whole.warnings.extend(said.warnings);
        self.whole.annotations.extend(annotations.map(|it| Annotation { key: format!("{name}.{}", it.key), ..it }));
        let allowed = said.denial.is_none();
        if let Some(denied) = said.denial {
            if self.of_kubewarden {
                let field = format!("spec.policies.{name}");
                self.causes.push(Cause { field, message: denied.message, ..Cause::default() });
            } else {
                let Denied { message, causes, .. } = denied;
                let is_said = causes.iter().any(|it| it.message == message);
                let whole = (!is_said).then(|| Cause { message, ..Cause::default() });
                let all = whole.into_iter().chain(causes);
                self.causes.extend(all.map(|it| Cause { message: format!("{name}: {}", it.message), ..it }));
            }
        }
        if let Some(said) = self.said.get_mut(member) {
            *said = Some(allowed);
        }
        Ok(allowed)
    }
}
