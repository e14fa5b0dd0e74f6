//! The decision log: written by a thread of its own, so that neither a full disk nor a slow reader holds up a review.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::Value;
use tracing::error;

use super::{
    DecisionEvent, Metrics,
    flood::Quota,
    redact::{Redacted, Rules},
    written::{self, Labels},
};

/// Where lines go.
pub trait Sink: Send {
    /// Writes one line, which ends with a line feed, whole or not at all as far as it can.
    ///
    /// # Errors
    /// The system's.
    fn write(&mut self, line: &str) -> io::Result<()>;
}

/// What is written.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Of those in which nobody denied and nothing failed, how many: 0 to 1.
    pub sample: f64,
    /// Whether the review itself is written.
    pub input: bool,
}

/// The decision log.
pub(super) struct Journal {
    pub(super) choice: Choice,
    metrics: Arc<Metrics>,
    queue: Arc<Queue>,
    full: Arc<Quota>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// Something came, or it is closed.
    came: Condvar,
    /// Everything is written.
    done: Condvar,
}

#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    /// Of all entries.
    bytes: usize,
    closed: bool,
    ended: bool,
}

struct Entry {
    event: Arc<DecisionEvent>,
    input: Option<Bytes>,
    size: usize,
}

impl Journal {
    /// Begins to write.
    ///
    /// # Errors
    /// There is no thread.
    pub(super) fn start(
        sink: Box<dyn Sink>,
        choice: Choice,
        rules: Rules,
        labels: Labels,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let writer = Writer {
            sink,
            rules,
            labels,
            queue: Arc::clone(&queue),
            metrics: Arc::clone(&metrics),
            failed: Quota::of_server(FAILED),
        };
        thread::Builder::new().name("decision-log".to_owned()).spawn(move || writer.run())?;
        Ok(Self { choice, metrics, queue, full: Quota::of_server(FULL) })
    }

    /// Takes it if it is to be written, and if there is room.
    pub(super) fn offer(&self, event: &Arc<DecisionEvent>, input: Option<Bytes>) {
        if !event.is_denied() && !event.is_failed() && rand::random::<f64>() >= self.choice.sample {
            return;
        }
        // It would not be written, and must not push out others.
        let input = input.map(|it| if it.len() > MAX_INPUT { Bytes::new() } else { it });
        let size = event.size() + input.as_ref().map_or(0, Bytes::len);
        let mut waiting = self.queue.lock();
        if waiting.bytes + size > ROOM || waiting.closed {
            drop(waiting);
            self.metrics.decision_dropped("log", "queue");
            if self.full.takes() {
                error!("{FULL}");
            }
            return;
        }
        waiting.bytes += size;
        waiting.entries.push_back(Entry { event: Arc::clone(event), input, size });
        drop(waiting);
        self.queue.came.notify_one();
    }

    /// Bytes that it can take: what waits, and the review that is parsed just now.
    pub(super) fn most(&self) -> usize {
        ROOM + if self.choice.input { MAX_INPUT * PARSED } else { 0 }
    }

    /// Takes nothing any more, and waits until the rest is written, but not for ever.
    pub(super) fn close(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut waiting = self.queue.lock();
        waiting.closed = true;
        self.queue.came.notify_one();
        while !waiting.ended {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            waiting = self.queue.done.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.came.notify_one();
    }
}

/// On its own thread.
struct Writer {
    sink: Box<dyn Sink>,
    rules: Rules,
    labels: Labels,
    queue: Arc<Queue>,
    metrics: Arc<Metrics>,
    failed: Arc<Quota>,
}

impl Writer {
    fn run(mut self) {
        while let Some(entry) = self.queue.next() {
            let input = entry.input.map(|it| self.input(&it));
            let line = written::line(&entry.event.json(&self.labels, input));
            if let Err(error) = self.sink.write(&line) {
                self.metrics.decision_dropped("log", "failed");
                if self.failed.takes() {
                    error!(%error, "{FAILED}");
                }
            }
            self.queue.lock().bytes -= entry.size;
        }
        self.queue.lock().ended = true;
        self.queue.done.notify_all();
    }

    /// The review without what nobody may read; null where that is not sure, and of what was too large.
    fn input(&self, body: &[u8]) -> (Value, Redacted) {
        let erased = || (Value::Null, Redacted { erased: vec!["/input".to_owned()], masked: Vec::new() });
        let Ok(mut review) = serde_json::from_slice::<Value>(body) else { return erased() };
        let redacted = self.rules.review(&mut review, "/input");
        (review, redacted)
    }
}

impl Queue {
    /// The next entry, which still counts. None: there will be none.
    fn next(&self) -> Option<Entry> {
        let mut waiting = self.lock();
        loop {
            if let Some(entry) = waiting.entries.pop_front() {
                return Some(entry);
            }
            if waiting.closed {
                return None;
            }
            waiting = self.came.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const FULL: &str = "decisions are left out of the decision log: it is not written as fast as they come";
const FAILED: &str = "decisions are left out of the decision log: it cannot be written";
/// Bytes of decisions that wait to be written.
const ROOM: usize = 32 << 20;
/// Bytes of a review that is written.
const MAX_INPUT: usize = 1 << 20;
/// How many times as much it takes when it is parsed, and written out.
const PARSED: usize = 32;
