//! The HTTPS server in process: real TLS on a port of its own, stopped politely or dropped.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle};
use tokio_rustls::client::TlsStream;
use verdict::{
    certs::{Bundle, Pair},
    loader::Components,
    observe::{Decisions, Metrics},
    policy::{Live, Makers, Set},
    server::{
        Bound, Config, Rate,
        callers::{Callers, Rule},
        routes::{self, Limits},
        tls::{Current, Pem},
    },
    spec::PolicySpec,
};

use super::host;

const EXAMPLES: [&str; 5] =
    ["magic-authenticator", "magic-authorizer", "magic-validator", "magic-mutator", "caesar-cipher"];

/// A server that answers.
pub struct Server {
    pub address: SocketAddr,
    pub bundle: Bundle,
    pub metrics: Arc<Metrics>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    pub served: Mutex<Option<JoinHandle<()>>>,
}

/// A caller with connections of its own.
pub type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

impl Server {
    pub async fn start(yaml: &str, client_ca: bool, change: impl FnOnce(&mut Config)) -> Self {
        // A thousand callers at once, on few processors, are slow.
        let body_rate = Rate { grace: Duration::from_secs(25), bytes_per_second: 16 << 10 };
        Self::with(yaml, client_ca, &[], body_rate, change).await
    }

    /// The same, with names that certificates must have, and a rate for bodies.
    pub async fn with(
        yaml: &str,
        client_ca: bool,
        names: &[&str],
        body_rate: Rate,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let metrics = Arc::new(Metrics::new());
        let specs = match yaml {
            // What every route answers, where it does not matter who does.
            "" => EXAMPLES.map(PolicySpec::builtin).to_vec(),
            yaml => host::specs(yaml),
        };
        let makers = Makers { engine: host::engine(), compiler: host::compiler(), components: &Components::local() };
        let set = Set::load(makers, &metrics, specs).await.unwrap();
        let bundle = Bundle::generate(&["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let rule = Rule { names: names.iter().map(|it| it.parse().unwrap()).collect(), tokens: None };
        let callers = Arc::new(Callers { rules: [rule.clone(), rule.clone(), rule], known: client_ca });
        let names = callers.names();
        let pem = Pem {
            certificate: bundle.server.certificate.as_bytes(),
            key: bundle.server.key.as_bytes(),
            client_ca: client_ca.then_some(bundle.ca.certificate.as_bytes()),
            client_names: &names,
        };
        let mut config = Config {
            drain_delay: Duration::ZERO,
            callers: Arc::clone(&callers),
            ..Config::new("127.0.0.1:0".parse().unwrap())
        };
        change(&mut config);
        let bound = Bound::bind(config, Current::new(pem.config().unwrap()), Arc::clone(&metrics)).unwrap();
        let address = bound.local_addr().unwrap();
        let limits = Limits {
            body: 64 << 10,
            admission_body: 256 << 10,
            body_rate,
            wait: Duration::from_secs(25),
            ..Limits::default()
        };
        let app =
            routes::app(Arc::new(Live::new(Arc::new(set))), Arc::clone(&metrics), Decisions::none(), limits, callers);
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            bound
                .serve(app, async {
                    let _ = stopped.await;
                })
                .await;
        });
        Self { address, bundle, metrics, stop: Mutex::new(Some(stop)), served: Mutex::new(Some(served)) }
    }

    pub fn tls(&self, identity: Option<&Pair>) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.bundle.ca.certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        match identity {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
                builder
                    .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap())
                    .unwrap()
            }
        }
    }

    pub fn client(&self, http2: bool, identity: Option<&Pair>) -> Https {
        let builder = HttpsConnectorBuilder::new().with_tls_config(self.tls(identity)).https_only();
        let connector = if http2 { builder.enable_http2().build() } else { builder.enable_http1().build() };
        Client::builder(TokioExecutor::new()).http2_only(http2).build(connector)
    }

    pub async fn ask(
        &self,
        client: &Https,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<(StatusCode, String), String> {
        self.request(client, Method::POST, path, "application/json", body).await
    }

    pub async fn request(
        &self,
        client: &Https,
        method: Method,
        path: &str,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<(StatusCode, String), String> {
        let request = Request::builder().method(method).uri(format!("https://{}{path}", self.address));
        let request = request.header("content-type", content_type).body(Full::new(body.into())).unwrap();
        let response = client.request(request).await.map_err(|error| format!("{error:?}"))?;
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok((status, String::from_utf8(bytes.to_vec()).unwrap()))
    }

    /// A connection on which anything can be written.
    pub async fn raw(&self) -> TlsStream<TcpStream> {
        self.raw_with(b"http/1.1").await
    }

    /// The same, for a protocol that was agreed.
    pub async fn raw_with(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let mut tls = self.tls(None);
        tls.alpn_protocols = vec![protocol.to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
        connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()
    }

    /// Requests that are being answered.
    pub fn in_flight(&self) -> u64 {
        let text = self.metrics.text();
        let lines = text.lines().filter_map(|it| it.strip_prefix("verdict_requests_in_flight{"));
        lines.filter_map(|it| it.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    }

    pub fn begin_stop(&self) {
        self.stop.lock().unwrap().take().unwrap().send(()).unwrap();
    }

    pub async fn stop(self) {
        self.begin_stop();
        let served = self.served.lock().unwrap().take().unwrap();
        served.await.unwrap();
    }
}
