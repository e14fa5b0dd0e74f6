//! Policies that are registered while the server runs: `/policies/KIND/NAME`. A request is trusted less than a file: nothing of it is read
//! from files, and kinds that log people in or let them do things are taken only where the operator says so.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    body::to_bytes,
    extract::{FromRequest as _, Multipart, Path, Query, Request, State, multipart::MultipartError},
    response::{IntoResponse as _, Response},
};
use bytes::{Bytes, BytesMut};
use http::{
    StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    Admin,
    answer::{self, Wrong, all, refused},
    page,
};
use crate::{
    config::{self, ConfigError},
    loader::MAX_SIZE,
    policy::{Entry, Orders, Refused},
    spec::{Digest, Given, Kind},
};

/// What a request brings.
struct Brought {
    text: Bytes,
    components: Vec<Bytes>,
}

/// As it was registered.
pub(super) async fn get(State(admin): State<Arc<Admin>>, Path((kind, name)): Path<(String, String)>) -> Response {
    let Some(orders) = admin.orders.get() else { return starting() };
    let entry = known(&kind).and_then(|kind| orders.registered().get(&(kind, name.clone())).cloned());
    match entry.as_ref().map(|it| &it.text) {
        Some(Ok(text)) => {
            let form = if text.trim_start().starts_with('{') { JSON } else { YAML };
            ([(CONTENT_TYPE, form)], text.clone()).into_response()
        }
        Some(Err(why)) => refused(StatusCode::INTERNAL_SERVER_ERROR, why),
        None => refused(StatusCode::NOT_FOUND, missing(&admin, &kind, &name)),
    }
}

/// Registers, or changes what is registered.
pub(super) async fn put(
    State(admin): State<Arc<Admin>>,
    Path((kind, name)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    let Some(orders) = admin.orders.get() else { return starting() };
    let Some(kind) = known(&kind) else {
        return refused(StatusCode::NOT_FOUND, format!("{kind} is no kind: expected one of {}", kinds()));
    };
    let dry_run = match query.get("dryRun").map(String::as_str) {
        _ if query.keys().any(|it| it != "dryRun") => {
            return refused(StatusCode::BAD_REQUEST, "the only parameter is dryRun");
        }
        Some("true") => true,
        None | Some("false") => false,
        Some(_) => return refused(StatusCode::BAD_REQUEST, "dryRun: expected true or false"),
    };
    if !admin.kinds.contains(&kind) {
        let words = format!("{kind} is not taken from requests: --admin-kinds lists the kinds that are");
        return refused(StatusCode::FORBIDDEN, words);
    }
    // One body at a time: that bounds the memory that they take.
    let Ok(_one) = admin.upload.acquire().await else { return starting() };
    let brought = match timeout(UPLOAD, brought(request)).await {
        Ok(Ok(brought)) => brought,
        Ok(Err((status, words))) => return refused(status, words),
        Err(_) => {
            return refused(StatusCode::REQUEST_TIMEOUT, format!("the body took longer than {} s", UPLOAD.as_secs()));
        }
    };
    // Digests and documents take a while, and probes are answered meanwhile.
    let known = orders.clone();
    let parsed = spawn_blocking(move || parse(brought, &known, kind, &name)).await;
    let (entry, name) = match parsed {
        Ok(Ok(parsed)) => parsed,
        Ok(Err(errors)) => return invalid(&errors),
        Err(_) => return refused(StatusCode::INTERNAL_SERVER_ERROR, "the object could not be read"),
    };
    match orders.put(entry, dry_run).await {
        Ok(created) => {
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            if dry_run {
                answer::json(status, &Tried { kind: kind.name(), name, dry_run })
            } else {
                shown(&admin, status, kind, &name)
            }
        }
        Err(why) => changed_nothing(&admin, why, kind, &name),
    }
}

/// Takes away what was registered.
pub(super) async fn delete(State(admin): State<Arc<Admin>>, Path((kind, name)): Path<(String, String)>) -> Response {
    let Some(orders) = admin.orders.get() else { return starting() };
    let Some(known) = known(&kind) else {
        return refused(StatusCode::NOT_FOUND, missing(&admin, &kind, &name));
    };
    match orders.delete((known, name.clone())).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(why) => changed_nothing(&admin, why, known, &name),
    }
}

/// An answer where nothing was changed, and would have been.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tried {
    kind: &'static str,
    name: String,
    dry_run: bool,
}

/// How it fares now.
fn shown(admin: &Admin, status: StatusCode, kind: Kind, name: &str) -> Response {
    let row = admin.live.get().and_then(|live| page::of_one(&live.current(), kind, name));
    answer::json(status, &row)
}

fn changed_nothing(admin: &Admin, why: Refused, kind: Kind, name: &str) -> Response {
    match why {
        Refused::Invalid(errors) => invalid(&errors),
        Refused::Taken(by) => refused(
            StatusCode::CONFLICT,
            format!("{kind} {name} is declared in {by}, which comes first: change it there"),
        ),
        Refused::Unknown => refused(StatusCode::NOT_FOUND, missing(admin, kind.singular(), name)),
        Refused::Full(words) => refused(StatusCode::INSUFFICIENT_STORAGE, words),
        Refused::Lost(words) => refused(StatusCode::INTERNAL_SERVER_ERROR, words),
        Refused::Busy => {
            let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, "too many changes wait: try again");
            response.headers_mut().insert(RETRY_AFTER, http::HeaderValue::from_static("5"));
            response
        }
    }
}

fn starting() -> Response {
    refused(StatusCode::SERVICE_UNAVAILABLE, "the server is starting: try again")
}

fn invalid(errors: &[ConfigError]) -> Response {
    let wrong: Vec<Wrong> =
        errors.iter().map(|it| Wrong { path: it.field.clone(), message: it.message.clone() }).collect();
    all(StatusCode::UNPROCESSABLE_ENTITY, &wrong)
}

fn missing(admin: &Admin, kind: &str, name: &str) -> String {
    let current = admin.live.get().map(|it| it.current());
    let is =
        |it: &&crate::policy::Object| it.spec().name == name && it.spec().kind.is_some_and(|it| it.singular() == kind);
    match current.as_ref().and_then(|it| it.objects().iter().find(is)) {
        Some(object) => format!("{kind} {name} is not registered, but declared in {}", object.spec().source),
        None => format!("there is no {kind} {name}"),
    }
}

/// As it stands in a path.
fn known(kind: &str) -> Option<Kind> {
    taken().find(|it| it.singular() == kind)
}

fn kinds() -> String {
    taken().map(Kind::singular).collect::<Vec<_>>().join(", ")
}

/// Objects of one namespace are written to the cluster, which knows who may.
fn taken() -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(|it| !it.is_namespaced())
}

fn parse(brought: Brought, known: &Orders, kind: Kind, name: &str) -> Result<(Entry, String), Vec<ConfigError>> {
    let about = |field: Option<&str>, message: String| {
        let field = field.map(str::to_owned);
        vec![ConfigError { source: String::new(), object: None, field, message }]
    };
    let text = String::from_utf8(brought.text.into()).map_err(|_| about(None, "the object is not UTF-8".to_owned()))?;
    let given: Vec<Given> = brought.components.into_iter().map(Given::new).collect();
    let find =
        |digest: Digest| given.iter().find(|it| it.digest() == digest).cloned().or_else(|| known.component(digest));
    let spec = config::registered(&text, &find, known.fetches())?;
    if spec.kind != Some(kind) {
        return Err(about(
            Some("kind"),
            format!("expected {kind}, which the path says; got {}", spec.kind.map_or("none", Kind::name)),
        ));
    }
    if spec.name != name {
        return Err(about(Some("metadata.name"), format!("expected {name}, which the path says; got {}", spec.name)));
    }
    let named: Vec<Digest> = std::iter::once(&spec)
        .chain(spec.members())
        .filter_map(|it| match &it.component()?.location {
            crate::spec::Location::Given(given) => Some(given.digest()),
            _ => None,
        })
        .collect();
    if let Some(unused) = given.iter().find(|it| !named.contains(&it.digest())) {
        let words = format!("a component was sent that the object does not name: write sha256: {}", unused.digest());
        return Err(about(Some("spec.component"), words));
    }
    Ok((Entry { spec, text: Ok(text) }, name.to_owned()))
}

/// Why a body is not taken.
type Refusal = (StatusCode, String);

fn refusal(status: StatusCode, words: impl Into<String>) -> Refusal {
    (status, words.into())
}

/// The body, whole and bounded.
async fn brought(request: Request) -> Result<Brought, Refusal> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*essence {
        JSON | YAML => {
            let text = to_bytes(request.into_body(), MAX_TEXT).await.map_err(|_| large("the object", MAX_TEXT))?;
            Ok(Brought { text, components: Vec::new() })
        }
        "multipart/form-data" => {
            let parts = Multipart::from_request(request, &()).await;
            let parts = parts.map_err(|error| refusal(StatusCode::BAD_REQUEST, error.body_text()))?;
            in_parts(parts).await
        }
        _ => Err(refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("expected Content-Type {YAML}, {JSON}, or multipart/form-data with the parts object and component"),
        )),
    }
}

async fn in_parts(mut parts: Multipart) -> Result<Brought, Refusal> {
    let wrong = |error: MultipartError| refusal(error.status(), error.body_text());
    let (mut text, mut components) = (None, Vec::new());
    let mut left = MAX_COMPONENTS;
    while let Some(mut part) = parts.next_field().await.map_err(wrong)? {
        let name = part.name().unwrap_or_default().to_owned();
        let most = match &*name {
            "object" => MAX_TEXT,
            "component" => left,
            _ => {
                return Err(refusal(
                    StatusCode::BAD_REQUEST,
                    "expected only parts that are called object and component",
                ));
            }
        };
        let mut bytes = BytesMut::new();
        while let Some(chunk) = part.chunk().await.map_err(wrong)? {
            if bytes.len() + chunk.len() > most {
                return Err(large(
                    if name == "object" { "the object" } else { "all components together" },
                    if name == "object" { MAX_TEXT } else { MAX_COMPONENTS },
                ));
            }
            bytes.extend_from_slice(&chunk);
        }
        match &*name {
            "component" => {
                left -= bytes.len();
                components.push(bytes.freeze());
            }
            _ if text.replace(bytes.freeze()).is_some() => {
                return Err(refusal(StatusCode::BAD_REQUEST, "expected one part that is called object; got several"));
            }
            _ => {}
        }
        if components.len() > MAX_PARTS {
            return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("expected at most {MAX_PARTS} components")));
        }
    }
    let text = text.ok_or_else(|| refusal(StatusCode::BAD_REQUEST, "expected a part that is called object"))?;
    Ok(Brought { text, components })
}

fn large(what: &str, most: usize) -> Refusal {
    refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("{what} must have at most {most} bytes"))
}

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
/// Bytes of an object.
const MAX_TEXT: usize = 1 << 20;
/// Bytes of the components of a request together.
const MAX_COMPONENTS: usize = MAX_SIZE as usize;
/// Components of one request.
const MAX_PARTS: usize = 64;
/// How long a body may take.
const UPLOAD: Duration = Duration::from_secs(60);
