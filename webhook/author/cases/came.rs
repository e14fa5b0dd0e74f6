//! From what policies answered to what cases can compare.

use serde_json::Value;

use super::{Came, compare::CameCause, expect::Verdict};
use crate::{
    observe::Seen,
    policy::{Admission, Answered, Authorization},
    review::{access::Decision, verdict::TokenVerdict},
    spec::{Failure, Interface, Outcome},
};

pub(super) fn came(answered: &Answered<'_>, seen: &[Seen]) -> Came {
    if !seen.iter().any(|it| it.asked) {
        let why = seen.iter().map(|it| format!("{}: {}", it.policy, it.why)).collect::<Vec<_>>();
        let message = format!("the review does not match ({})", why.join("; "));
        return Came { verdict: Some(Verdict::NotAsked), message, ..Came::default() };
    }
    // What members say is in what their group says.
    let asked: Vec<&Seen> = seen.iter().filter(|it| it.asked && !it.is_member).collect();
    let mut came = match answered {
        Answered::Token { verdict, .. } => token(verdict, &asked),
        Answered::Access { answer, .. } => access(answer, &asked),
        Answered::Admission(admission) => admitted(admission, &asked),
        Answered::Event(Ok(answer)) => {
            // Beyond the depth that can be compared it is text.
            let answer = serde_json::from_str(answer.get()).unwrap_or_else(|_| Value::from(answer.get()));
            Came { verdict: Some(Verdict::Answered), answer: Some(answer), ..Came::default() }
        }
        Answered::Event(Err((_, words))) => failed(words, &asked),
    };
    let facts = asked.iter().flat_map(|it| &it.facts);
    came.annotations.extend(facts.map(|it| (it.key.clone(), it.value.clone())));
    came.mutators = asked.iter().any(|it| it.kind.interface() == Interface::Mutating);
    came.policies = asked.iter().map(|it| it.policy.clone()).collect();
    came
}

fn token(verdict: &TokenVerdict, asked: &[&Seen]) -> Came {
    match verdict {
        TokenVerdict::Authenticated { user, .. } => {
            Came { verdict: Some(Verdict::Authenticated), user: Some(user.clone()), ..Came::default() }
        }
        TokenVerdict::Unauthenticated { error: Some(words) } => failed(words, asked),
        TokenVerdict::Unauthenticated { error: None } => {
            let verdict = if said(asked, &Outcome::Rejected) { Verdict::Rejected } else { Verdict::Unknown };
            Came { verdict: Some(verdict), ..Came::default() }
        }
    }
}

fn access(answer: &Authorization, asked: &[&Seen]) -> Came {
    match answer {
        Authorization::Unavailable(words) => failed(words, asked),
        Authorization::Decided(ruling) => {
            let verdict = match ruling.decision {
                Decision::Allow => Verdict::Allow,
                Decision::Deny => Verdict::Deny,
                Decision::NoOpinion => Verdict::NoOpinion,
            };
            Came { verdict: Some(verdict), message: ruling.reason.clone(), ..Came::default() }
        }
    }
}

fn admitted(admission: &Admission<'_>, asked: &[&Seen]) -> Came {
    let parsed = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let mut came = Came {
        object: admission.object.as_deref().map(parsed),
        original: admission.request.object.map(|it| parsed(it.get())),
        ..Came::default()
    };
    let mut denial = None;
    for verdict in admission.mutated.iter().chain(&admission.validated) {
        came.warnings.extend(verdict.warnings.iter().cloned());
        came.annotations.extend(verdict.annotations.clone());
        denial = verdict.denial.as_ref().or(denial);
    }
    if let Some(denial) = denial {
        // A failure that nobody's own denial goes with.
        let is_failure = failures(asked).next().is_some() && !said(asked, &Outcome::Denied);
        came.verdict = Some(if is_failure { Verdict::Error } else { Verdict::Denied });
        came.message = with_failures(&denial.message, asked);
        came.code = Some(denial.code);
        came.reason = denial.reason.clone();
        let cause = |it: &crate::review::admission::Cause| CameCause {
            field: it.field.clone(),
            reason: it.reason.clone(),
            message: it.message.clone(),
        };
        came.causes = denial.causes.iter().map(cause).collect();
        // What was changed before somebody denied goes nowhere.
        came.object = None;
        return came;
    }
    came.verdict = Some(if came.object.is_some() {
        Verdict::Mutated
    } else if asked.iter().all(|it| it.kind.interface() == Interface::Mutating) {
        Verdict::Unchanged
    } else {
        Verdict::Allowed
    });
    came
}

fn failed(words: &str, asked: &[&Seen]) -> Came {
    Came { verdict: Some(Verdict::Error), message: with_failures(words, asked), ..Came::default() }
}

/// What whoever asked is told, and what only the log would tell.
fn with_failures(words: &str, asked: &[&Seen]) -> String {
    let failures: Vec<String> = failures(asked).map(ToString::to_string).collect();
    if failures.is_empty() { words.to_owned() } else { format!("{words} ({})", failures.join("; ")) }
}

fn failures<'a>(asked: &'a [&Seen]) -> impl Iterator<Item = &'a Failure> {
    asked.iter().filter_map(|it| it.called.as_ref()?.outcome.failure())
}

fn said(asked: &[&Seen], outcome: &Outcome) -> bool {
    asked.iter().any(|it| it.called.as_ref().is_some_and(|it| it.outcome == *outcome))
}
