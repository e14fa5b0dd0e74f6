//! A server's admin listener, as its clients reach it: by HTTP or HTTPS, with a token or a certificate.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, StatusCode, Uri,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::Value;
use tokio::time::timeout;

use super::Failed;

/// Which server, and who asks.
#[derive(clap::Args)]
pub(super) struct ServerArgs {
    /// The admin listener of a server.
    #[arg(long, env = "VERDICT_SERVER", default_value = "http://127.0.0.1:8080")]
    server: Uri,
    /// A file with the token that it asks for; of several lines, the first.
    #[arg(long, env = "VERDICT_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The CAs of its certificate, PEM. Default: those of the public web.
    #[arg(long, env = "VERDICT_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A certificate that it asks for, PEM.
    #[arg(long, env = "VERDICT_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// That certificate's key, PEM.
    #[arg(long, env = "VERDICT_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

/// What asks one server.
pub(super) struct Asker {
    /// Without a slash at its end.
    server: String,
    token: Option<HeaderValue>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// What it said.
pub(super) struct Said {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl ServerArgs {
    /// # Errors
    /// A file cannot be read, or the token would cross a network in the clear.
    pub(super) fn asker(&self) -> Result<Asker, Failed> {
        let host = self.server.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_near = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback());
        match self.server.scheme_str() {
            Some("https") => {}
            Some("http") if is_near || self.token_file.is_none() => {}
            Some("http") => {
                return Err(Failed::Usage(format!(
                    "--server {}: a token is sent over HTTPS only, unless the server is on loopback",
                    self.server
                )));
            }
            _ => {
                return Err(Failed::Usage(format!(
                    "--server {}: expected a URL such as https://verdict.example.org:8080",
                    self.server
                )));
            }
        }
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(self.tls()?).https_or_http().enable_http1().build();
        Ok(Asker {
            server: self.server.to_string().trim_end_matches('/').to_owned(),
            token: self.token()?,
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    fn token(&self) -> anyhow::Result<Option<HeaderValue>> {
        let Some(file) = &self.token_file else { return Ok(None) };
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let Some(token) = text.lines().map(str::trim).find(|it| !it.is_empty()) else {
            bail!("{}: it holds no token", file.display());
        };
        // What is wrong with it does not show it.
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| anyhow!("{}: it holds no token, but signs that no token has", file.display()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn tls(&self) -> anyhow::Result<ClientConfig> {
        let named = |file: &PathBuf| file.display().to_string();
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(file) = &self.ca {
            roots.roots.clear();
            for certificate in CertificateDer::pem_file_iter(file).with_context(|| named(file))? {
                roots.add(certificate.with_context(|| named(file))?).with_context(|| named(file))?;
            }
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let (Some(certificate), Some(key)) = (&self.client_cert, &self.client_key) else {
            return Ok(builder.with_no_client_auth());
        };
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(certificate).with_context(|| named(certificate))?.collect();
        let chain = chain.with_context(|| named(certificate))?;
        let key = PrivateKeyDer::from_pem_file(key).with_context(|| named(key))?;
        builder.with_client_auth_cert(chain, key).with_context(|| named(certificate))
    }
}

impl Asker {
    /// Sends a request to `path`, which may have a query, with a body of `content_type`.
    ///
    /// # Errors
    /// There is no answer, or one that is too large.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<(&str, Bytes)>) -> anyhow::Result<Said> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.server));
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        if let Some((content_type, _)) = &body {
            request = request.header(CONTENT_TYPE, *content_type);
        }
        let request = request.body(Full::new(body.map(|it| it.1).unwrap_or_default()))?;
        let exchange = async {
            let response = self.client.request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(|error| anyhow!("its answer cannot be read: {error}"))?.to_bytes();
            Ok::<_, anyhow::Error>(Said { status, body })
        };
        let said = timeout(PATIENCE, exchange).await.map_err(|_| anyhow!("no answer in {} s", PATIENCE.as_secs()));
        said.and_then(|it| it).with_context(|| self.server.clone())
    }
}

impl Said {
    /// The body of what went well; else what the server says is wrong, a line for each thing.
    pub(super) fn good(self) -> Result<Bytes, String> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let page: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let line = |it: &Value| {
            let message = it["message"].as_str()?;
            Some(it["path"].as_str().map_or_else(|| message.to_owned(), |path| format!("{path}: {message}")))
        };
        let lines: Vec<String> = page["errors"].as_array().into_iter().flatten().filter_map(line).collect();
        if lines.is_empty() {
            return Err(format!("{}: {}", self.status, String::from_utf8_lossy(&self.body).trim()));
        }
        Err(lines.join("\n"))
    }
}

/// Policies are compiled while one waits.
const PATIENCE: Duration = Duration::from_secs(600);
/// Bytes of an answer.
const MAX_ANSWER: usize = 64 << 20;
