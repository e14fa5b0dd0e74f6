//! How protected routes answer: JSON, and when they refuse, everything that is wrong.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header::CONTENT_TYPE};
use serde::Serialize;

/// One thing that is wrong.
#[derive(Serialize)]
pub(super) struct Wrong {
    /// The field of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<String>,
    pub(super) message: String,
}

/// A page of JSON.
pub(super) fn json(status: StatusCode, page: &impl Serialize) -> Response {
    let text = serde_json::to_string_pretty(page).unwrap_or_default() + "\n";
    (status, [(CONTENT_TYPE, "application/json")], text).into_response()
}

/// One thing is wrong.
pub(super) fn refused(status: StatusCode, message: impl Into<String>) -> Response {
    all(status, &[Wrong { path: None, message: message.into() }])
}

/// Several things are.
pub(super) fn all(status: StatusCode, errors: &[Wrong]) -> Response {
    #[derive(Serialize)]
    struct Page<'a> {
        errors: &'a [Wrong],
    }
    json(status, &Page { errors })
}
