//! One connection: handshake, HTTP/1.1 or HTTP/2 as was agreed, and its end by age, shutdown, or because others need its place.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, rt::Executor, server::conn, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::CertificateDer;
use sha2::{Digest as _, Sha256};
use tokio::{
    pin,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::server::TlsStream;
use tower::ServiceExt as _;
use tracing::debug;

use super::{
    Patience,
    callers::{Callers, GoodFor},
    head::Watched,
    http1::{self, Life},
    pool::{Activity, Caller, Place, Pool},
    rest::{Rest, expects},
    socket::Socket,
    tls,
    turns::Turns,
    wire::Wire,
};
use crate::observe::{EndedEarly, HandshakeFailure, Listener, Metrics};

/// What all connections share.
pub(super) struct Shared {
    pub(super) tls: Arc<tls::Current>,
    pub(super) app: Router,
    pub(super) metrics: Arc<Metrics>,
    pub(super) patience: Patience,
    /// Who may ask what.
    pub(super) may: Arc<Callers>,
    /// Connections without a finished handshake.
    pub(super) handshakes: Arc<Pool>,
    /// Those with one.
    pub(super) callers: Arc<Pool>,
    pub(super) turns: Turns,
    /// Requests that are read on after their answer.
    pub(super) readers: Semaphore,
}

pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) activity: Arc<Activity>,
    pub(super) life: Life,
}

impl Connection {
    /// `place`: among the handshakes.
    pub(super) async fn serve(self, stream: Socket, place: Place) {
        let Self { shared, activity, life } = self;
        let _open = shared.metrics.connection();
        let wire = Wire::new(stream, Arc::clone(&activity), shared.patience.write);
        let accept = shared.turns.run(&activity, shared.tls.acceptor().accept(wire));
        let shaken = tokio::select! {
            shaken = timeout(shared.patience.handshake, accept) => shaken,
            () = activity.ended() => return shared.metrics.ended_early(Listener::Https, EndedEarly::Handshakes),
        };
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                debug!(%error, "a TLS handshake failed");
                return shared.metrics.handshake_failed(tls::reason(&error));
            }
            Err(_) => return shared.metrics.handshake_failed(HandshakeFailure::Timeout),
        };
        let (caller, good_for) = (caller(&stream), shared.may.good_for(leaf(&stream)));
        let place = {
            let entered = shared.callers.enter(caller, &activity);
            drop(place);
            entered
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            http2(&shared, stream, &activity, (caller, good_for, streams(place.of_caller())), life).await;
        } else {
            http1::serve(&shared.http1(&activity, caller, good_for), stream, life).await;
        }
        drop(place);
    }
}

impl Shared {
    fn http1(&self, activity: &Arc<Activity>, caller: Caller, good_for: GoodFor) -> http1::Http1<'_> {
        http1::Http1 {
            app: &self.app,
            metrics: &self.metrics,
            listener: Listener::Https,
            patience: self.patience,
            first: None,
            readers: &self.readers,
            activity: Arc::clone(activity),
            caller,
            good_for,
        }
    }
}

/// GOAWAY loses nothing: streams that it crosses are sent again.
async fn http2(
    shared: &Arc<Shared>,
    stream: TlsStream<Wire<Socket>>,
    activity: &Arc<Activity>,
    (caller, good_for, streams): (Caller, GoodFor, u32),
    mut life: Life,
) {
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(activity));
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(good_for);
        let expects = expects(request.headers());
        let (parts, body) = request.into_parts();
        let rest = Rest::of(body, activity);
        let (shared, request) = (Arc::clone(shared), Request::from_parts(parts, Body::new(rest.clone())));
        async move {
            let response = shared.app.clone().oneshot(request).await?;
            if response.status() == http::StatusCode::REQUEST_TIMEOUT || rest.whole() {
                return Ok(response);
            }
            if expects && !rest.begun() {
                // Whoever waits to be told to go on gets the answer at once, and its stream stays open until it has ended it too.
                tokio::spawn(async move { rest.read_on(&shared.readers).await });
            } else {
                rest.read_on(&shared.readers).await;
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let patience = shared.patience;
    let mut builder = conn::http2::Builder::new(Streams { longest: patience.stream });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .max_header_list_size(MAX_HEADER_LIST)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let connection = builder.serve_connection(TokioIo::new(Watched::http2(stream, patience.head)), service);
    pin!(connection);
    let aging = sleep(life.age);
    pin!(aging);
    let mut told = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => break http1::log(Listener::Https, &shared.metrics, ended),
            () = activity.ended() => {
                shared.metrics.ended_early(Listener::Https, EndedEarly::Room);
                connection.as_mut().graceful_shutdown();
                // Time for the word to go out, and no more.
                let _ = timeout(http1::GOODBYE, connection).await;
                break;
            }
            () = &mut aging, if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
            Ok(()) = life.stage.changed(), if !told => {
                told = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Each stream in a task of its own, which ends even if the caller never reads its answer.
#[derive(Clone)]
struct Streams {
    longest: Duration,
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        tokio::spawn(timeout(self.longest, stream));
    }
}

/// How many requests may be open on one of so many connections of one caller: few have many each, many have few each. Clients that want
/// more open another connection; kube-apiserver has one for each webhook's server.
fn streams(connections: usize) -> u32 {
    let share = STREAMS_OF_CALLER / u32::try_from(connections.max(1)).unwrap_or(u32::MAX);
    share.clamp(MIN_STREAMS, MAX_STREAMS)
}

fn caller(stream: &TlsStream<Wire<Socket>>) -> Caller {
    Caller(leaf(stream).map(|it| Sha256::digest(it).into()))
}

/// The client's own certificate.
fn leaf(stream: &TlsStream<Wire<Socket>>) -> Option<&CertificateDer<'static>> {
    stream.get_ref().1.peer_certificates().and_then(<[_]>::first)
}

/// Bytes of the head of an HTTP/2 request: kube-apiserver's have less than one KiB.
const MAX_HEADER_LIST: u32 = 16 << 10;
const STREAMS_OF_CALLER: u32 = 2048;
const MAX_STREAMS: u32 = 128;
const MIN_STREAMS: u32 = 4;
/// Bytes that one request may send before anybody reads them, and all of one connection.
const STREAM_WINDOW: u32 = 64 << 10;
pub(super) const CONNECTION_WINDOW: u32 = 256 << 10;
const MAX_RESETS: usize = 64;
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
