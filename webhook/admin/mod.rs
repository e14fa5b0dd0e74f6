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
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::{sync::Semaphore, time::timeout};
use tower::ServiceExt as _;

use crate::{
    loader,
    metrics::Metrics,
    policy::{Policy, Set},
};

/// What the listener shows.
pub struct Admin {
    metrics: Arc<Metrics>,
    state: AtomicU8,
    set: OnceLock<Arc<Set>>,
}

impl Admin {
    /// Starting: alive, and not ready.
    pub fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { metrics, state: AtomicU8::new(STARTING), set: OnceLock::new() })
    }

    /// Every policy is compiled and initialised.
    pub fn ready(&self, set: Arc<Set>) {
        // Only ever set once: the process loads one set.
        let _ = self.set.set(set);
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
        let app = self.app();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("admin".to_owned()).spawn(move || runtime.block_on(serve(listener, app)))?;
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

async fn serve(listener: TcpListener, app: Router) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the admin listener cannot be used"),
    };
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let app = app.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                app.clone().oneshot(request.map(axum::body::Body::new))
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(IDLE);
            // A broken connection is the client's affair.
            let _ = timeout(MAX_AGE, builder.serve_connection(TokioIo::new(stream), service)).await;
            drop(slot);
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
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], admin.metrics.text())
}

async fn policies(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let rows: Vec<Row> = admin.set.get().map(|set| set.policies().iter().map(row).collect()).unwrap_or_default();
    let text = serde_json::to_string_pretty(&rows).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], text + "\n")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    kinds: Vec<&'static str>,
    component: String,
    digest: String,
    mode: String,
    failure_policy: String,
    on_limit: String,
    order: i32,
    time_milliseconds: u128,
    memory_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<u64>,
    instances: String,
    start: &'static str,
    /// Why there is no snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_snapshot: Option<String>,
    source: String,
}

fn row(policy: &Policy) -> Row {
    let spec = policy.spec();
    Row {
        name: spec.name.clone(),
        kinds: policy.interfaces().iter().map(|it| it.name()).collect(),
        component: spec.component.location.to_string(),
        digest: format!("sha256:{}", loader::hex(policy.digest())),
        // Their names in Rust are those of the schema.
        mode: format!("{:?}", spec.mode),
        failure_policy: format!("{:?}", spec.failure_policy),
        on_limit: format!("{:?}", spec.on_limit),
        order: spec.order,
        time_milliseconds: spec.limits.time.as_millis(),
        memory_bytes: spec.limits.memory,
        fuel: spec.limits.fuel,
        instances: format!("{:?}", spec.instances),
        start: policy.about().start.name(),
        no_snapshot: policy.about().start.refusal().map(str::to_owned),
        source: spec.source.clone(),
    }
}

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;
const MAX_CONNECTIONS: usize = 64;
const IDLE: Duration = Duration::from_secs(120);
const MAX_AGE: Duration = Duration::from_secs(600);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
