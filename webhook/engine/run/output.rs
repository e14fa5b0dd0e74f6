//! What a guest logs, prints and audits: capped, cleaned, and dropped where it may hold secrets.

use std::{
    borrow::Cow,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::{debug, enabled, error, info, trace, warn};
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::template::Listen;
use crate::{
    observe::{
        Trail,
        flood::{Flow, Quota},
    },
    spec::{Fact, Line},
    text::{line, without},
};

/// How severe a line of the log is, as the contract has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// What a guest wrote in one review.
pub(in crate::engine) struct Said {
    /// What it logged and printed, if somebody listens.
    pub(in crate::engine) heard: Vec<Line>,
    pub(in crate::engine) facts: Vec<Fact>,
    /// Bytes that were kept.
    pub(in crate::engine) kept: u64,
    /// Bytes over the cap, or for want of a grant.
    pub(in crate::engine) dropped: u64,
}

/// Who speaks: all instances of one policy together.
pub(in crate::engine) struct Voice {
    pub(in crate::engine) policy: Arc<str>,
    /// For all that it writes to the log.
    quota: Arc<Quota>,
}

impl Voice {
    pub(in crate::engine) fn of(policy: &str) -> Arc<Self> {
        Arc::new(Self { policy: policy.into(), quota: Quota::new(policy, "output of the policy", Flow::WORDS) })
    }
}

/// The output of one instance. Clones share it: WASI's streams hold one each.
#[derive(Clone)]
pub(in crate::engine) struct Output(Arc<Mutex<Inner>>);

struct Inner {
    voice: Arc<Voice>,
    /// False for authenticators without the grant, since they see tokens, and for whoever sees a Secret.
    keep: bool,
    /// The request that it writes for.
    trail: Option<Arc<Trail>>,
    /// What must not be seen, even if it is repeated.
    secret: Option<Box<str>>,
    /// Bytes of log and print that are still taken.
    left: usize,
    /// Bytes that were taken.
    kept: u64,
    /// Bytes that came after that, or that are not kept.
    dropped: u64,
    /// A line of standard output that has not ended yet.
    line: Vec<u8>,
    /// What went to standard error after everything else. It goes to the log with whatever comes next, or, if the guest
    /// traps right after, into the words of the failure.
    last: Vec<u8>,
    facts: Vec<Fact>,
    listen: Listen,
    /// The lines, if somebody listens.
    heard: Vec<Line>,
}

impl Output {
    pub(in crate::engine) fn new(voice: &Arc<Voice>, keep: bool) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            voice: Arc::clone(voice),
            keep,
            trail: None,
            secret: None,
            left: MAX_OUTPUT,
            kept: 0,
            dropped: 0,
            line: Vec::new(),
            last: Vec::new(),
            facts: Vec::new(),
            listen: Listen::No,
            heard: Vec::new(),
        })))
    }

    /// A request begins. Where `secret` would be seen, it is hidden.
    pub(in crate::engine) fn begin(&self, listen: Listen, trail: Option<&Arc<Trail>>, secret: Option<&str>) {
        let mut inner = self.lock();
        inner.listen = listen;
        inner.trail = trail.map(Arc::clone);
        inner.secret = secret.map(Box::from);
    }

    pub(in crate::engine) fn log(&self, level: Level, message: &str) {
        let mut inner = self.lock();
        if let Some(taken) = inner.take(message.len()) {
            inner.release();
            let end = message.floor_char_boundary(taken);
            inner.emit(level, line(&message[..end]));
        }
    }

    /// To standard output.
    pub(in crate::engine) fn print(&self, bytes: &[u8]) {
        let mut inner = self.lock();
        let Some(taken) = inner.take(bytes.len()) else {
            return;
        };
        inner.release();
        for part in bytes[..taken].split_inclusive(|byte| *byte == b'\n') {
            inner.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                inner.end_line();
            }
        }
    }

    /// To standard error.
    pub(in crate::engine) fn print_error(&self, bytes: &[u8]) {
        let mut inner = self.lock();
        if let Some(taken) = inner.take(bytes.len()) {
            inner.last.extend_from_slice(&bytes[..taken]);
        }
    }

    /// What went to standard error last, on one line: why the guest trapped, if it did. Empty if there is nothing, and for
    /// authenticators without the grant.
    pub(in crate::engine) fn last_words(&self) -> String {
        let last = std::mem::take(&mut self.lock().last);
        let last = String::from_utf8_lossy(&last);
        let told = last.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with(ADVICE));
        told.collect::<Vec<_>>().join(" ")
    }

    pub(in crate::engine) fn audit(&self, key: &str, value: &str) {
        let mut inner = self.lock();
        if !inner.keep || inner.facts.len() >= MAX_FACTS {
            inner.dropped = inner.dropped.saturating_add(key.len() as u64 + value.len() as u64);
            return;
        }
        let (key, value) = (inner.cleaned(key), inner.cleaned(value));
        let fact = Fact {
            key: line(&key[..key.floor_char_boundary(MAX_FACT_KEY)]),
            value: line(&value[..value.floor_char_boundary(MAX_FACT_VALUE)]),
        };
        inner.kept = inner.kept.saturating_add(fact.key.len() as u64 + fact.value.len() as u64);
        if inner.voice.quota.takes() {
            let (policy, uid) = (&*inner.voice.policy, inner.uid());
            info!(target: "audit", policy, key = fact.key, value = fact.value, uid);
        }
        inner.facts.push(fact);
    }

    /// Ends the last line, and gives what there was of all. Nothing of it stays here.
    pub(in crate::engine) fn finish(&self) -> Said {
        let mut inner = self.lock();
        inner.release();
        inner.end_line();
        if inner.dropped > 0 {
            let (policy, uid) = (&*inner.voice.policy, inner.uid());
            debug!(target: "guest", policy, bytes = inner.dropped, uid, "output of the policy was dropped");
        }
        inner.listen = Listen::No;
        inner.trail = None;
        inner.secret = None;
        Said {
            heard: std::mem::take(&mut inner.heard),
            facts: std::mem::take(&mut inner.facts),
            kept: std::mem::take(&mut inner.kept),
            dropped: std::mem::take(&mut inner.dropped),
        }
    }

    /// As new, for the next review of the same instance; [`Self::finish`] ended the last one.
    pub(in crate::engine) fn restart(&self, keep: bool) {
        let mut inner = self.lock();
        inner.keep = keep;
        inner.left = MAX_OUTPUT;
    }

    /// A guest cannot make the holder panic, and the content stays consistent if it did.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// How many of `wanted` bytes are taken; None when none are.
    fn take(&mut self, wanted: usize) -> Option<usize> {
        let taken = if self.keep { wanted.min(self.left) } else { 0 };
        self.left -= taken;
        self.kept = self.kept.saturating_add(taken as u64);
        self.dropped = self.dropped.saturating_add((wanted - taken) as u64);
        (taken > 0).then_some(taken)
    }

    fn emit(&mut self, level: Level, text: String) {
        let text = match &self.secret {
            Some(_) => self.cleaned(&text).into_owned(),
            None => text,
        };
        if self.listen != Listen::Only && is_enabled(level) && self.voice.quota.takes() {
            emit(&self.voice.policy, self.uid(), level, &text);
        }
        if self.listen != Listen::No {
            self.heard.push(Line { level: level.name(), text });
        }
    }

    /// Without what must not be seen.
    fn cleaned<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.secret {
            Some(secret) => without(text, secret).into(),
            None => text.into(),
        }
    }

    /// Of the request.
    fn uid(&self) -> Option<&str> {
        self.trail.as_ref().map(|it| it.uid())
    }

    fn end_line(&mut self) {
        let printed = std::mem::take(&mut self.line);
        self.emit_printed(&printed);
    }

    /// What went to standard error becomes lines like those of standard output.
    fn release(&mut self) {
        let last = std::mem::take(&mut self.last);
        for printed in last.split(|byte| *byte == b'\n') {
            self.emit_printed(printed);
        }
    }

    fn emit_printed(&mut self, printed: &[u8]) {
        let printed = String::from_utf8_lossy(printed);
        let printed = printed.trim_end_matches(['\n', '\r']);
        if !printed.is_empty() {
            self.emit(Level::Info, line(printed));
        }
    }
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Whether a line of this level is written at all: else it takes nothing of the quota.
fn is_enabled(level: Level) -> bool {
    match level {
        Level::Trace => enabled!(target: "guest", tracing::Level::TRACE),
        Level::Debug => enabled!(target: "guest", tracing::Level::DEBUG),
        Level::Info => enabled!(target: "guest", tracing::Level::INFO),
        Level::Warn => enabled!(target: "guest", tracing::Level::WARN),
        Level::Error => enabled!(target: "guest", tracing::Level::ERROR),
    }
}

fn emit(policy: &str, uid: Option<&str>, level: Level, message: &str) {
    match level {
        Level::Trace => trace!(target: "guest", policy, uid, "{message}"),
        Level::Debug => debug!(target: "guest", policy, uid, "{message}"),
        Level::Info => info!(target: "guest", policy, uid, "{message}"),
        Level::Warn => warn!(target: "guest", policy, uid, "{message}"),
        Level::Error => error!(target: "guest", policy, uid, "{message}"),
    }
}

/// Standard output or standard error of a guest.
pub(in crate::engine) struct Stream {
    pub(in crate::engine) output: Output,
    pub(in crate::engine) is_error: bool,
}

impl Stream {
    fn print(&self, bytes: &[u8]) {
        if self.is_error { self.output.print_error(bytes) } else { self.output.print(bytes) }
    }
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Self { output: self.output.clone(), is_error: self.is_error })
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self { output: self.output.clone(), is_error: self.is_error })
    }
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.print(&bytes);
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
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.print(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// How Rust's standard library ends a panic: whoever reads the log of a server cannot follow it.
const ADVICE: &str = "note: run with `RUST_BACKTRACE=";
/// Bytes of log and print that are kept of one review.
const MAX_OUTPUT: usize = 16 << 10;
/// Records of the audit log that are kept of one review.
const MAX_FACTS: usize = 32;
const MAX_FACT_KEY: usize = 253;
const MAX_FACT_VALUE: usize = 4 << 10;
/// How much one write may carry; bounds a copy, not the output.
const WRITE_PERMIT: usize = 64 << 10;
