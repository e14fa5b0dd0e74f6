//! Where admission runs: on threads of its own, so that logins are never behind it.
//!
//! A small request gets one short turn on its connection's thread first: most are answered in it, and a change of threads
//! would cost more than they do.

use std::{panic, sync::OnceLock, time::Instant};

use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinError, JoinHandle},
    time::timeout_at,
};
use tracing::error;

use crate::turn::Turns;

/// Threads, made when they are first needed.
#[derive(Default)]
pub(super) struct Lane(OnceLock<Option<Runtime>>);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotRun {
    /// Everything before it took too long.
    TooLate,
    /// The system gives no threads.
    NoThreads,
}

impl Lane {
    /// Runs `work`, which ends by itself in time unless these threads are late; nobody waits longer than until `latest`.
    /// It is dropped with this future.
    ///
    /// `large`: it takes long for sure, so it does not begin on this thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        large: bool,
        latest: Instant,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, NotRun> {
        let mut work = Turns::new(work, !large);
        if !large {
            work = match work.first().await {
                Ok(answer) => return Ok(answer),
                Err(rest) => rest,
            };
        }
        let runtime = self.0.get_or_init(threads).as_ref().ok_or(NotRun::NoThreads)?;
        let mut task = Task(runtime.spawn(work));
        match timeout_at(latest.into(), &mut task.0).await {
            Ok(ended) => ended.map_err(resume),
            Err(_) => Err(NotRun::TooLate),
        }
    }
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
        if let Some(Some(runtime)) = self.0.take() {
            // Not waited for: this may be a thread that must not wait.
            runtime.shutdown_background();
        }
    }
}

fn threads() -> Option<Runtime> {
    let made = Builder::new_multi_thread().thread_name("admission").enable_all().build();
    made.inspect_err(|error| error!(%error, "there are no threads for admission")).ok()
}

/// A panic goes on where it is waited for. Nobody else aborts the task; the runtime does when it ends.
fn resume(error: JoinError) -> NotRun {
    match error.try_into_panic() {
        Ok(reason) => panic::resume_unwind(reason),
        Err(_) => NotRun::TooLate,
    }
}
