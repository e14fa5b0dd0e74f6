//! One request with all that came of it: the event behind the decision log, the last decisions and the traces.
//!
//! What must not be seen of it is gone before anybody gets it: see [`super::redact`]. Texts are bounded, since callers and guests write them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::TraceContext;
use crate::{
    review::{
        access::{Attributes, Decision, Ruling, SubjectAccessReview},
        admission::{AdmissionRequest, Cause, GroupVersionKind, GroupVersionResource},
        user::UserInfo,
        verdict::{AdmissionVerdict, TokenVerdict},
    },
    spec::{Digest, Fact, Kind, Line, Timing},
};

/// A request that was decided, or failed to be.
#[derive(Debug)]
pub struct DecisionEvent {
    /// The review's uid; one of our own where it has none.
    pub id: Arc<str>,
    /// Where its span belongs.
    pub trace: Option<TraceContext>,
    /// Since when.
    pub began: SystemTime,
    /// Until the answer was there.
    pub took: Duration,
    /// How it came in: `validate`, for example.
    pub route: &'static str,
    /// The policy that was asked for by its name, or the entry of a class.
    pub asked: Option<String>,
    /// Who wants what.
    pub about: About,
    /// What was answered.
    pub verdict: Verdict,
    /// What each policy made of it, in the order in which they were ready.
    pub policies: Vec<Part>,
    /// Of the set that it was asked of.
    pub set: Option<Digest>,
    /// JSON pointers of what was removed.
    pub erased: Vec<String>,
}

/// What was answered.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// To an AdmissionReview.
    Admission(AdmissionVerdict),
    /// To a SubjectAccessReview.
    Access(Ruling),
    /// To a TokenReview.
    Token(TokenVerdict),
    /// To an event: an answer.
    Answered,
    /// No review, but an HTTP status code with short words.
    Refused(u16, String),
    /// Nothing: the caller hung up.
    Abandoned,
}

/// What a request is about, without objects, tokens and extras.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Of the review; empty for events.
    pub review: &'static str,
    /// Operation or verb.
    pub operation: String,
    /// Of the object; empty but in AdmissionReviews.
    pub kind: GroupVersionKind,
    /// As the user named it.
    pub resource: GroupVersionResource,
    /// As the user named it.
    pub subresource: String,
    /// Empty for what is in none.
    pub namespace: String,
    /// Empty where none is known.
    pub name: String,
    /// Of what is no resource.
    pub path: String,
    /// Who asks. Extras are left out.
    pub user: UserInfo,
    /// Nothing will be stored.
    pub dry_run: bool,
}

/// What one policy made of it.
#[derive(Debug, Clone)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What came of it: the value of the metric label `outcome`.
    pub outcome: &'static str,
    /// Whether it said no.
    pub denied: bool,
    /// Whether there is no usable answer.
    pub failed: bool,
    /// What it says of its decision; of a failure, what the operator's log says.
    pub message: String,
    /// Each violation on its own.
    pub causes: Vec<Cause>,
    /// Whether what it says decides.
    pub decides: bool,
    /// When it was ready.
    pub ended: SystemTime,
    /// Where its time went.
    pub timing: Timing,
    /// What it logged and printed.
    pub log: Vec<Line>,
    /// What it wrote to the audit log.
    pub facts: Vec<Fact>,
}

impl DecisionEvent {
    /// Whether anybody denied, even where that decides nothing.
    pub fn is_denied(&self) -> bool {
        let denied = match &self.verdict {
            Verdict::Admission(verdict) => verdict.denial.is_some(),
            Verdict::Access(ruling) => ruling.decision == Decision::Deny,
            Verdict::Token(_) | Verdict::Answered | Verdict::Refused(..) | Verdict::Abandoned => false,
        };
        denied || self.policies.iter().any(|it| it.denied)
    }

    /// Whether anything failed, a policy or all of it.
    pub fn is_failed(&self) -> bool {
        matches!(self.verdict, Verdict::Refused(..) | Verdict::Abandoned) || self.policies.iter().any(|it| it.failed)
    }

    /// As `/decisions` and the decision log name it: the route, and the policy if one was asked for.
    pub fn path(&self) -> String {
        self.asked.as_ref().map_or_else(|| self.route.to_owned(), |name| format!("{}/{name}", self.route))
    }

    /// About how many bytes it takes in memory.
    pub fn size(&self) -> usize {
        let causes = |causes: &[Cause]| -> usize {
            causes.iter().map(|it| it.field.len() + it.reason.len() + it.message.len() + size_of::<Cause>()).sum()
        };
        let part = |it: &Part| {
            let log: usize = it.log.iter().map(|it| it.text.len() + size_of::<Line>()).sum();
            let facts: usize = it.facts.iter().map(|it| it.key.len() + it.value.len() + size_of::<Fact>()).sum();
            size_of::<Part>() + it.name.len() + it.message.len() + causes(&it.causes) + log + facts
        };
        let verdict = match &self.verdict {
            Verdict::Admission(it) => {
                let denial = it.denial.as_ref().map_or(0, |it| it.message.len() + causes(&it.causes));
                let warnings: usize = it.warnings.iter().map(|it| it.len() + size_of::<String>()).sum();
                let annotations: usize = it.annotations.iter().map(|(key, it)| key.len() + it.len() + 64).sum();
                denial + warnings + annotations + it.patch.as_ref().map_or(0, String::len)
            }
            Verdict::Access(ruling) => ruling.reason.len(),
            Verdict::Token(TokenVerdict::Authenticated { user, audiences }) => size(user) + strings(audiences),
            Verdict::Token(TokenVerdict::Unauthenticated { error }) => error.as_ref().map_or(0, String::len),
            Verdict::Refused(_, words) => words.len(),
            Verdict::Answered | Verdict::Abandoned => 0,
        };
        let about = &self.about;
        let texts = [&about.operation, &about.subresource, &about.namespace, &about.name, &about.path];
        let about = texts.iter().map(|it| it.len()).sum::<usize>() + size(&about.user);
        size_of::<Self>() + verdict + about + self.policies.iter().map(part).sum::<usize>() + strings(&self.erased)
    }
}

fn size(user: &UserInfo) -> usize {
    let extra: usize = user.extra.iter().map(|(key, values)| key.len() + strings(values) + 64).sum();
    user.username.len() + user.uid.len() + strings(&user.groups) + extra
}

fn strings(strings: &[String]) -> usize {
    strings.iter().map(|it| it.len() + size_of::<String>()).sum()
}

impl About {
    pub(super) fn admission(request: &AdmissionRequest<'_>) -> Self {
        let kind = &request.request_kind;
        let resource = &request.request_resource;
        Self {
            review: crate::review::admission::KIND,
            operation: request.operation.name().to_owned(),
            kind: GroupVersionKind {
                group: short(&kind.group),
                version: short(&kind.version),
                kind: short(&kind.kind),
            },
            resource: GroupVersionResource {
                group: short(&resource.group),
                version: short(&resource.version),
                resource: short(&resource.resource),
            },
            subresource: short(&request.request_subresource),
            namespace: short(&request.namespace),
            name: short(&request.name),
            path: String::new(),
            user: user(&request.user),
            dry_run: request.dry_run,
        }
    }

    pub(super) fn access(review: &SubjectAccessReview) -> Self {
        let all = Self { review: crate::review::access::KIND, user: user(&review.user), ..Self::default() };
        match &review.attributes {
            Attributes::Resource(it) => Self {
                operation: short(&it.verb),
                resource: GroupVersionResource {
                    group: short(&it.group),
                    version: short(&it.version),
                    resource: short(&it.resource),
                },
                subresource: short(&it.subresource),
                namespace: short(&it.namespace),
                name: short(&it.name),
                ..all
            },
            Attributes::NonResource(it) => Self { operation: short(&it.verb), path: short(&it.path), ..all },
        }
    }

    pub(super) fn token() -> Self {
        Self { review: crate::review::token::KIND, ..Self::default() }
    }
}

/// Without extras.
fn user(user: &UserInfo) -> UserInfo {
    UserInfo {
        username: short(&user.username),
        uid: short(&user.uid),
        groups: user.groups.iter().take(MAX_GROUPS).map(|it| short(it)).collect(),
        extra: Default::default(),
    }
}

/// Names in Kubernetes are at most 253 bytes long; what callers write need not be.
pub(super) fn short(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_NAME)].to_owned()
}

const MAX_NAME: usize = 512;
const MAX_GROUPS: usize = 64;
