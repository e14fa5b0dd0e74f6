//! One connection: handshake, HTTP/1.1 or HTTP/2 as was agreed, and its end by age or shutdown.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use http::{HeaderValue, Request, header::CONNECTION};
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tower::ServiceExt as _;
use tracing::debug;

use super::head::{Busy, Watched};
use crate::metrics::{HandshakeFailure, Metrics};

/// Where the server is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Serving,
    /// Connections are told to go elsewhere, and still answered.
    Draining,
    /// What is in flight is finished.
    Ending,
}

pub(super) struct Connection {
    pub(super) tls: TlsAcceptor,
    pub(super) app: Router,
    pub(super) metrics: Arc<Metrics>,
    pub(super) stage: watch::Receiver<Stage>,
    pub(super) age: Duration,
}

impl Connection {
    pub(super) async fn serve(self, stream: TcpStream) {
        let _open = self.metrics.connection();
        // Answers are small, and someone waits for each. Without it they are only slower.
        let _ = stream.set_nodelay(true);
        let stream = match timeout(HANDSHAKE, self.tls.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                debug!(%error, "a TLS handshake failed");
                return self.metrics.handshake_failed(reason(&error));
            }
            Err(_) => return self.metrics.handshake_failed(HandshakeFailure::Timeout),
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(stream).await;
        } else {
            self.http1(stream).await;
        }
    }

    /// An idle connection is not closed while draining: a request may be on its way. The answer to it says that it was the last.
    async fn http1(mut self, stream: TlsStream<TcpStream>) {
        let busy = Busy::default();
        let last = Arc::new(AtomicBool::new(false));
        let service = service_fn(|request: Request<Incoming>| {
            let (app, busy, last) = (self.app.clone(), busy.begin(), Arc::clone(&last));
            async move {
                let mut response = app.oneshot(request.map(Body::new)).await?;
                if last.load(Ordering::Acquire) {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                drop(busy);
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let io = TokioIo::new(Watched::new(stream, busy.clone(), HEAD));
        let mut builder = conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(MAX_HEAD);
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut aging = pin!(sleep(self.age));
        loop {
            tokio::select! {
                ended = connection.as_mut() => break log(ended),
                () = &mut aging, if !last.load(Ordering::Acquire) => last.store(true, Ordering::Release),
                Ok(()) = self.stage.changed() => {
                    last.store(true, Ordering::Release);
                    if *self.stage.borrow() == Stage::Ending {
                        connection.as_mut().graceful_shutdown();
                    }
                }
            }
        }
    }

    /// GOAWAY loses nothing: streams that it crosses are sent again.
    async fn http2(mut self, stream: TlsStream<TcpStream>) {
        let service = service_fn(|request: Request<Incoming>| self.app.clone().oneshot(request.map(Body::new)));
        let mut builder = conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(MAX_RESETS)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let mut aging = pin!(sleep(self.age));
        let mut told = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => break log(ended),
                () = &mut aging, if !told => {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                }
                Ok(()) = self.stage.changed(), if !told => {
                    told = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

fn log(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        debug!(%error, "a connection ended early");
    }
}

fn reason(error: &std::io::Error) -> HandshakeFailure {
    use rustls::Error::{InvalidCertificate, NoCertificatesPresented};
    let inner = error.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>());
    match inner {
        Some(InvalidCertificate(_) | NoCertificatesPresented) => HandshakeFailure::Certificate,
        Some(_) => HandshakeFailure::Protocol,
        None => HandshakeFailure::Io,
    }
}

const HANDSHAKE: Duration = Duration::from_secs(10);
/// From the first byte of a request's head to its last.
const HEAD: Duration = Duration::from_secs(10);
/// Of an idle connection: more than kube-apiserver's 90 s, else it would write a request to a closed one.
const IDLE: Duration = Duration::from_secs(180);
/// Bytes of the head of an HTTP/1.1 request.
const MAX_HEAD: usize = 64 << 10;
const MAX_HEADER_LIST: u32 = 64 << 10;
const MAX_STREAMS: u32 = 512;
const MAX_RESETS: usize = 64;
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
