//! What moves on a socket, below TLS: when a byte last moved, and how long the other side may leave what is sent to it unread.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::pool::Activity;

/// The slowest that somebody may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How long nothing at all has to move.
    pub grace: Duration,
    /// From then on, on the whole.
    pub bytes_per_second: u32,
}

impl Rate {
    /// When whoever began at `begun` and has moved so many bytes is too slow, unless more have moved by then.
    pub(super) fn until(&self, begun: Instant, bytes: u64) -> Instant {
        begun + self.grace + Duration::from_millis(bytes.saturating_mul(1000) / u64::from(self.bytes_per_second.max(1)))
    }
}

/// A socket whose peer must read what it is sent.
pub(crate) struct Wire<S> {
    socket: S,
    activity: Arc<Activity>,
    rate: Rate,
    /// While the system takes no more.
    blocked: Option<Blocked>,
}

struct Blocked {
    since: Instant,
    written: u64,
    timer: Pin<Box<Sleep>>,
}

impl<S> Wire<S> {
    pub(crate) fn new(socket: S, activity: Arc<Activity>, rate: Rate) -> Self {
        Self { socket, activity, rate, blocked: None }
    }

    fn wrote(&mut self, written: Poll<io::Result<usize>>, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let rate = self.rate;
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.activity.touch();
                if let Some(blocked) = &mut self.blocked {
                    blocked.written += bytes as u64;
                    blocked.timer.as_mut().reset(rate.until(blocked.since, blocked.written));
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let blocked = self.blocked.get_or_insert_with(|| {
                    let since = Instant::now();
                    Blocked { since, written: 0, timer: Box::pin(sleep_until(rate.until(since, 0))) }
                });
                ready!(blocked.timer.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.activity.touch();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.wrote(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        self.wrote(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // All that there was is written: what comes next has the whole grace again.
        self.blocked = None;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const RATE: Rate = Rate { grace: Duration::from_secs(2), bytes_per_second: 10 };

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_nothing_is_left() {
        let (_peer, socket) = tokio::io::duplex(8);
        let mut wire = Wire::new(socket, Activity::new(), RATE);
        wire.write_all(b"12345678").await.unwrap();
        let begun = Instant::now();
        assert_eq!(wire.write_all(b"9").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), RATE.grace);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_a_byte_now_and_then_is_left_too_but_not_who_keeps_the_rate() {
        for (pause, whole) in [(Duration::from_secs(1), false), (Duration::from_millis(50), true)] {
            let (mut peer, socket) = tokio::io::duplex(8);
            let mut wire = Wire::new(socket, Activity::new(), RATE);
            let reads = async move {
                loop {
                    tokio::time::sleep(pause).await;
                    if peer.read_u8().await.is_err() {
                        return;
                    }
                }
            };
            let reader = tokio::spawn(reads);
            assert_eq!(wire.write_all(&[0; 200]).await.is_ok(), whole, "{pause:?}");
            drop(wire);
            reader.await.unwrap();
        }
    }
}
