//! The second, plain listener: livez, readyz, metrics and the state of the policies.
//!
//! On a thread and a runtime of its own, so that it answers while policies keep every other thread busy. Shows no
//! settings and no environment: they may hold secrets.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use http::{StatusCode, header::CONTENT_TYPE};
use serde::Serialize;
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::{
    observe::{Listener, Metrics},
    policy::{Live, Object, Policy},
    server::{
        Patience, Rate,
        http1::{self, Http1, Life, Stage},
        pool::{Activity, Caller, Pool},
        socket::Socket,
        wire::Wire,
    },
    spec::{GroupSpec, Kind, PolicySpec},
};

/// What the listener shows.
pub struct Admin {
    metrics: Arc<Metrics>,
    state: AtomicU8,
    live: OnceLock<Arc<Live>>,
    /// Who makes a page.
    page: Semaphore,
}

impl Admin {
    /// Starting: alive, and not ready.
    pub fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { metrics, state: AtomicU8::new(STARTING), live: OnceLock::new(), page: Semaphore::new(1) })
    }

    /// What is declared was loaded, or tried to be.
    pub fn ready(&self, live: Arc<Live>) {
        // Only ever set once: what it shows changes by itself.
        let _ = self.live.set(live);
        self.state.store(READY, Ordering::Release);
    }

    /// Still answering, and not to be sent anything new.
    pub fn draining(&self) {
        self.state.store(DRAINING, Ordering::Release);
    }

    /// Listens on `bind` and answers until the process ends; gives the address.
    ///
    /// # Errors
    /// The address is taken, or there is no thread.
    pub fn listen(self: &Arc<Self>, bind: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(bind)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (app, metrics) = (self.app(), Arc::clone(&self.metrics));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || runtime.block_on(serve(listener, app, metrics)))?;
        Ok(address)
    }

    fn app(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .route("/policies", get(policies))
            .with_state(Arc::clone(self))
    }
}

async fn serve(listener: TcpListener, app: Router, metrics: Arc<Metrics>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the admin listener cannot be used"),
    };
    // Connections here end by age only: while the server drains, probes go on.
    let (stage, _) = watch::channel(Stage::Serving);
    let pool = Pool::new(MAX_CONNECTIONS, MAX_CONNECTIONS);
    let shared = Arc::new((app, metrics, Semaphore::new(MAX_CONNECTIONS)));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Mostly for want of file descriptors: one of them comes free.
                pool.end_one();
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let stream = Socket::new(stream);
        let activity = Activity::of(&stream);
        // A crowd of new callers must not push out a probe that has only just come: who is silent for a moment goes first.
        let place = pool.enter_when_free(Caller(None), &activity).await;
        let (shared, life) = (Arc::clone(&shared), Life { age: MAX_AGE, stage: stage.subscribe() });
        tokio::spawn(async move {
            let (app, metrics, readers) = &*shared;
            let stream = Wire::new(stream, Arc::clone(&activity), PATIENCE.write);
            let caller = Caller(None);
            let (listener, first) = (Listener::Admin, Some(PATIENCE.head));
            let http1 = Http1 { app, metrics, listener, patience: PATIENCE, first, readers, activity, caller };
            // Its age is told in an answer; whoever asks for none is ended by its own patience.
            let _ = timeout(MAX_AGE + PATIENCE.idle, http1::serve(&http1, stream, life)).await;
            drop(place);
        });
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> (StatusCode, &'static str) {
    match admin.state.load(Ordering::Acquire) {
        READY => (StatusCode::OK, "ok\n"),
        DRAINING => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "starting: the policies are not loaded yet\n"),
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let text = beside(&admin, |admin| admin.metrics.text()).await;
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

async fn policies(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let text = beside(&admin, |admin| {
        let page = admin.live.get().map(|live| {
            let current = live.current();
            Page {
                digest: format!("sha256:{}", current.digest()),
                policies: current.objects().iter().flat_map(rows).collect(),
            }
        });
        serde_json::to_string_pretty(&page.unwrap_or_default()).unwrap_or_default() + "\n"
    });
    ([(CONTENT_TYPE, "application/json")], text.await)
}

/// With thousands of policies a page takes a while: one is made at a time, beside the thread that answers the probes.
async fn beside(admin: &Arc<Admin>, page: impl FnOnce(&Admin) -> String + Send + 'static) -> String {
    let Ok(_one) = admin.page.acquire().await else { return String::new() };
    let admin = Arc::clone(admin);
    tokio::task::spawn_blocking(move || page(&admin)).await.unwrap_or_default()
}

#[derive(Serialize, Default)]
struct Page {
    /// Of what serves.
    digest: String,
    policies: Vec<Row>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    kind: &'static str,
    name: String,
    state: &'static str,
    /// Why it is not active.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    since: String,
    #[serde(flatten)]
    component: Option<Code>,
    /// Of a group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    members: Vec<Member>,
    actions: Vec<&'static str>,
    failure_policy: &'static str,
    limit_policy: &'static str,
    order: i32,
    timeout_milliseconds: u128,
    memory_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<u64>,
    instance_policy: &'static str,
    source: String,
}

/// What runs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Code {
    component: String,
    digest: String,
    start: &'static str,
    /// Why there is no snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_snapshot: Option<String>,
}

/// A policy within a group.
#[derive(Serialize)]
struct Member {
    name: String,
    #[serde(flatten)]
    component: Option<Code>,
}

/// Of an object; of a component by itself one for each kind that it can be.
fn rows(object: &Object) -> Vec<Row> {
    if object.policies().is_empty() {
        return vec![row(object, object.spec(), object.spec().kind.map_or("", Kind::name), None)];
    }
    object.policies().iter().map(|it| row(object, it.spec(), it.kind().name(), Some(it))).collect()
}

fn row(object: &Object, spec: &PolicySpec, kind: &'static str, policy: Option<&Arc<Policy>>) -> Row {
    let members = policy.map(|it| it.members()).unwrap_or_default();
    Row {
        kind,
        name: spec.name.clone(),
        state: object.state.name(),
        reason: object.reason.clone(),
        since: humantime::format_rfc3339_seconds(object.since).to_string(),
        component: policy.and_then(|it| code(it)),
        members: members
            .iter()
            .map(|it| Member { name: GroupSpec::within(&it.spec().name).to_owned(), component: code(it) })
            .collect(),
        actions: [("Deny", spec.actions.deny), ("Warn", spec.actions.warn), ("Audit", spec.actions.audit)]
            .into_iter()
            .filter_map(|(name, does)| does.then_some(name))
            .collect(),
        failure_policy: spec.failure_policy.name(),
        limit_policy: spec.limit_policy.name(),
        order: spec.order,
        timeout_milliseconds: spec.limits.time.as_millis(),
        memory_bytes: spec.limits.memory,
        fuel: spec.limits.fuel,
        instance_policy: spec.instance_policy.name(),
        source: object.spec().source.clone(),
    }
}

/// None: it is a group.
fn code(policy: &Policy) -> Option<Code> {
    let (reference, component) = (policy.spec().component()?, policy.component()?);
    let start = &component.about().start;
    Some(Code {
        component: reference.location.to_string(),
        digest: format!("sha256:{}", component.digest()),
        start: start.name(),
        no_snapshot: start.refusal().map(str::to_owned),
    })
}

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;
const MAX_CONNECTIONS: usize = 512;
const PATIENCE: Patience = Patience {
    // There is none here.
    handshake: Duration::ZERO,
    head: Duration::from_secs(5),
    // Prometheus asks every minute or two.
    idle: Duration::from_secs(180),
    stream: Duration::ZERO,
    write: Rate { grace: Duration::from_secs(5), bytes_per_second: 16 << 10 },
};
const MAX_AGE: Duration = Duration::from_secs(600);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
