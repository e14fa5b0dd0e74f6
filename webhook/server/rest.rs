//! The body of a request that is answered before it was read: read on a little, so that the answer is not lost.
//!
//! Over HTTP/2 an answer to a half-read body ends in a reset stream, which clients take for a failure; over HTTP/1.1 in a closed connection,
//! while the caller still writes. So whoever answered, and whatever the reason, the rest is read here and thrown away: within bounds.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header::EXPECT};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{sync::Semaphore, time::timeout};

use super::pool::{Activity, Owed};

/// What is left of one request's body.
#[derive(Clone)]
pub(super) struct Rest(Arc<Mutex<Inner>>);

struct Inner {
    body: Incoming,
    /// Somebody wanted it: a caller who waits for `100 Continue` has been told to send it.
    begun: bool,
    activity: Arc<Activity>,
    /// From when the body is whole.
    owed: Option<Owed>,
}

impl Rest {
    pub(super) fn of(body: Incoming, activity: &Arc<Activity>) -> Self {
        let owed = body.is_end_stream().then(|| activity.owe());
        Self(Arc::new(Mutex::new(Inner { body, begun: false, activity: Arc::clone(activity), owed })))
    }

    /// After the answer is made: reads what still comes. False: there is more, and it will not be read.
    pub(super) async fn read_on(&self, readers: &Semaphore) -> bool {
        // So many at a time: the others get their answer at once, as it is.
        let Ok(_reader) = readers.try_acquire() else { return false };
        let read = async {
            let mut left = MOST;
            while left > 0 {
                match poll_fn(|context| self.lock().poll(context)).await {
                    Some(Ok(frame)) => left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len)),
                    // Broken: nobody reads the answer.
                    Some(Err(_)) => return false,
                    None => return true,
                }
            }
            self.whole()
        };
        timeout(LONGEST, read).await.unwrap_or(false)
    }

    /// Everything came.
    pub(super) fn whole(&self) -> bool {
        self.lock().owed.is_some()
    }

    /// Somebody wanted it.
    pub(super) fn begun(&self) -> bool {
        self.lock().begun
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A poisoned lock only says that another thread panicked: the body is whatever it is.
        self.0.lock().unwrap_or_else(|error| error.into_inner())
    }
}

impl Inner {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.begun = true;
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if self.owed.is_none() && (matches!(frame, Poll::Ready(None)) || self.body.is_end_stream()) {
            self.owed = Some(self.activity.owe());
        }
        frame
    }
}

/// What the routes read.
impl Body for Rest {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.lock().poll(context)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().body.size_hint()
    }
}

/// Whether the caller waits for a word before it sends the body.
pub(super) fn expects(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Bytes that are read on, and for how long.
const MOST: usize = 64 << 20;
const LONGEST: Duration = Duration::from_secs(2);
/// Requests that are read on at the same time.
pub(super) const READERS: usize = 256;
