//! One request on its way: its uid for each line of the log, and, where somebody wants it, all that becomes of it.
//!
//! Where nobody does, this is what a request needs anyway to be answered too late: its version and its uid.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use http::HeaderMap;

use super::{
    Decisions, PolicyEvent, TraceContext,
    decision::{About, DecisionEvent, Part, Verdict, short},
    redact,
};
use crate::{
    review::{
        Version,
        access::{Ruling, SubjectAccessReview},
        admission::AdmissionRequest,
        token::TokenReview,
        verdict::{AdmissionVerdict, TokenVerdict},
    },
    spec::{Digest, Line, Outcome},
};

/// One request.
pub struct Trail {
    decisions: Arc<Decisions>,
    /// Of an AdmissionReview, once it is decoded.
    head: OnceLock<(Version, String)>,
    /// What lines of the log are marked with; made when first needed.
    uid: OnceLock<Arc<str>>,
    secret: AtomicBool,
    /// None: nobody wants it.
    record: Option<Box<Record>>,
}

struct Record {
    route: &'static str,
    asked: Option<String>,
    began: (SystemTime, Instant),
    trace: Option<TraceContext>,
    set: Option<Digest>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// None: it was not even decoded.
    about: Option<About>,
    verdict: Option<Verdict>,
    policies: Vec<Part>,
    /// The patch was too large to be kept.
    cut: bool,
    input: Option<Bytes>,
}

/// Tells of the request when it is answered, or when it is dropped before, since its caller hung up.
pub struct Ending(Arc<Trail>);

impl Trail {
    /// A request came in; `set` is asked for only where somebody wants to know.
    pub fn begin(
        decisions: &Arc<Decisions>,
        route: &'static str,
        asked: Option<&str>,
        headers: &HeaderMap,
        set: impl FnOnce() -> Digest,
    ) -> (Arc<Self>, Ending) {
        let trace = decisions.trace(headers);
        let record = decisions.wants(trace.as_ref()).then(|| {
            Box::new(Record {
                route,
                asked: asked.map(short),
                began: (SystemTime::now(), Instant::now()),
                trace,
                set: Some(set()),
                seen: Mutex::default(),
            })
        });
        let trail = Arc::new(Self {
            decisions: Arc::clone(decisions),
            head: OnceLock::new(),
            uid: OnceLock::new(),
            secret: AtomicBool::new(false),
            record,
        });
        (Arc::clone(&trail), Ending(trail))
    }

    /// It is about an object.
    pub fn admission(&self, version: Version, request: &AdmissionRequest<'_>) {
        self.secret.store(redact::is_secret(request), Ordering::Relaxed);
        // Only ever set once.
        let _ = self.head.set((version, request.uid.clone()));
        self.about(|| About::admission(request));
    }

    /// It is any JSON, which has this uid.
    pub fn raw(&self, uid: &str, json: &str) {
        if !uid.is_empty() {
            let _ = self.uid.set(short(uid).into());
        }
        self.event(json);
    }

    /// It asks what somebody may.
    pub fn access(&self, review: &SubjectAccessReview) {
        self.about(|| About::access(review));
    }

    /// It asks who somebody is.
    pub fn token(&self) {
        self.about(About::token);
    }

    /// It is an event.
    pub fn event(&self, json: &str) {
        self.secret.store(redact::names_a_secret(json), Ordering::Relaxed);
        self.about(About::default);
    }

    fn about(&self, about: impl FnOnce() -> About) {
        self.seen(|seen| seen.about = Some(about()));
    }

    /// What came in, if somebody wants that.
    pub fn input(&self, body: &Bytes) {
        if self.decisions.wants_input() {
            self.seen(|seen| seen.input = Some(body.clone()));
        }
    }

    /// It is answered by this.
    pub fn admitted(&self, verdict: &AdmissionVerdict) {
        self.seen(|seen| {
            let fits = verdict.patch.as_ref().is_none_or(|it| it.len() <= MAX_PATCH);
            seen.cut = !fits;
            let AdmissionVerdict { denial, patch, warnings, annotations } = verdict;
            seen.verdict = Some(Verdict::Admission(AdmissionVerdict {
                denial: denial.clone(),
                patch: patch.as_ref().filter(|_| fits).cloned(),
                warnings: warnings.clone(),
                annotations: annotations.clone(),
            }));
        });
    }

    /// It is answered by this.
    pub fn ruled(&self, ruling: &Ruling) {
        self.seen(|seen| seen.verdict = Some(Verdict::Access(ruling.clone())));
    }

    /// It is answered by this, of which nothing may hold the token.
    pub fn authenticated(&self, review: &TokenReview, verdict: &TokenVerdict) {
        self.seen(|seen| seen.verdict = Some(Verdict::Token(redact::without_token(verdict, &review.token))));
    }

    /// An event is answered.
    pub fn answered(&self) {
        self.seen(|seen| seen.verdict = Some(Verdict::Answered));
    }

    /// It ends with an HTTP status code and short words, whatever was said before.
    pub fn refused(&self, code: u16, words: &str) {
        self.seen(|seen| seen.verdict = Some(Verdict::Refused(code, short(words))));
    }

    /// Of an AdmissionReview, from when it was decoded: its version and uid.
    pub fn head(&self) -> Option<(Version, &str)> {
        self.head.get().map(|(version, uid)| (*version, uid.as_str()))
    }

    /// The uid of the review, of at most 512 bytes; one of our own where it has none.
    pub fn uid(&self) -> &str {
        self.shared_uid()
    }

    fn shared_uid(&self) -> &Arc<str> {
        self.uid.get_or_init(|| match self.head.get() {
            Some((_, uid)) if !uid.is_empty() => short(uid).into(),
            _ => format!("{:032x}", rand::random::<u128>()).into(),
        })
    }

    /// Whether it is about a Secret, so that no text about it may be told.
    pub fn is_secret(&self) -> bool {
        self.secret.load(Ordering::Relaxed)
    }

    /// Whether somebody wants to know what becomes of it.
    pub fn records(&self) -> bool {
        self.record.is_some()
    }

    /// A policy was asked. What it logged is taken.
    pub(super) fn decided(&self, event: &mut PolicyEvent<'_>) {
        self.seen(|seen| {
            let words = event.words.take().unwrap_or_default();
            let message = match &event.outcome {
                Outcome::Failed(failure) => failure.to_string(),
                _ => words.message,
            };
            seen.policies.push(Part {
                kind: event.kind,
                name: event.policy.to_owned(),
                outcome: event.outcome.name(),
                denied: matches!(event.outcome, Outcome::Denied | Outcome::Rejected),
                failed: matches!(event.outcome, Outcome::Failed(_)),
                message,
                causes: words.causes.into_iter().take(MAX_CAUSES).collect(),
                decides: event.decides,
                ended: SystemTime::now(),
                timing: event.usage.timing,
                log: bounded(std::mem::take(&mut event.usage.log)),
                facts: std::mem::take(&mut event.facts),
            });
        });
    }

    /// Nothing panics while it is held.
    fn seen(&self, change: impl FnOnce(&mut Seen)) {
        if let Some(record) = &self.record {
            change(&mut record.seen.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Tells everybody.
    fn end(&self) {
        let Some(record) = &self.record else { return };
        let seen = std::mem::take(&mut *record.seen.lock().unwrap_or_else(PoisonError::into_inner));
        // What was no review was refused before anybody decided.
        let Some(about) = seen.about else { return };
        let is_token = about.review == crate::review::token::KIND;
        let mut event = DecisionEvent {
            id: Arc::clone(self.shared_uid()),
            trace: record.trace,
            began: record.began.0,
            took: record.began.1.elapsed(),
            route: record.route,
            asked: record.asked.clone(),
            about,
            verdict: seen.verdict.unwrap_or(Verdict::Abandoned),
            policies: seen.policies,
            set: record.set,
            erased: if seen.cut { vec!["/result/patch".to_owned()] } else { Vec::new() },
        };
        if is_token || self.is_secret() {
            redact::withhold(&mut event);
        }
        self.decisions.tell(event, seen.input);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The first lines.
fn bounded(log: Vec<Line>) -> Vec<Line> {
    let mut left = MAX_LOG;
    let fits = |it: &Line| {
        let fits = it.text.len() <= left;
        left = left.saturating_sub(it.text.len());
        fits
    };
    log.into_iter().take_while(fits).collect()
}

/// Bytes of a patch that are kept.
const MAX_PATCH: usize = 16 << 10;
/// Causes of one policy that are kept.
const MAX_CAUSES: usize = 32;
/// Bytes of what one policy logs that are kept.
const MAX_LOG: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Each request has one: it must be no more than what a late answer needs.
    #[test]
    fn where_nobody_wants_to_know_nothing_is_gathered() {
        let digest = || -> Digest { panic!("the set is not asked for its digest") };
        let (trail, ending) = Trail::begin(&Decisions::none(), "authenticate", Some("p"), &HeaderMap::new(), digest);
        let review = TokenReview { token: "a-token-of-some-length".to_owned(), audiences: Vec::new() };
        trail.token();
        trail.input(&Bytes::from_static(b"{}"));
        trail.authenticated(&review, &TokenVerdict::Unauthenticated { error: None });
        assert!(!trail.records() && trail.record.is_none() && trail.uid.get().is_none());
        assert!(size_of::<Trail>() <= 96, "{}", size_of::<Trail>());
        drop(ending);
        assert_eq!(trail.uid().len(), 32);
        assert_eq!(trail.uid(), trail.uid());
    }
}
