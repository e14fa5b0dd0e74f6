//! HTTPS on an accept loop of our own: connections, their limits, their age, and a polite end.
//!
//! Knows nothing of wasmtime; what is asked is in [`routes`].

mod body;
mod connection;
mod deadline;
mod head;
pub mod routes;
pub mod tls;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tracing::warn;

use crate::metrics::Metrics;
use connection::{Connection, Stage};

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
    /// Open connections; more wait in the kernel's queue.
    pub max_connections: usize,
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
        }
    }
}

/// A server that listens, and answers nothing yet.
pub struct Bound {
    config: Config,
    listener: TcpListener,
    tls: TlsAcceptor,
    metrics: Arc<Metrics>,
}

impl Bound {
    /// Listens.
    ///
    /// # Errors
    /// The address is taken or not of this machine.
    pub async fn bind(config: Config, tls: Arc<rustls::ServerConfig>, metrics: Arc<Metrics>) -> io::Result<Self> {
        let listener = TcpListener::bind(config.bind).await?;
        Ok(Self { config, listener, tls: tls.into(), metrics })
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
        let slots = Arc::new(Semaphore::new(config.max_connections));
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
                accepted = accept(&listener, &slots, &metrics) => {
                    let Some((stream, slot)) = accepted else { continue };
                    let connection = Connection {
                        tls: tls.clone(),
                        app: app.clone(),
                        metrics: Arc::clone(&metrics),
                        stage: stage.subscribe(),
                        age: spread(config.connection_age),
                    };
                    connections.spawn(async move {
                        connection.serve(stream).await;
                        drop(slot);
                    });
                }
            }
        }
        drop(listener);
        stage.send_replace(Stage::Ending);
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(config.grace, all).await.is_err() {
            warn!(connections = connections.len(), "requests were still in flight when the grace period ended");
        }
    }
}

/// None after an error, which never ends the server: the file descriptors of others come free again.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    metrics: &Metrics,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            metrics.accept_failed();
            warn!(%error, "a connection could not be accepted");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// A tenth more or less, so that connections that began together do not end together.
fn spread(age: Duration) -> Duration {
    age.mul_f64(0.9 + 0.2 * rand::random::<f64>())
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
