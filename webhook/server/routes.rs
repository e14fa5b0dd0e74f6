//! What is asked over HTTP, and how it is answered. After a review is decoded, every outcome is a review.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, LazyLock},
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
    callers::{Callers, GoodFor},
    deadline,
    lane::{Full, Lane, TooLate},
    pool::{Activity, Caller},
    question::{Question, Refusal, ask, no_policy},
};
use crate::{
    observe::{Decisions, Metrics, Trail, flood::Quota},
    policy::{Live, Selection, Set, Which},
    review::admission,
    spec::{self, lane::WHOLE},
};

/// What the routes may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the body of an AdmissionReview.
    pub admission_body: usize,
    /// Bytes of any other body.
    pub body: usize,
    /// Bytes that all requests in flight may hold together: bodies as far as they came, and answers until they are sent. Each lane has its
    /// share of them.
    pub bodies: usize,
    /// How long an answer may take if the caller does not say.
    pub time: Duration,
    /// How long a review may have to wait for the work of others, whatever its deadline: where it would be longer, it is refused at once.
    pub wait: Duration,
    /// How slowly a body may come.
    pub body_rate: Rate,
}

impl Limits {
    /// Bytes of one body. Of audits an eighth of admission's: they are about objects as they are stored.
    fn body(&self, lane: spec::Lane) -> usize {
        match lane {
            spec::Lane::Admission => self.admission_body,
            spec::Lane::Audit => self.admission_body / 8,
            spec::Lane::Authentication | spec::Lane::Authorization | spec::Lane::Events => self.body,
        }
    }

    /// What all requests of one lane may hold together, in bytes.
    fn bodies(&self, lane: spec::Lane) -> usize {
        self.bodies / WHOLE * lane.bodies()
    }

    /// The least that `bodies` must be so that one body fits into each lane, which is copied while it grows.
    pub fn least_bodies(&self) -> usize {
        let least = |lane: spec::Lane| (self.body(lane) * 2 + REQUEST).div_ceil(lane.bodies()).saturating_mul(WHOLE);
        spec::Lane::ALL.into_iter().map(least).max().unwrap_or_default()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            admission_body: 32 << 20,
            body: 1 << 20,
            bodies: 256 << 20,
            time: Duration::from_secs(30),
            wait: Duration::from_millis(500),
            body_rate: Rate { grace: Duration::from_secs(5), bytes_per_second: 16 << 10 },
        }
    }
}

/// What the routes need.
struct App {
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    decisions: Arc<Decisions>,
    limits: Limits,
    /// As in [`spec::Lane::ALL`].
    lanes: [OneLane; spec::Lane::ALL.len()],
    callers: Arc<Callers>,
}

/// What one lane has of its own.
struct OneLane {
    budget: Budget,
    lane: Lane,
}

/// The routes of the server, for these callers; `decisions` are told of what comes of each request.
pub fn app(
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    decisions: Arc<Decisions>,
    limits: Limits,
    callers: Arc<Callers>,
) -> Router {
    let lanes = spec::Lane::ALL.map(|it| OneLane {
        budget: Budget::new(limits.bodies(it), &metrics),
        lane: Lane::new(it, limits.wait, &metrics),
    });
    let app = App { live, metrics, decisions, limits, lanes, callers };
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
    let namespaced = |question: Question| {
        post(move |State(app): State<Arc<App>>, Path((namespace, name)): Path<(String, String)>, request: Request| {
            answer(app, question, Some(format!("{namespace}/{name}")), request)
        })
    };
    let one = |question: Question| {
        post(move |State(app): State<Arc<App>>, Path(policy): Path<String>, request: Request| {
            answer(app, question, Some(policy), request)
        })
    };
    router
        .route("/validate/{namespace}/{policy}", namespaced(Question::Validate))
        .route("/mutate/{namespace}/{policy}", namespaced(Question::Mutate))
        .route("/events/{policy}", one(Question::Event))
        // As Kubewarden's policy-server has them, for policies from its files.
        .route("/audit/{policy}", one(Question::Audit))
        .route("/validate_raw/{policy}", one(Question::ValidateRaw))
        .fallback(async || refused(StatusCode::NOT_FOUND, "no such path".to_owned()))
        .method_not_allowed_fallback(async || refused(StatusCode::METHOD_NOT_ALLOWED, "use POST".to_owned()))
        .with_state(Arc::new(app))
}

async fn answer(app: Arc<App>, question: Question, policy: Option<String>, request: Request) -> Response {
    let counted = app.metrics.request(question.route());
    let digest = || app.live.current().digest();
    let (trail, _ending) = Trail::begin(&app.decisions, question.route(), policy.as_deref(), request.headers(), digest);
    let answered = AssertUnwindSafe(receive(&app, question, policy, request, &trail)).catch_unwind().await;
    if let Ok(Err((status, words))) = &answered {
        trail.refused(status.as_u16(), words);
    }
    let response = match answered {
        Ok(Ok(body)) => json(StatusCode::OK, body),
        Ok(Err((status, words))) if question == Question::Event => {
            json(status, serde_json::json!({"error": words}).to_string().into())
        }
        Ok(Err((status, words))) => refused(status, words),
        Err(_) => {
            trail.refused(500, "the server failed");
            static TOLD: LazyLock<Arc<Quota>> = LazyLock::new(|| Quota::of_server("a request made the server panic"));
            if TOLD.takes() {
                error!(
                    route = question.route(),
                    uid = trail.uid(),
                    "a request made the server panic: please report it"
                );
            }
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
    trail: &Arc<Trail>,
) -> Result<Bytes, Refusal> {
    let (parts, body) = request.into_parts();
    let good_for = parts.extensions.get::<GoodFor>().copied().unwrap_or_else(|| app.callers.good_for(None));
    let may = app.callers.check(question.purpose(), good_for, &parts.headers);
    may.map_err(|(status, words)| (status, words.to_owned()))?;
    // What is not there is said before a body is read for it.
    let set = app.live.set();
    selected(&set, question, policy.as_deref())?;
    check_content_type(&parts.headers)?;
    let allowance =
        deadline::allowance(parts.uri.query(), app.limits.time).map_err(|words| (StatusCode::BAD_REQUEST, words))?;
    let deadline = Instant::now() + allowance;
    let lane = question.lane();
    let OneLane { budget, lane: room } = &app.lanes[lane as usize];
    let full = |Full| busy();
    room.check(allowance).map_err(full)?;
    let limit = app.limits.body(lane);
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
    let inside = room.enter(deadline.saturating_duration_since(Instant::now())).map_err(full)?;
    trail.input(&bytes);
    let work = work(set, question, policy, share, bytes, deadline, Arc::clone(trail));
    // What was decoded as an AdmissionReview is answered by one, also where it is too late for the policies.
    match (room.run(inside, large, latest.into_std(), work).await, trail.head()) {
        (Ok(answer), _) => answer,
        (Err(TooLate), Some((version, uid))) => {
            trail.refused(504, admission::TOO_LATE);
            Ok(admission::too_late(version, uid).into())
        }
        (Err(TooLate), None) => Err(busy()),
    }
}

/// Holds all that it needs, so that it can run anywhere: the set as well, which may be another for the next request.
async fn work(
    set: Arc<Set>,
    question: Question,
    policy: Option<String>,
    share: Share,
    bytes: Bytes,
    deadline: Instant,
    trail: Arc<Trail>,
) -> Result<Bytes, Refusal> {
    let selection = selected(&set, question, policy.as_deref())?;
    let answer = ask(question, &selection, &bytes, deadline, &trail).await?;
    drop(bytes);
    Ok(share.answer(answer))
}

fn selected<'a>(set: &'a Set, question: Question, policy: Option<&str>) -> Result<Selection<'a>, Refusal> {
    let selected = set.select(question.interface(), Which::of(policy));
    let of_kubewarden = matches!(question, Question::Audit | Question::ValidateRaw);
    selected.filter(|it| !of_kubewarden || it.of_kubewarden().is_some()).ok_or_else(|| no_policy(policy.is_some()))
}

fn busy() -> Refusal {
    (StatusCode::SERVICE_UNAVAILABLE, "the server is busy with other requests".to_owned())
}

/// How long after the deadline an answer that says that it passed can still be sent: half of what is left to travel.
fn lateness(allowance: Duration) -> Duration {
    (allowance / 18).clamp(Duration::from_millis(10), Duration::from_millis(250))
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
