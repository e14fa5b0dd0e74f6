//! The second listener: livez, readyz, metrics and the state of the policies for anybody, all else for those whom [`Guard`] lets in.
//!
//! On a thread and a runtime of its own, so that it answers while policies keep every other thread busy. Shows no
//! settings and no environment to anybody: they may hold secrets.

mod answer;
mod decisions;
mod guard;
mod listen;
mod objects;
mod page;

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

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    middleware,
    response::IntoResponse,
    routing::get,
};
use http::{StatusCode, header::CONTENT_TYPE};
use tokio::sync::Semaphore;

use crate::{
    observe::{Decisions, Metrics},
    policy::{Live, Orders},
    server::tls::Current,
    spec::Kind,
};
pub use guard::Guard;
use page::Page;

/// What the listener shows.
pub struct Admin {
    metrics: Arc<Metrics>,
    decisions: Arc<Decisions>,
    guard: Guard,
    /// What requests may register.
    kinds: Vec<Kind>,
    state: AtomicU8,
    live: OnceLock<Arc<Live>>,
    /// Takes what they register.
    orders: OnceLock<Orders>,
    /// Who sends an object.
    upload: Semaphore,
    /// Who makes a page.
    page: Semaphore,
}

impl Admin {
    /// Starting: alive, and not ready. Requests may register objects of `kinds`.
    pub fn new(metrics: Arc<Metrics>, decisions: Arc<Decisions>, guard: Guard, kinds: Vec<Kind>) -> Arc<Self> {
        Arc::new(Self {
            metrics,
            decisions,
            guard,
            kinds,
            state: AtomicU8::new(STARTING),
            live: OnceLock::new(),
            orders: OnceLock::new(),
            upload: Semaphore::new(1),
            page: Semaphore::new(1),
        })
    }

    /// What is declared was loaded, or tried to be; `orders` takes what is registered.
    pub fn ready(&self, live: Arc<Live>, orders: Orders) {
        // Only ever set once: what it shows changes by itself.
        let _ = (self.live.set(live), self.orders.set(orders));
        self.state.store(READY, Ordering::Release);
    }

    /// Still answering, and not to be sent anything new.
    pub fn draining(&self) {
        self.state.store(DRAINING, Ordering::Release);
    }

    /// Listens on `bind`, by TLS or in the clear, and answers until the process ends; gives the address.
    ///
    /// # Errors
    /// The address is taken, or there is no thread.
    pub fn listen(self: &Arc<Self>, bind: SocketAddr, tls: Option<Arc<Current>>) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(bind)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (app, admin) = (self.app(), Arc::clone(self));
        // What makes the pages is there from the beginning on, and stays: later there may be no thread to be had.
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().thread_keep_alive(Duration::MAX).build()?;
        runtime.spawn_blocking(|| {});
        thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || runtime.block_on(listen::serve(listener, admin, app, tls)))?;
        Ok(address)
    }

    fn app(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .route("/policies", get(policies))
            .merge(self.protected())
            .with_state(Arc::clone(self))
    }

    /// What only those may use whom [`Guard`] lets in.
    fn protected(self: &Arc<Self>) -> Router<Arc<Self>> {
        Router::new()
            .route("/policies/{kind}/{name}", get(objects::get).put(objects::put).delete(objects::delete))
            .route("/decisions", get(decisions::last))
            // Each body has a bound of its own.
            .layer(DefaultBodyLimit::disable())
            .route_layer(middleware::from_fn_with_state(Arc::clone(self), guard::check))
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
        let page = admin.live.get().map(|live| Page::of(&live.current()));
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

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;
