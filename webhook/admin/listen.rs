//! The connections of the admin listener: few, in the clear or by TLS, HTTP/1.1 only.

use std::{net::TcpListener, sync::Arc, time::Duration};

use axum::{Extension, Router};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_rustls::server::TlsStream;

use super::{Admin, guard::Peer};
use crate::{
    observe::{HandshakeFailure, Listener, Metrics},
    server::{
        Patience, Rate,
        callers::GoodFor,
        http1::{self, Http1, Life, Stage},
        pool::{Activity, Caller, Pool},
        socket::Socket,
        tls::{self, Current},
        wire::Wire,
    },
};

/// What all connections share.
struct Shared {
    admin: Arc<Admin>,
    app: Router,
    tls: Option<Arc<Current>>,
    readers: Semaphore,
}

/// Answers until the process ends.
pub(super) async fn serve(listener: TcpListener, admin: Arc<Admin>, app: Router, tls: Option<Arc<Current>>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the admin listener cannot be used"),
    };
    // Connections here end by age only: while the server drains, probes go on.
    let (stage, _) = watch::channel(Stage::Serving);
    let pool = Pool::new(MAX_CONNECTIONS, MAX_CONNECTIONS);
    let shared = Arc::new(Shared { admin, app, tls, readers: Semaphore::new(MAX_CONNECTIONS) });
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
            let wire = Wire::new(stream, Arc::clone(&activity), PATIENCE.write);
            // Its age is told in an answer; whoever asks for none is ended by its own patience.
            let _ = timeout(MAX_AGE + PATIENCE.idle, shared.connection(wire, activity, life)).await;
            drop(place);
        });
    }
}

impl Shared {
    async fn connection(&self, wire: Wire<Socket>, activity: Arc<Activity>, life: Life) {
        let Some(tls) = &self.tls else {
            return self.requests(wire, Peer::PLAIN, activity, life).await;
        };
        let shaken = tokio::select! {
            shaken = timeout(PATIENCE.handshake, tls.acceptor().accept(wire)) => shaken,
            () = activity.ended() => return,
        };
        let metrics = &self.admin.metrics;
        match shaken {
            Ok(Ok(stream)) => {
                let peer = self.admin.guard.peer(leaf(&stream));
                self.requests(stream, peer, activity, life).await;
            }
            Ok(Err(error)) => metrics.handshake_failed(tls::reason(&error)),
            Err(_) => metrics.handshake_failed(HandshakeFailure::Timeout),
        }
    }

    async fn requests(
        &self,
        stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
        peer: Peer,
        activity: Arc<Activity>,
        life: Life,
    ) {
        let metrics: &Metrics = &self.admin.metrics;
        let app = &self.app.clone().layer(Extension(peer));
        let (listener, first, readers) = (Listener::Admin, Some(PATIENCE.head), &self.readers);
        let caller = Caller(None);
        let http1 = Http1 {
            app,
            metrics,
            listener,
            patience: PATIENCE,
            first,
            readers,
            activity,
            caller,
            good_for: GoodFor::default(),
        };
        http1::serve(&http1, stream, life).await;
    }
}

fn leaf(stream: &TlsStream<Wire<Socket>>) -> Option<&rustls::pki_types::CertificateDer<'static>> {
    stream.get_ref().1.peer_certificates()?.first()
}

const MAX_CONNECTIONS: usize = 512;
const PATIENCE: Patience = Patience {
    handshake: Duration::from_secs(5),
    head: Duration::from_secs(5),
    // Prometheus asks every minute or two.
    idle: Duration::from_secs(180),
    stream: Duration::ZERO,
    write: Rate { grace: Duration::from_secs(5), bytes_per_second: 16 << 10 },
};
const MAX_AGE: Duration = Duration::from_secs(600);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
