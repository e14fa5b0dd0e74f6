//! A TCP connection of which others may see whether something came that nobody has read yet.

use std::{
    io::{self, Read as _},
    mem::MaybeUninit,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

/// The only one who reads and writes.
pub(crate) struct Socket(Arc<TcpStream>);

/// Whoever only looks, for as long as there is something to look at.
pub(super) struct Glance(Weak<TcpStream>);

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        // Answers are small, and someone waits for each. Without it they are only slower.
        let _ = stream.set_nodelay(true);
        Self(Arc::new(stream))
    }

    pub(super) fn glance(&self) -> Glance {
        Glance(Arc::downgrade(&self.0))
    }
}

impl Glance {
    /// Bytes wait in the system: the other side is not silent, this one is slow.
    pub(super) fn unread(&self) -> bool {
        // The socket does not block. An error, like nothing at all, is for whoever reads.
        self.0.upgrade().is_some_and(|it| matches!(SockRef::from(&*it).peek(&mut [MaybeUninit::uninit()]), Ok(1..)))
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &*self.0;
        let room = buffer.initialize_unfilled();
        loop {
            ready!(stream.poll_read_ready(context))?;
            let mut read = None;
            let tried = stream.try_io(Interest::READABLE, || {
                let bytes = (&*SockRef::from(stream)).read(room)?;
                read = Some(bytes);
                // Less than there was room for: all that came is read, and that is known without another call into the system.
                if 0 < bytes && bytes < room.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match (read, tried) {
                (Some(bytes), _) => {
                    buffer.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                (None, tried) => return Poll::Ready(tried),
            }
        }
    }
}

impl Socket {
    fn poll_write(
        &self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match write(&self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Socket::poll_write(&self, context, |it| it.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Socket::poll_write(&self, context, |it| it.try_write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Who has gone already need not be told.
        match SockRef::from(&*self.0).shutdown(std::net::Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn what_came_is_seen_until_it_is_read() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut socket = Socket::new(listener.accept().await.unwrap().0);
        let glance = socket.glance();
        assert!(!glance.unread());
        peer.write_all(b"some words").await.unwrap();
        while !glance.unread() {
            tokio::task::yield_now().await;
        }
        let mut words = [0; 4];
        socket.read_exact(&mut words).await.unwrap();
        assert!(glance.unread());
        let mut rest = [0; 64];
        assert_eq!((&words, socket.read(&mut rest).await.unwrap()), (b"some", 6));
        assert!(!glance.unread());
        // And what comes after that wakes whoever reads.
        let (read, _) = tokio::join!(socket.read(&mut rest), async {
            tokio::task::yield_now().await;
            peer.write_all(b"more").await.unwrap();
        });
        assert_eq!(&rest[..read.unwrap()], b"more");
        socket.write_all(b"an answer").await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "an answer");
        drop(peer);
        assert_eq!(socket.read(&mut rest).await.unwrap(), 0);
        assert!(!glance.unread());
        drop(socket);
        assert!(!glance.unread());
    }
}
