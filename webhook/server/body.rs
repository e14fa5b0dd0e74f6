//! Bodies: each bounded, charged as their bytes arrive, none waited for too long.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::{BodyExt as _, Limited};
use tokio::time::{Instant, timeout_at};

use super::{
    budget::{Busy, Share},
    wire::Rate,
};
use crate::observe::BodyRefused;

/// How a body must come.
pub(super) struct Terms {
    /// Bytes at most.
    pub(super) limit: usize,
    /// When it must be whole.
    pub(super) deadline: Instant,
    /// How slow its caller may be before.
    pub(super) rate: Rate,
}

/// Bytes that [`read`] takes at most at a time: a body, and the smaller copy that it grows from.
pub(super) fn most(announced: Option<usize>, limit: usize) -> usize {
    announced.unwrap_or(limit).min(limit) * 2
}

/// Reads `body`, and holds what it takes in `share`. `announced`: how long it says that it is.
///
/// Err: status and short words for the caller, and what is counted.
pub(super) async fn read(
    share: &Share,
    terms: &Terms,
    announced: Option<usize>,
    body: Body,
) -> Result<Bytes, (StatusCode, String, BodyRefused)> {
    let Terms { limit, deadline, rate } = *terms;
    let too_large = || {
        let words = format!("the body is larger than {limit} bytes");
        (StatusCode::PAYLOAD_TOO_LARGE, words, BodyRefused::Large)
    };
    if announced.is_some_and(|it| it > limit) {
        return Err(too_large());
    }
    let slow = || (StatusCode::REQUEST_TIMEOUT, "the body took too long".to_owned(), BodyRefused::Slow);
    let most = announced.unwrap_or(limit);
    let mut body = Limited::new(body, limit);
    let mut bytes = BytesMut::new();
    let mut charged = 0;
    // The time that the server takes is not the caller's.
    let mut begun = Instant::now();
    loop {
        let until = rate.until(begun, bytes.len() as u64).min(deadline);
        let frame = tokio::select! {
            frame = timeout_at(until, body.frame()) => frame.map_err(|_| slow())?,
            () = share.left() => return Err(busy()),
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                too_large()
            } else {
                (StatusCode::BAD_REQUEST, "the body was cut off".to_owned(), BodyRefused::Cut)
            }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        let needed = bytes.len() + data.len();
        if needed > bytes.capacity() {
            // Twice as much each time, so that a body is copied a few times only, and both copies are charged while there are two.
            let capacity = (charged * 2).max(LEAST).min(most).max(needed);
            let asked = Instant::now();
            share.take(capacity, deadline).await.map_err(|Busy| busy())?;
            begun += asked.elapsed();
            let mut larger = BytesMut::with_capacity(capacity);
            larger.extend_from_slice(&bytes);
            bytes = larger;
            share.give(charged);
            charged = capacity;
        }
        bytes.extend_from_slice(&data);
        share.moved();
    }
    share.work();
    Ok(bytes.freeze())
}

/// There is no room for this request.
pub(super) fn busy() -> (StatusCode, String, BodyRefused) {
    let words = "the server is busy with other requests".to_owned();
    (StatusCode::SERVICE_UNAVAILABLE, words, BodyRefused::Busy)
}

/// Bytes that are charged for a body at first.
const LEAST: usize = 16 << 10;
