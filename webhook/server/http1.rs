//! HTTP/1.1 on one connection, over TLS or not: requests until its end by age, shutdown, or because others need its place.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body};
use http::{HeaderValue, Request, StatusCode, header::CONNECTION};
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    pin,
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tower::ServiceExt as _;
use tracing::debug;

use super::{
    Patience,
    callers::GoodFor,
    head::{Busy, Watched},
    pool::{Activity, Caller},
    rest::{Rest, expects},
};
use crate::observe::{EndedEarly, Listener, Metrics};

/// Where the server is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Serving,
    /// Connections are told to go elsewhere, and still answered.
    Draining,
    /// What is in flight is finished.
    Ending,
}

/// Until when a connection lives if nobody ends it before.
pub(crate) struct Life {
    pub(crate) age: Duration,
    pub(crate) stage: watch::Receiver<Stage>,
}

/// What one connection needs.
pub(crate) struct Http1<'a> {
    pub(crate) app: &'a Router,
    pub(crate) metrics: &'a Metrics,
    pub(crate) listener: Listener,
    pub(crate) patience: Patience,
    /// How long the first head may take from now on; without it, the connection may be idle before.
    pub(crate) first: Option<Duration>,
    /// Requests that are read on after their answer.
    pub(crate) readers: &'a Semaphore,
    pub(crate) activity: Arc<Activity>,
    pub(crate) caller: Caller,
    pub(crate) good_for: GoodFor,
}

/// An idle connection is not closed while draining: a request may be on its way. The answer to it says that it was the last.
pub(crate) async fn serve(http1: &Http1<'_>, stream: impl AsyncRead + AsyncWrite + Unpin, mut life: Life) {
    let Http1 { app, metrics, listener, patience, first, readers, activity, caller, good_for } = http1;
    let busy = Busy::default();
    // Whoever comes while the server drains is answered once.
    let last = AtomicBool::new(*life.stage.borrow() != Stage::Serving);
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(activity));
        request.extensions_mut().insert(*caller);
        request.extensions_mut().insert(*good_for);
        let (answering, expects) = (busy.begin(), expects(request.headers()));
        let (parts, body) = request.into_parts();
        let rest = Rest::of(body, activity);
        let (busy, last) = (&busy, &last);
        async move {
            let request = Request::from_parts(parts, Body::new(rest.clone()));
            let mut response = (*app).clone().oneshot(request).await?;
            let slow = response.status() == StatusCode::REQUEST_TIMEOUT;
            // Whoever waits to be told to go on learns from the answer that nobody wants the body.
            let read = rest.whole() || !slow && (!expects || rest.begun()) && rest.read_on(readers).await;
            if !read {
                busy.leave_unread();
            }
            if !read || last.load(Ordering::Acquire) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            drop(answering);
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let io = TokioIo::new(Watched::http1(stream, busy.clone(), patience.head, *first));
    let mut builder = conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience.idle).max_buf_size(MAX_HEAD);
    let connection = builder.serve_connection(io, service);
    pin!(connection);
    let aging = sleep(life.age);
    pin!(aging);
    loop {
        tokio::select! {
            ended = connection.as_mut() => break log(*listener, metrics, ended),
            () = activity.ended() => {
                metrics.ended_early(*listener, EndedEarly::Room);
                connection.as_mut().graceful_shutdown();
                // Time for a last answer to go out, and no more.
                let _ = timeout(GOODBYE, connection).await;
                break;
            }
            () = &mut aging, if !last.load(Ordering::Acquire) => last.store(true, Ordering::Release),
            Ok(()) = life.stage.changed() => {
                last.store(true, Ordering::Release);
                if *life.stage.borrow() == Stage::Ending {
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// How a connection ended, for whoever looks closely; those that were too slow are counted.
pub(super) fn log(listener: Listener, metrics: &Metrics, ended: Result<(), hyper::Error>) {
    let Err(error) = ended else { return };
    let mut source = std::error::Error::source(&error);
    let mut slow = error.is_timeout();
    while let Some(inner) = source {
        slow |= inner.downcast_ref::<std::io::Error>().is_some_and(|it| it.kind() == std::io::ErrorKind::TimedOut);
        source = inner.source();
    }
    if slow {
        metrics.ended_early(listener, EndedEarly::Slow);
    }
    debug!(%error, "a connection ended early");
}

/// What a connection that must end has for its last words.
pub(super) const GOODBYE: Duration = Duration::from_millis(250);
/// Bytes of the head of an HTTP/1.1 request: kube-apiserver's have less than one KiB.
const MAX_HEAD: usize = 16 << 10;
