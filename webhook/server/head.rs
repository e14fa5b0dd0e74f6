//! Slow heads, bounded from the first byte of a request; and the rest of a body that nobody wants, read so that the answer arrives.
//!
//! hyper's own timeout for headers also runs while a connection is idle, and kube-apiserver keeps idle connections for
//! 90 s. So the bytes are watched here. Over HTTP/1.1, what arrives while no request is being answered is the head of the next;
//! over HTTP/2, the preface, each frame and each block of headers must end. hyper has no timeout for any of these.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::frames::Frames;

/// Requests on one connection.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<Requests>);

#[derive(Default)]
struct Requests {
    /// Those that are being answered.
    open: AtomicUsize,
    /// All that there ever were: one may begin and end between two reads.
    begun: AtomicUsize,
    /// The last one was answered while its body was still coming.
    unread: AtomicBool,
}

/// One of them.
pub(super) struct BusyGuard(Busy);

impl Busy {
    pub(super) fn begin(&self) -> BusyGuard {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        self.0.begun.fetch_add(1, Ordering::AcqRel);
        BusyGuard(self.clone())
    }

    /// The body of a request was not read to its end, and the connection is about to close: the caller may still be writing.
    pub(super) fn leave_unread(&self) {
        self.0.unread.store(true, Ordering::Release);
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

/// A stream that fails when what began to come takes longer than `limit`.
pub(super) struct Watched<S> {
    stream: S,
    framing: Framing,
    limit: Duration,
    /// Since the first byte of what is not complete.
    head: Option<Pin<Box<Sleep>>>,
    rest: Option<Rest>,
}

enum Framing {
    Http1 {
        busy: Busy,
        /// The requests that had begun at the last read.
        begun: usize,
    },
    Http2 {
        frames: Frames,
        /// Those that were whole when the time began to run.
        whole: u64,
    },
}

/// What is read and thrown away after the last answer.
struct Rest {
    bytes: usize,
    until: Pin<Box<Sleep>>,
}

impl<S> Watched<S> {
    /// HTTP/1.1. `first`: how long the first request's head may take from now on; without it, it may be idle before as well.
    pub(super) fn http1(stream: S, busy: Busy, limit: Duration, first: Option<Duration>) -> Self {
        let head = first.map(|first| Box::pin(sleep_until(Instant::now() + first)));
        Self { stream, framing: Framing::Http1 { busy, begun: 0 }, limit, head, rest: None }
    }

    /// HTTP/2: the preface must come now.
    pub(super) fn http2(stream: S, limit: Duration) -> Self {
        let head = Some(Box::pin(sleep_until(Instant::now() + limit)));
        Self { stream, framing: Framing::Http2 { frames: Frames::new(), whole: 0 }, limit, head, rest: None }
    }

    fn too_slow(&mut self, context: &mut Context<'_>) -> bool {
        if let Framing::Http1 { busy, begun } = &mut self.framing {
            let now = busy.begun();
            if busy.any() || now != *begun {
                self.head = None;
                *begun = now;
            }
        }
        self.head.as_mut().is_some_and(|head| head.as_mut().poll(context).is_ready())
    }

    fn came(&mut self, bytes: &[u8]) {
        let runs = match &mut self.framing {
            Framing::Http1 { busy, .. } => !busy.any(),
            Framing::Http2 { frames, whole } => {
                frames.feed(bytes);
                if frames.whole() != *whole {
                    *whole = frames.whole();
                    self.head = None;
                }
                frames.open()
            }
        };
        if runs && self.head.is_none() {
            self.head = Some(Box::pin(sleep_until(Instant::now() + self.limit)));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.too_slow(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.came(&buffer.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// A socket that is closed with unread bytes in it is reset, and the answer is lost with it: so the caller is told that nothing more
    /// comes, and is read for a while, until it stops.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        let unread = matches!(&self.framing, Framing::Http1 { busy, .. } if busy.0.unread.load(Ordering::Acquire));
        if !unread {
            return Poll::Ready(Ok(()));
        }
        let Self { stream, rest, .. } = &mut *self;
        let rest =
            rest.get_or_insert_with(|| Rest { bytes: REST, until: Box::pin(sleep_until(Instant::now() + REST_TIME)) });
        let mut scratch = [0; 4 << 10];
        loop {
            if rest.bytes == 0 || rest.until.as_mut().poll(context).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            // An error is an end like any other: what was to be said is said.
            let read = ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer)).map(|()| buffer.filled().len());
            let Ok(1..) = read else { return Poll::Ready(Ok(())) };
            rest.bytes = rest.bytes.saturating_sub(read.unwrap_or_default());
        }
    }
}

/// Bytes that are read after the last answer of a connection whose caller still writes, and how long.
const REST: usize = 64 << 20;
const REST_TIME: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_answered_between_two_reads_leaves_no_limit_behind() {
        let (mut client, stream) = tokio::io::duplex(64);
        let busy = Busy::default();
        let mut stream = Watched::http1(stream, busy.clone(), LIMIT, None);
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

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_never_ends_is_too_slow_and_silence_between_frames_is_not() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        // Half a preface; half a frame's head; half a payload; headers without their end.
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let slow: [&[u8]; 5] =
            [b"", b"PRI", &settings[..4], &[0, 0, 9, 0, 0, 0, 0, 0, 1, 1], &[0, 0, 0, 1, 0, 0, 0, 0, 1]];
        for (kind, part) in slow.iter().enumerate() {
            let (mut client, stream) = tokio::io::duplex(64);
            let mut stream = Watched::http2(stream, LIMIT);
            let mut buffer = [0; 64];
            if kind > 1 {
                client.write_all(preface).await.unwrap();
                let _ = stream.read(&mut buffer).await.unwrap();
                // Idle for longer than anything may take.
                let idle = tokio::time::timeout(LIMIT * 9, stream.read(&mut buffer)).await;
                assert!(idle.is_err(), "{kind}");
            }
            client.write_all(part).await.unwrap();
            let begun = Instant::now();
            let ended = loop {
                match stream.read(&mut buffer).await {
                    Ok(_) => {}
                    Err(error) => break error.kind(),
                }
            };
            assert_eq!((ended, begun.elapsed()), (io::ErrorKind::TimedOut, LIMIT), "{kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_still_writes_is_read_for_a_while_and_no_longer() {
        for unread in [false, true] {
            let (mut client, stream) = tokio::io::duplex(64);
            let busy = Busy::default();
            let mut stream = Watched::http1(stream, busy.clone(), LIMIT, None);
            if unread {
                busy.leave_unread();
            }
            client.write_all(&[1; 64]).await.unwrap();
            let begun = Instant::now();
            stream.shutdown().await.unwrap();
            assert_eq!(begun.elapsed(), if unread { REST_TIME } else { Duration::ZERO });
            let written = tokio::time::timeout(LIMIT, client.write_all(&[1; 64])).await;
            assert_eq!(written.is_ok(), unread);
        }
    }
}
