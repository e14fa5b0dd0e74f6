//! Traces over OTLP/HTTP: spans are made from decisions after the fact, so that a request of which no trace is wanted costs nothing.
//!
//! On a thread and a runtime of its own: the exporter needs one wherever it is called, and nothing here waits for reviews, or they for it.

mod client;
mod spans;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use http::HeaderMap;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SpanExporter as _};
use tokio::{
    sync::{Notify, Semaphore, mpsc},
    time::timeout,
};
use tracing::error;

use super::{DecisionEvent, Metrics, TraceContext, flood::Quota};
use client::Client;

/// Where spans go, and which.
#[derive(Debug, Clone)]
pub struct Collector {
    /// The whole address that takes spans: `http://localhost:4318/v1/traces`.
    pub endpoint: String,
    /// Of requests without a `traceparent`, how many: 0 to 1.
    pub sample: f64,
    /// Headers of each request to it.
    pub headers: HashMap<String, String>,
    /// PEM of the authorities that may have signed its certificate; None: those that browsers trust.
    pub authorities: Option<Vec<u8>>,
    /// `service.name`.
    pub service: String,
}

/// Why there can be no traces.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// What is said of the collector makes no sense.
    #[error("the collector cannot be used: {0}")]
    Collector(String),
    /// What it asks of the system.
    #[error("traces need a thread")]
    Thread(#[source] std::io::Error),
}

/// Takes decisions, and exports their spans.
pub(super) struct Traces {
    sample: f64,
    queue: mpsc::Sender<Arc<DecisionEvent>>,
    /// Bytes that may still wait.
    room: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    full: Arc<Quota>,
    /// Nothing more comes.
    closed: Arc<Notify>,
    /// Zero until everything is exported.
    ended: Arc<Semaphore>,
}

impl Traces {
    /// Begins to export.
    ///
    /// # Errors
    /// See [`TracesError`].
    pub(super) fn start(collector: &Collector, metrics: Arc<Metrics>) -> Result<Self, TracesError> {
        let wrong = |error: ExporterBuildError| TracesError::Collector(error.to_string());
        let client = Client::new(collector.authorities.as_deref()).map_err(TracesError::Collector)?;
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(&collector.endpoint)
            .with_headers(collector.headers.clone())
            .with_timeout(PATIENCE)
            .build()
            .map_err(wrong)?;
        exporter.set_resource(&Resource::builder().with_service_name(collector.service.clone()).build());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(TracesError::Thread)?;
        let (queue, came) = mpsc::channel(ROOM);
        let (closed, ended) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let room = Arc::new(AtomicUsize::new(BYTES));
        let export = Export {
            exporter,
            came,
            room: Arc::clone(&room),
            metrics: Arc::clone(&metrics),
            failed: Quota::of_server(FAILED),
        };
        let (close, end) = (Arc::clone(&closed), Arc::clone(&ended));
        let run = move || {
            runtime.block_on(export.run(&close));
            end.add_permits(1);
        };
        thread::Builder::new().name("traces".to_owned()).spawn(run).map_err(TracesError::Thread)?;
        Ok(Self { sample: collector.sample, queue, room, metrics, full: Quota::of_server(FULL), closed, ended })
    }

    /// Where the span of a request belongs, and whether there will be one: as the caller decided, if it did.
    pub(super) fn context(&self, headers: &HeaderMap) -> TraceContext {
        TraceContext::of(headers).unwrap_or_else(|| TraceContext::root(rand::random::<f64>() < self.sample))
    }

    /// Takes it if it is sampled, and if there is room.
    pub(super) fn offer(&self, event: &Arc<DecisionEvent>) {
        if !event.trace.is_some_and(|it| it.sampled) {
            return;
        }
        let size = event.size();
        let take = |left: usize| left.checked_sub(size);
        let taken = self.room.try_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        match taken.then(|| self.queue.try_send(Arc::clone(event))) {
            Some(Ok(())) => {}
            refused => {
                if refused.is_some() {
                    self.room.fetch_add(size, Ordering::Relaxed);
                }
                self.metrics.decision_dropped("traces", "queue");
                if self.full.takes() {
                    error!("{FULL}");
                }
            }
        }
    }

    /// Bytes that it can take: what waits, and the spans of it that are sent just now.
    pub(super) fn most(&self) -> usize {
        2 * BYTES
    }

    /// Waits until what was taken is exported, but not for ever.
    pub(super) async fn close(&self, patience: Duration) {
        self.closed.notify_one();
        let _ = timeout(patience, self.ended.acquire()).await;
    }
}

/// On its own thread.
struct Export {
    exporter: SpanExporter,
    came: mpsc::Receiver<Arc<DecisionEvent>>,
    room: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    failed: Arc<Quota>,
}

impl Export {
    async fn run(mut self, close: &Notify) {
        let mut batch = Vec::new();
        let mut closing = false;
        loop {
            // Some more of them, so that not each is a request of its own.
            if !closing {
                tokio::select! {
                    () = close.notified() => closing = true,
                    () = tokio::time::sleep(EVERY) => {}
                }
            }
            if closing {
                self.came.close();
            }
            loop {
                match self.came.try_recv() {
                    Ok(event) => batch.push(event),
                    Err(mpsc::error::TryRecvError::Empty) => break,
                    Err(mpsc::error::TryRecvError::Disconnected) => {
                        closing = true;
                        break;
                    }
                }
                if batch.len() >= BATCH {
                    self.export(&mut batch).await;
                }
            }
            self.export(&mut batch).await;
            if closing {
                return;
            }
        }
    }

    async fn export(&self, batch: &mut Vec<Arc<DecisionEvent>>) {
        if batch.is_empty() {
            return;
        }
        let spans = batch.iter().flat_map(|it| spans::of(it)).collect();
        let failed = match timeout(PATIENCE, self.exporter.export(spans)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(late) => Some(late.to_string()),
        };
        if let Some(error) = failed {
            batch.iter().for_each(|_| self.metrics.decision_dropped("traces", "failed"));
            if self.failed.takes() {
                error!(error, "{FAILED}");
            }
        }
        let sizes: usize = batch.iter().map(|it| it.size()).sum();
        self.room.fetch_add(sizes, Ordering::Relaxed);
        batch.clear();
    }
}

const FULL: &str = "traces are left out: they are not taken as fast as they come";
const FAILED: &str = "traces are left out: the collector does not take them";
/// Requests whose spans wait for the collector.
const ROOM: usize = 4096;
/// Bytes of decisions that wait, too.
const BYTES: usize = 16 << 20;
/// Requests whose spans are sent together.
const BATCH: usize = 256;
/// How long they are gathered.
const EVERY: Duration = Duration::from_millis(500);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
