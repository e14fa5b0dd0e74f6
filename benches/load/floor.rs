//! The floor: the least that a webhook server on these crates can do. Fixed, so that ratios to it can be compared.
//!
//! axum on hyper on rustls on tokio, HTTP/1.1; decodes the envelope of an AdmissionReview, leaves its objects raw, and
//! allows. No limits, no metrics, no deadlines, no policies.

use std::{convert::Infallible, path::Path, sync::Arc};

use anyhow::Context as _;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::DefaultBodyLimit,
    response::{IntoResponse, Response},
    routing::post,
};
use http::{HeaderValue, Request, StatusCode, header::CONTENT_TYPE};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// Serves on a free port of loopback until it is killed; prints where, as Verdict's log does.
pub(crate) fn run(certificate: &Path, key: &Path) -> anyhow::Result<()> {
    let acceptor = acceptor(certificate, key)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", serde_json::json!({"https": listener.local_addr()?.to_string()}));
        let app = Router::new().route("/validate", post(validate)).layer(DefaultBodyLimit::max(32 << 20));
        loop {
            let (stream, _) = listener.accept().await?;
            let (app, acceptor) = (app.clone(), acceptor.clone());
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                let stream = acceptor.accept(stream).await?;
                let service = service_fn(|request: Request<Incoming>| app.clone().oneshot(request.map(Body::new)));
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?;
                anyhow::Ok(())
            });
        }
    })
}

fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key).context("the key")?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn validate(body: Bytes) -> Result<Response, Infallible> {
    let answer = serde_json::from_slice::<Review<'_>>(&body).ok().and_then(|review| {
        let Review { api_version, kind, request } = review;
        request.looked_at();
        let response = Verdict { uid: request.uid, allowed: true };
        serde_json::to_vec(&Answer { api_version, kind, response }).ok()
    });
    Ok(match answer {
        Some(answer) => ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], answer).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: String,
    kind: String,
    #[serde(borrow)]
    request: Admission<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Admission<'a> {
    uid: String,
    operation: String,
    kind: Gvk,
    resource: Gvr,
    request_kind: Option<Gvk>,
    request_resource: Option<Gvr>,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    user_info: User,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    old_object: Option<&'a RawValue>,
    #[serde(borrow)]
    options: Option<&'a RawValue>,
    dry_run: Option<bool>,
}

impl Admission<'_> {
    /// What was decoded is used, as far as the compiler can see.
    fn looked_at(&self) {
        std::hint::black_box((&self.operation, &self.kind, &self.resource, &self.request_kind, &self.request_resource));
        std::hint::black_box((&self.namespace, &self.name, &self.user_info, self.dry_run));
        std::hint::black_box((self.object, self.old_object, self.options));
    }
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "decoding them is the work")]
struct Gvk {
    group: String,
    version: String,
    kind: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "decoding them is the work")]
struct Gvr {
    group: String,
    version: String,
    resource: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "decoding them is the work")]
struct User {
    username: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    api_version: String,
    kind: String,
    response: Verdict,
}

#[derive(Serialize)]
struct Verdict {
    uid: String,
    allowed: bool,
}
