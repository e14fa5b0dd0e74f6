//! Bodies: each bounded, all in flight together bounded, none waited for too long.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use http_body_util::{BodyExt as _, Limited};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::metrics::{Counted, Metrics};

/// The bytes that all bodies in flight may hold together.
pub(super) struct Budget(Arc<Semaphore>);

/// A body that was read whole; its share of the budget is held for as long as it lives.
pub(super) struct Read {
    pub(super) bytes: Bytes,
    _share: OwnedSemaphorePermit,
    _counted: Counted,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(UNIT))))
    }

    /// Reads `body` until `deadline`. Err: status and short words for the caller.
    pub(super) async fn read(
        &self,
        metrics: &Metrics,
        headers: &HeaderMap,
        body: Body,
        limit: usize,
        deadline: Instant,
    ) -> Result<Read, (StatusCode, String)> {
        let too_large = || (StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"));
        let announced = headers.get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|it| it > limit) {
            return Err(too_large());
        }
        // A body that does not say its length is taken for as long as it may be.
        let share = announced.unwrap_or(limit);
        let units = u32::try_from(share.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let busy = || (StatusCode::SERVICE_UNAVAILABLE, "the server is busy with other requests".to_owned());
        let reserved = timeout_at(deadline, Arc::clone(&self.0).acquire_many_owned(units)).await;
        let permit = reserved.map_err(|_| busy())?.map_err(|_| busy())?;
        let counted = metrics.body_bytes(share);
        let collect = async {
            let mut body = Limited::new(body, limit);
            let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0));
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| {
                    if error.is::<http_body_util::LengthLimitError>() {
                        too_large()
                    } else {
                        (StatusCode::BAD_REQUEST, "the body was cut off".to_owned())
                    }
                })?;
                if let Ok(data) = frame.into_data() {
                    bytes.extend_from_slice(&data);
                }
            }
            Ok(bytes.freeze())
        };
        let bytes = timeout_at(deadline, collect)
            .await
            .map_err(|_| (StatusCode::REQUEST_TIMEOUT, "the body took too long".to_owned()))??;
        Ok(Read { bytes, _share: permit, _counted: counted })
    }
}

/// Bytes of a permit.
const UNIT: usize = 1 << 10;
