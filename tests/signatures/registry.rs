//! The smallest registry that cosign takes: one repository in memory, which lists what refers to a manifest.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use verdict::{
    signature::artifact::{Descriptor, MANIFEST},
    spec::Digest,
};

/// One that runs until the process ends.
pub struct Registry {
    pub address: SocketAddr,
    kept: Kept,
}

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<All>>);

#[derive(Default)]
struct All {
    blobs: BTreeMap<String, Bytes>,
    /// By tag and by digest.
    manifests: BTreeMap<String, (String, Bytes)>,
    uploads: BTreeMap<String, Vec<u8>>,
}

impl Registry {
    pub fn start() -> Self {
        let kept = Kept::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let one = "/v2/policies/labels";
        let app = Router::new()
            .route("/v2/", get(|| async { "{}" }))
            .route(&format!("{one}/blobs/uploads/"), post(begin))
            .route(&format!("{one}/blobs/uploads/{{upload}}"), axum::routing::patch(more).put(end))
            .route(&format!("{one}/blobs/{{digest}}"), get(blob))
            .route(&format!("{one}/manifests/{{reference}}"), get(manifest).put(put))
            .route(&format!("{one}/referrers/{{digest}}"), get(referrers))
            .with_state(kept.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let service = TowerToHyperService::new(app.clone());
                    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    tokio::spawn(async { drop(connection.await) });
                }
            });
        });
        Self { address, kept }
    }

    /// A manifest to sign.
    pub fn subject(&self, repository: &str, salt: &str) -> Descriptor {
        self.put_blob(b"{}".to_vec());
        let config =
            json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": named(b"{}"), "size": 2});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [], "annotations": {"of": repository, "salt": salt},
        });
        let bytes = manifest.to_string().into_bytes();
        let descriptor = Descriptor {
            media_type: MANIFEST.to_owned(),
            digest: Digest(Sha256::digest(&bytes).into()),
            size: bytes.len() as u64,
        };
        self.put_manifest(&named(&bytes), MANIFEST, bytes);
        descriptor
    }

    pub fn named(&self, repository: &str, digest: Digest) -> String {
        format!("{}/{repository}@sha256:{digest}", self.address)
    }

    pub fn put_blob(&self, bytes: Vec<u8>) {
        self.kept.0.lock().unwrap().blobs.insert(named(&bytes), bytes.into());
    }

    pub fn blob(&self, digest: &str) -> Vec<u8> {
        self.kept.0.lock().unwrap().blobs[digest].to_vec()
    }

    pub fn put_manifest(&self, reference: &str, media_type: &str, bytes: Vec<u8>) {
        self.kept.put(reference, media_type, bytes.into());
    }

    pub fn manifest(&self, reference: &str) -> Option<Vec<u8>> {
        Some(self.kept.0.lock().unwrap().manifests.get(reference)?.1.to_vec())
    }

    /// What refers to a manifest.
    pub fn referring(&self, digest: Digest) -> Vec<Vec<u8>> {
        let found = self.kept.referring(&format!("sha256:{digest}"));
        found.into_iter().map(|it| it.1.to_vec()).collect()
    }
}

impl Kept {
    fn put(&self, reference: &str, media_type: &str, bytes: Bytes) {
        let mut all = self.0.lock().unwrap();
        for name in [reference.to_owned(), named(&bytes)] {
            all.manifests.insert(name, (media_type.to_owned(), bytes.clone()));
        }
    }

    fn referring(&self, digest: &str) -> Vec<(String, Bytes)> {
        let all = self.0.lock().unwrap();
        let by_digest = all.manifests.iter().filter(|(name, _)| name.starts_with("sha256:"));
        let refers = |bytes: &[u8]| {
            let manifest: Value = serde_json::from_slice(bytes).unwrap();
            manifest["subject"]["digest"] == digest
        };
        by_digest
            .filter(|(_, (_, bytes))| refers(bytes))
            .map(|(name, (_, bytes))| (name.clone(), bytes.clone()))
            .collect()
    }
}

fn named(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest(Sha256::digest(bytes).into()))
}

async fn begin(State(kept): State<Kept>) -> impl IntoResponse {
    let mut all = kept.0.lock().unwrap();
    let name = all.uploads.len().to_string();
    all.uploads.insert(name.clone(), Vec::new());
    (StatusCode::ACCEPTED, [("location", format!("/v2/policies/labels/blobs/uploads/{name}"))])
}

async fn more(State(kept): State<Kept>, Path(upload): Path<String>, body: Bytes) -> impl IntoResponse {
    kept.0.lock().unwrap().uploads.get_mut(&upload).unwrap().extend(&body);
    (StatusCode::ACCEPTED, [("location", format!("/v2/policies/labels/blobs/uploads/{upload}"))])
}

async fn end(
    State(kept): State<Kept>,
    Path(upload): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    body: Bytes,
) -> StatusCode {
    let mut all = kept.0.lock().unwrap();
    let mut bytes = all.uploads.insert(upload, Vec::new()).unwrap();
    bytes.extend(&body);
    assert_eq!(query["digest"], named(&bytes));
    all.blobs.insert(named(&bytes), bytes.into());
    StatusCode::CREATED
}

async fn blob(State(kept): State<Kept>, Path(digest): Path<String>) -> Response {
    match kept.0.lock().unwrap().blobs.get(&digest) {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn manifest(State(kept): State<Kept>, Path(reference): Path<String>) -> Response {
    match kept.0.lock().unwrap().manifests.get(&reference) {
        Some((media_type, bytes)) => {
            let headers = [("content-type", media_type.clone()), ("docker-content-digest", named(bytes))];
            (headers, bytes.clone()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn put(State(kept): State<Kept>, Path(reference): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let digest = named(&body);
    let manifest: Value = serde_json::from_slice(&body).unwrap();
    kept.put(&reference, headers[CONTENT_TYPE].to_str().unwrap(), body);
    let mut answer = (StatusCode::CREATED, [("docker-content-digest", digest)]).into_response();
    if let Some(subject) = manifest["subject"]["digest"].as_str() {
        answer.headers_mut().insert("oci-subject", subject.parse().unwrap());
    }
    answer
}

async fn referrers(State(kept): State<Kept>, Path(digest): Path<String>) -> impl IntoResponse {
    let list: Vec<Value> = kept
        .referring(&digest)
        .into_iter()
        .map(|(name, bytes)| json!({"mediaType": MANIFEST, "digest": name, "size": bytes.len()}))
        .collect();
    let index = "application/vnd.oci.image.index.v1+json";
    let list = json!({"schemaVersion": 2, "mediaType": index, "manifests": list});
    ([("content-type", index)], list.to_string())
}
