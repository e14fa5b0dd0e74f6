//! Closed loop: every connection sends its next request as soon as it has the answer to the last.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    client::{Connection, Target},
    histogram::Histogram,
    server::Server,
};

/// What a run brought.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) connections: usize,
    pub(crate) elapsed: Duration,
    pub(crate) latency: Histogram,
    /// Of the server, all of its threads and children.
    pub(crate) cpu: Duration,
}

impl Run {
    /// Another run of the same.
    pub(crate) fn add(&mut self, other: &Self) {
        self.elapsed += other.elapsed;
        self.latency.merge(&other.latency);
        self.cpu += other.cpu;
    }

    /// Requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.latency.count() as f64 / self.elapsed.as_secs_f64()
    }

    /// Microseconds of the server's CPU for one review.
    pub(crate) fn cpu_per_review(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / (self.latency.count().max(1)) as f64
    }
}

/// Connects, warms up, and measures for `time`. Handshakes and warm-up are not measured.
pub(crate) async fn run(
    server: &Server,
    target: &Arc<Target>,
    connections: usize,
    time: Duration,
) -> anyhow::Result<Run> {
    let mut warming = JoinSet::new();
    for _ in 0..connections {
        let target = Arc::clone(target);
        warming.spawn(async move {
            let mut connection = Connection::open(&target).await?;
            let end = Instant::now() + WARM_UP;
            while Instant::now() < end {
                connection.ask(&target).await?;
            }
            anyhow::Ok(connection)
        });
    }
    let mut warm = Vec::new();
    while let Some(connection) = warming.join_next().await {
        warm.push(connection??);
    }

    let before = server.cpu()?;
    let start = Instant::now();
    let end = start + time;
    let mut asking = JoinSet::new();
    for mut connection in warm {
        let target = Arc::clone(target);
        asking.spawn(async move {
            let mut latency = Histogram::default();
            let mut now = Instant::now();
            while now < end {
                connection.ask(&target).await?;
                let answered = Instant::now();
                latency.record(answered - now);
                now = answered;
            }
            // The connection is closed after the CPU was read.
            anyhow::Ok((connection, latency))
        });
    }
    let mut latency = Histogram::default();
    let mut open = Vec::new();
    while let Some(ended) = asking.join_next().await {
        let (connection, one) = ended??;
        latency.merge(&one);
        open.push(connection);
    }
    let elapsed = start.elapsed();
    let cpu = server.cpu()?.saturating_sub(before);
    drop(open);
    Ok(Run { connections, elapsed, latency, cpu })
}

const WARM_UP: Duration = Duration::from_millis(300);
