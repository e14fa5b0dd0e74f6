//! Slow headers over HTTP/1.1, bounded from the first byte of a request.
//!
//! hyper's own timeout for headers also runs while a connection is idle, and kube-apiserver keeps idle connections for
//! 90 s. So the bytes are watched here: what arrives while no request is being answered is the head of the next.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// Requests on one connection.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<Requests>);

#[derive(Default)]
struct Requests {
    /// Those that are being answered.
    open: AtomicUsize,
    /// All that there ever were: one may begin and end between two reads.
    begun: AtomicUsize,
}

/// One of them.
pub(super) struct BusyGuard(Busy);

impl Busy {
    pub(super) fn begin(&self) -> BusyGuard {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        self.0.begun.fetch_add(1, Ordering::AcqRel);
        BusyGuard(self.clone())
    }

    fn any(&self) -> bool {
        self.0.open.load(Ordering::Acquire) > 0
    }

    fn begun(&self) -> usize {
        self.0.begun.load(Ordering::Acquire)
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A stream that fails when a request's head takes longer than `limit`.
pub(super) struct Watched<S> {
    stream: S,
    busy: Busy,
    limit: Duration,
    /// Since the first byte of a head that is not complete.
    head: Option<Pin<Box<Sleep>>>,
    /// The requests that had begun at the last read.
    begun: usize,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, busy: Busy, limit: Duration) -> Self {
        Self { stream, busy, limit, head: None, begun: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let begun = self.busy.begun();
        if self.busy.any() || begun != self.begun {
            self.head = None;
            self.begun = begun;
        } else if let Some(head) = &mut self.head
            && head.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before && !self.busy.any() && self.head.is_none() {
            self.head = Some(Box::pin(sleep_until(Instant::now() + self.limit)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_answered_between_two_reads_leaves_no_limit_behind() {
        let (mut client, stream) = tokio::io::duplex(64);
        let busy = Busy::default();
        let mut stream = Watched::new(stream, busy.clone(), Duration::from_secs(10));
        let mut buffer = [0; 8];
        client.write_all(b"request").await.unwrap();
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 7);
        // Read, answered and forgotten before the stream is looked at again.
        drop(busy.begin());
        tokio::time::advance(Duration::from_secs(95)).await;
        client.write_all(b"again").await.unwrap();
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 5);
        // This one never becomes a request.
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(stream.read(&mut buffer).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
