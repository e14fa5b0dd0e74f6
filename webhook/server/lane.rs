//! Where reviews run: each lane on threads of its own, with a queue that is bounded by time.
//!
//! A small request gets one short turn on its connection's thread first, where its lane has nothing to do: most are answered in it, and a change
//! of threads would cost more than they do. Where a lane has more work before it than a request can wait for, the request is refused at once.

use std::{
    future::poll_fn,
    panic,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use prometheus::{IntCounter, IntGauge};
use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinError, JoinHandle},
    time::timeout_at,
};
use tracing::{error, warn};

use crate::{
    observe::{Metrics, flood::Quota},
    spec,
    turn::Turns,
};

/// One lane, with its threads from the beginning on: later there may be none to be had.
pub(super) struct Lane {
    lane: spec::Lane,
    /// None: the system gave none, and reviews run on the threads of their connections.
    threads: Option<Runtime>,
    load: Arc<Load>,
    refused: IntCounter,
    /// Lines of the log about those.
    told: Arc<Quota>,
}

/// What a lane has before it.
struct Load {
    /// Threads.
    size: usize,
    /// Reviews that are whole and not yet answered.
    inside: AtomicUsize,
    /// How long a thread worked for one of the last, on average: microseconds.
    work: AtomicU64,
    /// The longest that one may have to wait for the others.
    longest: Duration,
    gauge: IntGauge,
}

/// A review that is in its lane.
pub(super) struct Inside(Arc<Load>);

/// There is no answer: everything before it took too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLate;

/// The lane has more to do than this review can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Lane {
    /// `longest`: see [`Load`].
    pub(super) fn new(lane: spec::Lane, longest: Duration, metrics: &Metrics) -> Self {
        let size = thread::available_parallelism().map_or(1, usize::from);
        let load = Load {
            size,
            inside: AtomicUsize::new(0),
            work: AtomicU64::new(0),
            longest,
            gauge: metrics.lane_reviews(lane),
        };
        Self {
            lane,
            threads: threads(lane),
            load: Arc::new(load),
            refused: metrics.lane_refused(lane),
            told: Quota::of_server(REFUSED),
        }
    }

    /// Whether one more would wait too long that must be answered within `left`: a quarter of that is for itself. Asked before its body is read.
    pub(super) fn check(&self, left: Duration) -> Result<(), Full> {
        if self.load.wait() <= self.load.longest.min(left - left / 4) {
            return Ok(());
        }
        self.refused.inc();
        if self.told.takes() {
            warn!(lane = self.lane.name(), "{REFUSED}");
        }
        Err(Full)
    }

    /// One more, whose body is whole.
    pub(super) fn enter(&self, left: Duration) -> Result<Inside, Full> {
        self.check(left)?;
        self.load.inside.fetch_add(1, Ordering::Relaxed);
        self.load.gauge.inc();
        Ok(Inside(Arc::clone(&self.load)))
    }

    /// Runs `work`, which ends by itself in time unless these threads are late; nobody waits longer than until `latest`.
    /// It is dropped with this future.
    ///
    /// `large`: it takes long for sure, so it does not begin on this thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        inside: Inside,
        large: bool,
        latest: Instant,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, TooLate> {
        let borrows = !large && self.load.inside.load(Ordering::Relaxed) <= self.load.size;
        let mut work = Turns::new(timed(work, inside), borrows);
        if borrows {
            work = match work.first().await {
                Ok(answer) => return Ok(answer),
                Err(rest) => rest,
            };
        }
        let Some(runtime) = &self.threads else {
            return timeout_at(latest.into(), work).await.map_err(|_| TooLate);
        };
        let mut task = Task(runtime.spawn(work));
        match timeout_at(latest.into(), &mut task.0).await {
            Ok(ended) => ended.map_err(resume),
            Err(_) => Err(TooLate),
        }
    }
}

impl Load {
    /// What one more would have to wait for the others: only work counts, not what sleeps or waits for a place.
    fn wait(&self) -> Duration {
        let inside = self.inside.load(Ordering::Relaxed).saturating_sub(self.size);
        let work = self.work.load(Ordering::Relaxed).saturating_mul(inside as u64);
        Duration::from_micros(work / self.size as u64)
    }
}

impl Inside {
    /// A thread worked so long for it.
    fn worked(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let before = self.0.work.load(Ordering::Relaxed);
        // Others may write between these two: an average may miss one of them.
        self.0.work.store(before - before / WEIGHT + time / WEIGHT, Ordering::Relaxed);
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::Relaxed);
        self.0.gauge.dec();
    }
}

/// Measures how long threads work for it, until it ends or is dropped.
async fn timed<F: Future>(work: F, inside: Inside) -> F::Output {
    struct Time(Inside, Duration);
    impl Drop for Time {
        fn drop(&mut self) {
            self.0.worked(self.1);
        }
    }
    let mut time = Time(inside, Duration::ZERO);
    let mut work = pin!(work);
    poll_fn(|context| {
        let begun = Instant::now();
        let polled = work.as_mut().poll(context);
        time.1 += begun.elapsed();
        polled
    })
    .await
}

/// A task that ends with whoever waits for it: its guest stops, and what it holds is free.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(runtime) = self.threads.take() {
            // Not waited for: this may be a thread that must not wait.
            runtime.shutdown_background();
        }
    }
}

fn threads(lane: spec::Lane) -> Option<Runtime> {
    let name = lane.name();
    let made = Builder::new_multi_thread()
        .thread_name(name)
        // Of one thread, whatever it is called: that is how Linux has it. Where it is refused, all are alike.
        .on_thread_start(move || {
            let _ = rustix::process::setpriority_process(None, lane.nice());
        })
        .enable_all()
        .build();
    made.inspect_err(|error| error!(%error, lane = name, "there are no threads for a lane")).ok()
}

/// A panic goes on where it is waited for. Nobody else aborts the task; the runtime does when it ends.
fn resume(error: JoinError) -> TooLate {
    match error.try_into_panic() {
        Ok(reason) => panic::resume_unwind(reason),
        Err(_) => TooLate,
    }
}

/// The last so many count.
const WEIGHT: u64 = 16;
const REFUSED: &str = "the server is busy: reviews are refused at once, with status 503";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_would_wait_too_long_is_refused_and_only_work_counts() {
        let lane = Lane::new(spec::Lane::Admission, Duration::from_millis(500), &Metrics::new());
        let size = lane.load.size;
        let long = Duration::from_secs(10);
        // Nothing is known of how long they take, or they only sleep.
        let asleep: Vec<_> = (0..1000).map(|_| lane.enter(long).unwrap()).collect();
        drop(asleep);
        let worked = || (0..200).for_each(|_| Inside(Arc::clone(&lane.load)).worked(Duration::from_millis(50)));
        lane.load.inside.fetch_add(200, Ordering::Relaxed);
        worked();
        // As many as there are threads run; ten more for each thread, of 50 ms each, may wait.
        let mut inside = Vec::new();
        while let Ok(one) = lane.enter(long) {
            inside.push(one);
        }
        assert!((size * 11..=size * 12 + 1).contains(&inside.len()), "{} on {size}", inside.len());
        assert!((0..100).all(|_| lane.check(long).is_err()));
        assert_eq!(lane.refused.get(), 101);
        // Who has less time waits less.
        inside.truncate(size * 4);
        assert!(lane.check(Duration::from_millis(800)).is_ok() && lane.check(Duration::from_millis(100)).is_err());
        inside.clear();
        assert!(lane.check(Duration::ZERO).is_ok(), "nobody is before it");
    }
}
