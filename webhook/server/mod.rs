//! HTTPS on an accept loop of our own: connections, their limits, their age, and a polite end.
//!
//! Knows nothing of wasmtime; what is asked is in [`routes`].

mod bearer;
mod body;
mod budget;
pub mod callers;
mod connection;
mod deadline;
mod frames;
mod head;
pub(crate) mod http1;
mod lane;
mod names;
pub(crate) mod pool;
mod question;
mod request;
mod rest;
mod room;
pub mod routes;
pub(crate) mod socket;
mod sums;
pub mod tls;
mod turns;
mod unfinished;
pub(crate) mod wire;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    thread,
    time::Duration,
};

use axum::Router;
use futures_util::FutureExt as _;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tracing::warn;

use crate::observe::{Metrics, flood::Quota};
pub use bearer::{Listed, TokenError, Tokens};
use callers::Callers;
use connection::{Connection, Shared};
use http1::{Life, Stage};
pub use names::ClientName;
pub(crate) use names::is_listed;
use pool::{Activity, Caller, Pool};
use socket::Socket;
use turns::Turns;
pub use wire::Rate;

/// How connections are served.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// After this, a connection is ended politely, so that kube-apiserver spreads over replicas; a tenth more or less, by chance.
    pub connection_age: Duration,
    /// On shutdown: how long connections are still accepted while load balancers learn of it.
    pub drain_delay: Duration,
    /// On shutdown, after that: how long requests in flight may take.
    pub grace: Duration,
    /// Open connections with a finished handshake. When there are more, the caller that has most loses the one that was silent for longest.
    /// Callers that show a certificate have a quarter of them each at most.
    pub max_connections: usize,
    /// Open connections without a finished handshake. When there are more, the one that was silent for longest ends.
    pub max_handshakes: usize,
    /// How slow callers may be.
    pub patience: Patience,
    /// Who may ask what.
    pub callers: Arc<Callers>,
}

/// How slow the other side of a connection may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The whole TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request's head to its last; over HTTP/2 of each frame, each block of headers, and the preface from the handshake on.
    pub head: Duration,
    /// Between requests over HTTP/1.1: more than kube-apiserver's 90 s, else it would write a request to a closed connection.
    pub idle: Duration,
    /// One request over HTTP/2, from its headers until its answer is taken.
    pub stream: Duration,
    /// How slowly what is sent may be read.
    pub write: Rate,
}

impl Config {
    /// Everything but the address by default.
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            connection_age: Duration::from_secs(600),
            drain_delay: Duration::from_secs(5),
            grace: Duration::from_secs(30),
            max_connections: 4096,
            max_handshakes: 1024,
            patience: Patience::default(),
            callers: Arc::default(),
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(180),
            stream: Duration::from_secs(60),
            write: Rate { grace: Duration::from_secs(10), bytes_per_second: 16 << 10 },
        }
    }
}

/// A server that listens, and answers nothing yet.
pub struct Bound {
    config: Config,
    listener: TcpListener,
    tls: Arc<tls::Current>,
    metrics: Arc<Metrics>,
}

impl Bound {
    /// Listens. Needs a Tokio runtime.
    ///
    /// # Errors
    /// The address is taken or not of this machine.
    pub fn bind(config: Config, tls: Arc<tls::Current>, metrics: Arc<Metrics>) -> io::Result<Self> {
        let listener = listen(config.bind)?;
        Ok(Self { config, listener, tls, metrics })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not know.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then drains and ends.
    pub async fn serve(self, app: Router, shutdown: impl Future<Output = ()>) {
        let Self { config, listener, tls, metrics } = self;
        let (stage, _) = watch::channel(Stage::Serving);
        let shared = Arc::new(Shared {
            tls,
            app,
            metrics,
            patience: config.patience,
            may: config.callers,
            handshakes: Pool::new(config.max_handshakes, config.max_handshakes),
            callers: Pool::new(config.max_connections, config.max_connections / 4),
            turns: Turns::new(computing()),
            readers: Semaphore::new(rest::READERS),
        });
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        // None until the shutdown begins; then, until when connections are still accepted.
        let mut end: Option<Instant> = None;
        loop {
            let draining = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut shutdown, if end.is_none() => {
                    stage.send_replace(Stage::Draining);
                    end = Some(Instant::now() + config.drain_delay);
                }
                () = draining => break,
                Some(_) = connections.join_next() => {}
                stream = accept(&listener, &shared) => {
                    let Some(stream) = stream else { continue };
                    let life = Life { age: spread(config.connection_age), stage: stage.subscribe() };
                    connections.spawn(enter(stream, &shared, life).await);
                }
            }
        }
        // Those who are connected as far as they can see, and would be cut off with the listener.
        for _ in 0..BACKLOG {
            let Some(Ok((stream, _))) = listener.accept().now_or_never() else { break };
            let life = Life { age: spread(config.connection_age), stage: stage.subscribe() };
            connections.spawn(enter(stream, &shared, life).await);
        }
        drop(listener);
        stage.send_replace(Stage::Ending);
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(config.grace, all).await.is_err() {
            warn!(connections = connections.len(), "requests were still in flight when the grace period ended");
        }
    }
}

/// A connection that has found its place among the handshakes.
async fn enter(stream: TcpStream, shared: &Arc<Shared>, life: Life) -> impl Future<Output = ()> + Send + use<> {
    let stream = Socket::new(stream);
    let activity = Activity::of(&stream);
    let place = shared.handshakes.enter_when_free(Caller(None), &activity).await;
    Connection { shared: Arc::clone(shared), activity, life }.serve(stream, place)
}

/// With a queue that is as long as the system allows: thousands may come at once, and each is accepted without waiting for anybody.
fn listen(bind: SocketAddr) -> io::Result<TcpListener> {
    let socket = if bind.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(bind)?;
    socket.listen(BACKLOG)
}

/// None after an error, which never ends the server. Mostly file descriptors ran out: then the connection that was silent for longest gives back its own.
async fn accept(listener: &TcpListener, shared: &Shared) -> Option<TcpStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            shared.metrics.accept_failed();
            static TOLD: LazyLock<Arc<Quota>> =
                LazyLock::new(|| Quota::of_server("a connection could not be accepted"));
            if TOLD.takes() {
                warn!(%error, "a connection could not be accepted");
            }
            if !shared.handshakes.end_one() {
                shared.callers.end_one();
            }
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// A tenth more or less, so that connections that began together do not end together.
fn spread(age: Duration) -> Duration {
    age.mul_f64(0.9 + 0.2 * rand::random::<f64>())
}

/// So many handshakes may compute between two turns of everybody else: some milliseconds.
fn computing() -> usize {
    thread::available_parallelism().map_or(1, usize::from) * 16
}

/// Bytes that a connection can hold beside the bodies that are counted: what came and was not read yet, TLS, heads, frames.
pub const MOST_OF_CONNECTION: usize = connection::CONNECTION_WINDOW as usize + (96 << 10);
/// The same of one whose handshake is not finished.
pub const MOST_OF_HANDSHAKE: usize = 64 << 10;
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
const BACKLOG: u32 = 4096;
