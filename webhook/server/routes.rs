//! What is asked over HTTP, and how it is answered. After a review is decoded, every outcome is a review.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use tokio::time::Instant;
use tracing::error;

use super::{
    Rate,
    body::{self, Terms},
    budget::{Budget, REQUEST, Share},
    deadline,
    lane::{Lane, NotRun},
    pool::{Activity, Caller},
};
use crate::{
    observe::Metrics,
    policy::{Ask, Authorization, Live, Selection, Set, Vanilla},
    review::{Malformed, Version, access, admission, token},
    spec::Interface,
    turn::Turns,
};

/// What the routes may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body of an AdmissionReview.
    pub admission_body: usize,
    /// Bytes of any other body.
    pub body: usize,
    /// Bytes that all requests in flight may hold together: bodies as far as they came, and answers until they are sent. A sixteenth each is
    /// for authentication, authorization and events, so that none of them waits for admission.
    pub bodies: usize,
    /// How long an answer may take if the caller does not say.
    pub time: Duration,
    /// How slowly a body may come.
    pub body_rate: Rate,
}

impl Limits {
    /// What requests to one of the other routes than admission's may hold together, in bytes.
    fn others(&self) -> usize {
        self.bodies / 16
    }

    fn admission(&self) -> usize {
        self.bodies - 3 * self.others()
    }

    /// The least that `bodies` must be so that one body of each kind fits, which is copied while it grows.
    pub fn least_bodies(&self) -> usize {
        (self.admission_body * 2 + REQUEST).div_ceil(13).max(self.body * 2 + REQUEST).saturating_mul(16)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            admission_body: 32 << 20,
            body: 1 << 20,
            bodies: 256 << 20,
            time: Duration::from_secs(30),
            body_rate: Rate { grace: Duration::from_secs(5), bytes_per_second: 16 << 10 },
        }
    }
}

/// What the routes need.
struct App {
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    limits: Limits,
    budgets: Budgets,
    lane: Lane,
    events: bool,
}

/// Nothing that admission does is in the way of a login.
struct Budgets {
    authentication: Budget,
    authorization: Budget,
    admission: Budget,
    events: Budget,
}

/// The routes of the server. `events`: whether `/events` answers, which it does not for callers that nobody knows.
pub fn app(live: Arc<Live>, metrics: Arc<Metrics>, limits: Limits, events: bool) -> Router {
    let others = || Budget::new(limits.others(), &metrics);
    let budgets = Budgets {
        authentication: others(),
        authorization: others(),
        admission: Budget::new(limits.admission(), &metrics),
        events: others(),
    };
    let app = App { live, metrics, limits, budgets, lane: Lane::default(), events };
    let both = |path: &str, question: Question, router: Router<Arc<App>>| {
        let all = move |State(app): State<Arc<App>>, request: Request| answer(app, question, None, request);
        let one = move |State(app): State<Arc<App>>, Path(policy): Path<String>, request: Request| {
            answer(app, question, Some(policy), request)
        };
        router.route(path, post(all)).route(&format!("{path}/{{policy}}"), post(one))
    };
    let router = both("/authenticate", Question::Authenticate, Router::new());
    let router = both("/authorize", Question::Authorize, router);
    let router = both("/validate", Question::Validate, router);
    let router = both("/mutate", Question::Mutate, router);
    let one = |question: Question| {
        post(move |State(app): State<Arc<App>>, Path(policy): Path<String>, request: Request| {
            answer(app, question, Some(policy), request)
        })
    };
    router
        .route("/events/{policy}", one(Question::Event))
        // As Kubewarden's policy-server has them, for policies from its files.
        .route("/audit/{policy}", one(Question::Audit))
        .route("/validate_raw/{policy}", one(Question::ValidateRaw))
        .fallback(async || refused(StatusCode::NOT_FOUND, "no such path".to_owned()))
        .method_not_allowed_fallback(async || refused(StatusCode::METHOD_NOT_ALLOWED, "use POST".to_owned()))
        .with_state(Arc::new(app))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Authenticate,
    Authorize,
    Validate,
    Mutate,
    /// A policy of Kubewarden's, without what the operator makes of its answer.
    Audit,
    /// A policy of Kubewarden's, about any JSON.
    ValidateRaw,
    Event,
}

impl Question {
    fn interface(self) -> Interface {
        match self {
            Self::Authenticate => Interface::Authentication,
            Self::Authorize => Interface::Authorization,
            Self::Validate | Self::Audit | Self::ValidateRaw => Interface::Validating,
            Self::Mutate => Interface::Mutating,
            Self::Event => Interface::Provider,
        }
    }

    /// The value of the label `route`.
    fn route(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::Authorize => "authorize",
            Self::Validate => "validate",
            Self::Mutate => "mutate",
            Self::Audit => "audit",
            Self::ValidateRaw => "validate_raw",
            Self::Event => "events",
        }
    }
}

/// Status and short words for a caller who gets no review.
type Refusal = (StatusCode, String);

async fn answer(app: Arc<App>, question: Question, policy: Option<String>, request: Request) -> Response {
    let counted = app.metrics.request(question.route());
    let answered = AssertUnwindSafe(receive(&app, question, policy, request)).catch_unwind().await;
    let response = match answered {
        Ok(Ok(body)) => json(StatusCode::OK, body),
        Ok(Err((status, words))) if question == Question::Event => {
            json(status, serde_json::json!({"error": words}).to_string().into())
        }
        Ok(Err((status, words))) => refused(status, words),
        Err(_) => {
            error!(route = question.route(), "a request made the server panic: please report it");
            refused(StatusCode::INTERNAL_SERVER_ERROR, "the server failed".to_owned())
        }
    };
    counted.answered(response.status().as_u16());
    response
}

/// From the head of a request to its answer.
async fn receive(
    app: &Arc<App>,
    question: Question,
    policy: Option<String>,
    request: Request,
) -> Result<Bytes, Refusal> {
    let (parts, body) = request.into_parts();
    if question == Question::Event && !app.events {
        return Err((
            StatusCode::FORBIDDEN,
            "events are answered only to callers with a client certificate".to_owned(),
        ));
    }
    // What is not there is said before a body is read for it.
    let set = app.live.set();
    selected(&set, question, policy.as_deref())?;
    check_content_type(&parts.headers)?;
    let allowance =
        deadline::allowance(parts.uri.query(), app.limits.time).map_err(|words| (StatusCode::BAD_REQUEST, words))?;
    let deadline = Instant::now() + allowance;
    let (limit, budget) = match question {
        Question::Validate | Question::Mutate | Question::Audit | Question::ValidateRaw => {
            (app.limits.admission_body, &app.budgets.admission)
        }
        Question::Authenticate => (app.limits.body, &app.budgets.authentication),
        Question::Authorize => (app.limits.body, &app.budgets.authorization),
        Question::Event => (app.limits.body, &app.budgets.events),
    };
    let terms = Terms { limit, deadline, rate: app.limits.body_rate };
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
    let caller = parts.extensions.get::<Caller>().copied().unwrap_or_default();
    let connection = parts.extensions.get::<Arc<Activity>>().cloned();
    // Headers are large where somebody wants them to be, and a body may take its time.
    drop(parts);
    let refused = |(status, words, reason)| {
        app.metrics.body_refused(question.route(), reason);
        (status, words)
    };
    let most = body::most(announced, limit);
    let share = budget.begin(caller, connection, most, deadline).await.map_err(|_| refused(body::busy()))?;
    let bytes = body::read(&share, &terms, announced, body).await.map_err(refused)?;
    let (large, latest) = (bytes.len() > LARGE, deadline + lateness(allowance));
    let head = Head::default();
    let work = work(set, question, policy, share, bytes, deadline, Arc::clone(&head));
    match question {
        Question::Authenticate | Question::Authorize => Turns::new(work, false).await,
        // What they cost must not be in the way of a login.
        _ => match (app.lane.run(large, latest.into_std(), work).await, head.get()) {
            (Ok(answer), _) => answer,
            (Err(NotRun::TooLate), Some((version, uid))) => Ok(admission::too_late(*version, uid).into()),
            (Err(wrong), _) => Err(not_run(wrong)),
        },
    }
}

/// What an AdmissionReview is answered by when its work ends too late, from when it was decoded: its version and uid.
type Head = Arc<OnceLock<(Version, String)>>;

/// Holds all that it needs, so that it can run anywhere: the set as well, which may be another for the next request.
async fn work(
    set: Arc<Set>,
    question: Question,
    policy: Option<String>,
    share: Share,
    bytes: Bytes,
    deadline: Instant,
    head: Head,
) -> Result<Bytes, Refusal> {
    let selection = selected(&set, question, policy.as_deref())?;
    let answer = ask(question, &selection, &bytes, deadline, &head).await?;
    drop(bytes);
    Ok(share.answer(answer))
}

fn selected<'a>(set: &'a Set, question: Question, policy: Option<&str>) -> Result<Selection<'a>, Refusal> {
    let selected = set.select(question.interface(), policy);
    let of_kubewarden = matches!(question, Question::Audit | Question::ValidateRaw);
    selected.filter(|it| !of_kubewarden || it.of_kubewarden().is_some()).ok_or_else(|| no_policy(policy.is_some()))
}

fn no_policy(named: bool) -> Refusal {
    let words = if named { "no such policy, or not of this kind" } else { "no policy answers this" };
    (StatusCode::NOT_FOUND, words.to_owned())
}

fn not_run(wrong: NotRun) -> Refusal {
    let words = match wrong {
        NotRun::TooLate => "the server is busy with other requests",
        NotRun::NoThreads => "the server failed",
    };
    (StatusCode::SERVICE_UNAVAILABLE, words.to_owned())
}

/// How long after the deadline an answer that says that it passed can still be sent: half of what is left to travel.
fn lateness(allowance: Duration) -> Duration {
    (allowance / 18).clamp(Duration::from_millis(10), Duration::from_millis(250))
}

/// From a body to its answer.
async fn ask(
    question: Question,
    selection: &Selection<'_>,
    bytes: &[u8],
    deadline: Instant,
    head: &Head,
) -> Result<Vec<u8>, Refusal> {
    let raw = std::str::from_utf8(bytes).map_err(|_| (StatusCode::BAD_REQUEST, "the body is not UTF-8".to_owned()))?;
    let ask = Ask { raw, deadline: deadline.into_std(), watch: None, now: None };
    let malformed = |malformed: Malformed| (StatusCode::BAD_REQUEST, malformed.to_string());
    Ok(match question {
        Question::Authenticate => {
            let envelope = token::decode(bytes).map_err(malformed)?;
            let verdict = selection.authenticate(ask, &envelope.review).await;
            token::encode(envelope.version, &envelope.review, &verdict)
        }
        Question::Authorize => {
            let envelope = access::decode(bytes).map_err(malformed)?;
            match selection.authorize(ask, &envelope.review).await {
                Authorization::Decided(ruling) => access::encode(envelope.version, &ruling),
                Authorization::Unavailable(words) => return Err((StatusCode::SERVICE_UNAVAILABLE, words)),
            }
        }
        Question::Validate => {
            let envelope = admission::decode(bytes).map_err(malformed)?;
            let _ = head.set((envelope.version, envelope.review.uid.to_string()));
            let verdict = match selection.of_kubewarden() {
                Some(policy) => policy.admit(ask, &envelope.review, Vanilla::No).await,
                None => selection.validate(ask, &envelope.review).await,
            };
            admission::encode(envelope.version, &envelope.review, &verdict)
        }
        Question::Audit => {
            let envelope = admission::decode(bytes).map_err(malformed)?;
            let _ = head.set((envelope.version, envelope.review.uid.to_string()));
            let verdict = match selection.of_kubewarden() {
                Some(policy) => policy.admit(ask, &envelope.review, Vanilla::Yes).await,
                None => return Err(no_policy(true)),
            };
            admission::encode(envelope.version, &envelope.review, &verdict)
        }
        Question::ValidateRaw => {
            let raw = admission::decode_raw(bytes).map_err(malformed)?;
            let verdict = match selection.of_kubewarden() {
                Some(policy) => policy.admit_raw(ask, raw.request.get()).await,
                None => None,
            };
            admission::encode_raw(&raw.uid, &verdict.ok_or_else(|| no_policy(true))?)
        }
        Question::Mutate => {
            let envelope = admission::decode(bytes).map_err(malformed)?;
            let _ = head.set((envelope.version, envelope.review.uid.to_string()));
            let verdict = selection.mutate(ask, &envelope.review).await;
            admission::encode(envelope.version, &envelope.review, &verdict)
        }
        Question::Event => {
            serde_json::from_str::<&serde_json::value::RawValue>(raw)
                .map_err(|error| (StatusCode::BAD_REQUEST, format!("the event is not JSON: {error}")))?;
            let answer = selection.handle_event(ask).await;
            let answer = answer.map_err(|(code, words)| {
                (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), words.to_owned())
            })?;
            answer.get().as_bytes().to_vec()
        }
    })
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let essence = headers
        .get(CONTENT_TYPE)
        .and_then(|it| it.to_str().ok())
        .and_then(|it| it.split(';').next())
        .unwrap_or_default();
    if essence.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected Content-Type: application/json".to_owned()))
}

fn json(status: StatusCode, body: Bytes) -> Response {
    respond(status, "application/json", Body::from(body))
}

/// kube-apiserver shows plain text to its user, so it is short and holds nothing of the inside.
fn refused(status: StatusCode, mut words: String) -> Response {
    words.push('\n');
    respond(status, "text/plain; charset=utf-8", Body::from(words))
}

fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Bytes of a body that is not even decoded on its connection's thread.
const LARGE: usize = 64 << 10;
