//! Standard input and output of a module, where they carry its questions and answers: in memory, and bounded.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi::{
    cli::{IsTerminal, StdinStream, StdoutStream},
    p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult},
};

/// Clones share it: WASI holds one, the host the other.
#[derive(Clone, Default)]
pub(super) struct Pipe(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    bytes: Vec<u8>,
    /// How many of them were read.
    read: usize,
    /// How many there may be.
    most: usize,
    overflowed: bool,
}

impl Pipe {
    /// These bytes are in it, and nothing else; behind them there is room for answers.
    pub(super) fn fill(&self, bytes: Vec<u8>) {
        *self.lock() = Inner { most: bytes.len().saturating_add(MAX_UNREAD), bytes, read: 0, overflowed: false };
    }

    /// Nothing is in it, and at most so many bytes will be.
    pub(super) fn empty(&self, most: usize) {
        *self.lock() = Inner { most, ..Inner::default() };
    }

    /// Behind what is in it. False: too much is in it already that nobody reads. One answer has room, however large it is.
    #[must_use]
    pub(super) fn append(&self, bytes: &[u8]) -> bool {
        let mut inner = self.lock();
        let read = inner.read;
        // What was read is not needed again.
        inner.bytes.drain(..read);
        inner.read = 0;
        let fits = inner.bytes.len() <= inner.most;
        if fits {
            inner.bytes.extend_from_slice(bytes);
        }
        fits
    }

    /// All that is in it. Nothing stays.
    pub(super) fn take(&self) -> Vec<u8> {
        mem::take(&mut self.lock().bytes)
    }

    /// Whether more came than may.
    pub(super) fn overflowed(&self) -> bool {
        self.lock().overflowed
    }

    /// Nothing panics while it is held.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsTerminal for Pipe {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        // Of preview 3, which no module uses.
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl StdoutStream for Pipe {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl InputStream for Pipe {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut inner = self.lock();
        let rest = inner.bytes.get(inner.read..).unwrap_or_default();
        if rest.is_empty() {
            return Err(StreamError::Closed);
        }
        let part = Bytes::copy_from_slice(&rest[..rest.len().min(size)]);
        inner.read += part.len();
        Ok(part)
    }
}

impl OutputStream for Pipe {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut inner = self.lock();
        if inner.bytes.len().saturating_add(bytes.len()) > inner.most {
            inner.overflowed = true;
            return Err(StreamError::trap("more than an answer may hold"));
        }
        inner.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_PERMIT)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Pipe {
    async fn ready(&mut self) {}
}

/// Bytes of answers that may wait to be read when the next one comes.
const MAX_UNREAD: usize = 4 << 20;
/// How much one write may carry.
const WRITE_PERMIT: usize = 64 << 10;
