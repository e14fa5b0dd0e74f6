//! Connections: DNS, proxies of the environment, TCP, TLS.

use std::{
    error::Error as StdError,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::{
        legacy::{
            Client,
            connect::{Connected, Connection, HttpConnector, dns::Name, proxy::Tunnel},
        },
        proxy::matcher::Matcher,
    },
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tower::Service;

/// What sends requests.
pub(super) type Sender = Client<Timed, Full<Bytes>>;

/// Trusts `authorities` (PEM), beside those of the public web or instead of them.
pub(super) fn tls(authorities: Option<&[u8]>, only_these: bool) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    if !only_these {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(pem) = authorities {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| error.to_string())?;
            roots.add(certificate).map_err(|error| error.to_string())?;
        }
        if roots.len() == before {
            return Err("there is no certificate in it".to_owned());
        }
    }
    Ok(ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

pub(super) fn sender(tls: ClientConfig, proxies: Arc<Matcher>, limit: Duration) -> Sender {
    let mut tcp = HttpConnector::new_with_resolver(Resolver);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let via = Via { tcp, proxies };
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(via);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(20))
        .pool_max_idle_per_host(2)
        .http1_max_buf_size(MAX_HEAD)
        .build(Timed { https, limit })
}

type Boxed = Box<dyn StdError + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, Boxed>> + Send>>;

/// What has no error type of its own where it comes from.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoConnection {
    #[error("the name does not resolve")]
    Name,
    #[error("no connection in {} s", .0.as_secs())]
    Time(Duration),
    #[error("{1}")]
    Proxy(String, String),
}

/// A connector that does not wait for ever.
#[derive(Clone)]
pub(super) struct Timed {
    https: HttpsConnector<Via>,
    limit: Duration,
}

impl Service<Uri> for Timed {
    type Response = <HttpsConnector<Via> as Service<Uri>>::Response;
    type Error = Boxed;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        self.https.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connecting, limit) = (self.https.call(to), self.limit);
        Box::pin(async move { timeout(limit, connecting).await.map_err(|_| NoConnection::Time(limit))? })
    }
}

/// To whom the environment says.
#[derive(Clone)]
pub(super) struct Via {
    tcp: HttpConnector<Resolver>,
    proxies: Arc<Matcher>,
}

impl Service<Uri> for Via {
    type Response = Wire;
    type Error = Boxed;
    type Future = Connecting<Wire>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let Some(proxy) = self.proxies.intercept(&to) else {
            let connecting = self.tcp.call(to);
            return Box::pin(async move { Ok(Wire { socket: connecting.await?, is_proxy: false }) });
        };
        // Its name and password are kept apart by the matcher.
        let name = proxy.uri().authority().map(ToString::to_string).unwrap_or_default();
        let failed = |why: String| Boxed::from(NoConnection::Proxy(name, why));
        if proxy.uri().scheme_str() != Some("http") {
            let words = failed("only proxies at http:// are used".to_owned());
            return Box::pin(async move { Err(words) });
        }
        if to.scheme_str() == Some("http") {
            let connecting = self.tcp.call(proxy.uri().clone());
            return Box::pin(async move {
                let socket = connecting.await.map_err(|_| failed("it cannot be reached".to_owned()))?;
                Ok(Wire { socket, is_proxy: true })
            });
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
        if let Some(login) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(login.clone());
        }
        let connecting = tunnel.call(to);
        Box::pin(async move {
            let socket = connecting.await.map_err(|error| failed(error.to_string()))?;
            Ok(Wire { socket, is_proxy: false })
        })
    }
}

/// A connection; of a proxy for plain HTTP, requests name the host.
pub(super) struct Wire {
    socket: TokioIo<TcpStream>,
    is_proxy: bool,
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.is_proxy)
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl Write for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// The system's, with an error that can be told from others.
#[derive(Clone)]
struct Resolver;

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Boxed;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                lookup_host((name.as_str(), 0)).await.map_err(|_| NoConnection::Name)?.collect();
            if found.is_empty() {
                return Err(NoConnection::Name.into());
            }
            Ok(found.into_iter())
        })
    }
}

/// Bytes of the head of an answer.
const MAX_HEAD: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;
    use crate::loader::registry::{Config, Credentials, Registry, Times};

    /// What is said of a pull from r.example through a proxy that answers like this, and what it was asked first.
    async fn through(answer: &'static str, plain_http: bool) -> (String, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = listener.local_addr().unwrap();
        let asked = thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            lines
        });
        let matcher = Matcher::builder().all(format!("http://me:secret@{proxy}")).no("direct.example").build();
        let times = Times { manifest: Duration::from_secs(5), ..Times::default() };
        let plain_http = if plain_http { vec!["r.example".parse().unwrap()] } else { Vec::new() };
        let config = Config { plain_http, credentials: Credentials::None, times, ..Config::default() };
        let registry = Registry::behind(config, matcher).unwrap();
        let error = registry.component(&"r.example/a:1".parse().unwrap()).await.err().unwrap().to_string();
        assert!(!error.contains("secret"), "{error}");
        (error.replace(&proxy.to_string(), "PROXY"), asked.join().unwrap())
    }

    #[tokio::test]
    async fn a_proxy_is_asked_for_a_tunnel() {
        let (error, asked) = through("HTTP/1.1 407 Who are you\r\n\r\n", false).await;
        assert_eq!(error, "the proxy PROXY gives no way to r.example: tunnel error: proxy authorization required");
        assert_eq!(asked[0], "CONNECT r.example:443 HTTP/1.1");
        assert!(asked.contains(&"Proxy-Authorization: Basic bWU6c2VjcmV0".to_owned()), "{asked:?}");
    }

    #[tokio::test]
    async fn a_proxy_is_asked_for_what_goes_in_the_clear() {
        let (error, asked) = through("HTTP/1.1 418 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", true).await;
        assert_eq!(asked[0], "HEAD http://r.example/v2/a/manifests/1 HTTP/1.1");
        assert!(asked.contains(&"proxy-authorization: Basic bWU6c2VjcmV0".to_owned()), "{asked:?}");
        // Nobody listens any more.
        assert_eq!(error, "the proxy PROXY gives no way to r.example: it cannot be reached");
    }

    #[tokio::test]
    async fn who_needs_no_proxy_is_asked_without_one() {
        let matcher = Matcher::builder().all("http://127.0.0.1:9").no("127.0.0.1").build();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = Config { credentials: Credentials::None, ..Config::default() };
        let registry = Registry::behind(config, matcher).unwrap();
        let error = registry.component(&format!("{free}/a:1").parse().unwrap()).await.err().unwrap();
        assert_eq!(error.to_string(), format!("{free} cannot be reached: connection refused"));
    }
}
