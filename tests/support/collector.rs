//! A collector of traces: takes OTLP over HTTP on loopback, goes away and comes back.

use std::{
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::Span};
use prost::Message as _;
use tokio::sync::oneshot;

/// Everything that it was sent, also before it went away.
#[derive(Clone, Default)]
pub struct Sent(Arc<Mutex<Vec<Bytes>>>);

/// A collector that listens until it is dropped.
pub struct Collector {
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sent {
    /// All spans.
    pub fn spans(&self) -> Vec<Span> {
        let all = self.0.lock().unwrap();
        let requests = all.iter().map(|body| ExportTraceServiceRequest::decode(body.clone()).unwrap());
        let scopes = requests.flat_map(|it| it.resource_spans).flat_map(|it| it.scope_spans);
        scopes.flat_map(|it| it.spans).collect()
    }

    /// All that came over the wire, as text.
    pub fn text(&self) -> String {
        self.0.lock().unwrap().iter().map(|body| String::from_utf8_lossy(body).into_owned()).collect()
    }
}

impl Collector {
    /// Listens on `address`; port 0 takes a free one.
    pub fn start(address: SocketAddr, sent: &Sent) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let sent = sent.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    () = serve(listener, sent) => {}
                }
            });
        });
        Self { address, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stop.take().map(|it| it.send(()));
        self.thread.take().map(JoinHandle::join);
    }
}

async fn serve(listener: TcpListener, sent: Sent) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let sent = sent.clone();
        let take = service_fn(move |request: Request<Incoming>| {
            let sent = sent.clone();
            async move {
                let status = if request.uri().path() == "/v1/traces" { 200 } else { 404 };
                if let (Ok(body), 200) = (request.into_body().collect().await, status) {
                    sent.0.lock().unwrap().push(body.to_bytes());
                }
                Ok::<_, Infallible>(Response::builder().status(status).body(Full::new(Bytes::new())).unwrap())
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), take));
    }
}
