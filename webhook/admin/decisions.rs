//! The last decisions.

use std::sync::Arc;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;

use super::{Admin, answer, beside};
use crate::{observe::Wanted, text};

/// Which of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    limit: Option<usize>,
    policy: Option<String>,
    denied: Option<bool>,
    after: Option<u64>,
}

/// A JSON array, the last one at its end.
pub(super) async fn last(State(admin): State<Arc<Admin>>, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(error) => return answer::refused(StatusCode::BAD_REQUEST, error.body_text()),
    };
    let wanted = Wanted {
        limit: asked.limit.unwrap_or(LIMIT),
        policy: asked.policy,
        denied: asked.denied,
        after: asked.after.unwrap_or_default(),
    };
    let page = beside(&admin, move |admin| {
        let last = admin.decisions.last(&wanted);
        last.and_then(|it| serde_json::to_string_pretty(&it).ok()).map(|it| text::json(&it) + "\n").unwrap_or_default()
    });
    let page = page.await;
    if page.is_empty() {
        return answer::refused(StatusCode::NOT_FOUND, "no decisions are kept: --decisions-memory is 0");
    }
    ([(CONTENT_TYPE, "application/json")], page).into_response()
}

const LIMIT: usize = 100;
