//! A blocking client for one request: GET or POST, plain or over TLS with a client certificate.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::pki::{Identity, Pki};

/// Status code and body, or why there is none.
pub type Reply = Result<(u16, String), String>;

/// GET over TLS, as `identity`, with these headers.
pub fn get(url: &str, pki: &Pki, identity: Option<&Identity>, headers: &[(&str, &str)]) -> Reply {
    let request = headers.iter().fold(Request::get(url), |request, (name, value)| request.header(*name, *value));
    send(request, String::new(), tls(pki, identity))
}

/// POST of a JSON document over TLS, as `identity`.
pub fn post(url: &str, json: String, pki: &Pki, identity: Option<&Identity>) -> Reply {
    let request = Request::post(url).header("content-type", "application/json");
    send(request, json, tls(pki, identity))
}

/// POST of a JSON document with this TLS.
pub fn post_as(url: &str, json: String, tls: ClientConfig) -> Reply {
    send(Request::post(url).header("content-type", "application/json"), json, tls)
}

/// GET in the clear.
pub fn get_plain(url: &str) -> Reply {
    send(Request::get(url), String::new(), nobody())
}

/// Any request.
pub fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>, tls: ClientConfig) -> Reply {
    let request = Request::builder().method(method).uri(url);
    send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)), body, tls)
}

/// Trusts nobody: for what goes in the clear.
pub fn nobody() -> ClientConfig {
    builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth()
}

fn send(request: http::request::Builder, body: impl Into<Bytes>, config: ClientConfig) -> Reply {
    let request = request.body(Full::new(body.into())).map_err(|error| error.to_string())?;
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_all_versions()
        .build();
    let exchange = async move {
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let answer = client.request(request).await.map_err(|e| chain(&e))?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|e| chain(&e))?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        Ok((status, text))
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
        tokio::time::timeout(Duration::from_secs(30), exchange)
            .await
            .unwrap_or_else(|_| Err("no answer in 30 s".to_owned()))
    })
}

/// Trusts the CA of `pki`, and shows `identity`.
pub fn tls(pki: &Pki, identity: Option<&Identity>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(pki.ca_pem.as_bytes()).expect("PEM");
    roots.add(ca).expect("a certificate");
    let builder = builder().with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { cert, key }) => {
            let cert = CertificateDer::from_pem_file(cert).expect("a certificate");
            let key = PrivateKeyDer::from_pem_file(key).expect("a key");
            builder.with_client_auth_cert(vec![cert], key).expect("a pair")
        }
    }
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider's own versions")
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
