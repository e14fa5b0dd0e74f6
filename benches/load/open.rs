//! Open loop: requests are due at fixed times, whatever the answers do, and each is timed from when it was due. So an
//! answer that comes late is counted for every request that had to wait for it, which a closed loop would hide.
//!
//! Threads and blocking sockets: tokio's timers are a millisecond wide, too wide for what is measured here.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, ensure};
use rustls::{ClientConnection, StreamOwned, pki_types::ServerName};

use super::{answer, client::Target, closed::Run, histogram::Histogram, server::Server};

/// What a run brought.
pub(crate) struct Open {
    pub(crate) run: Run,
    /// How much later than due requests were sent: because the connection waited for an answer, or because the
    /// caller's thread was late itself.
    pub(crate) late: Histogram,
    /// How long requests took from when they were sent.
    pub(crate) sent: Histogram,
}

/// `rate` requests a second over `connections`, for `time`.
pub(crate) fn run(
    server: &Server,
    target: &Target,
    connections: u16,
    rate: f64,
    time: Duration,
) -> anyhow::Result<Open> {
    let mut callers = Vec::new();
    for _ in 0..connections {
        let mut caller = Caller::open(target)?;
        for _ in 0..WARM_UP {
            caller.ask(target)?;
        }
        callers.push(caller);
    }
    let before = server.cpu()?;
    let start = Instant::now() + Duration::from_millis(10);
    let apart = Duration::from_secs_f64(f64::from(connections) / rate);
    let ended: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = callers
            .iter_mut()
            .zip(0_u32..)
            .map(|(caller, number)| {
                let first = start + apart * number / u32::from(connections);
                scope.spawn(move || caller.on_time(target, first, apart, start + time))
            })
            .collect();
        running.into_iter().map(|it| it.join().map_err(|_| anyhow!("a caller panicked"))).collect()
    });
    let elapsed = start.elapsed();
    let cpu = server.cpu()?.saturating_sub(before);
    let mut all = [Histogram::default(), Histogram::default(), Histogram::default()];
    for one in ended {
        for (sum, part) in all.iter_mut().zip(&one??) {
            sum.merge(part);
        }
    }
    let [latency, late, sent] = all;
    Ok(Open { run: Run { connections: usize::from(connections), elapsed, latency, cpu }, late, sent })
}

struct Caller {
    stream: StreamOwned<ClientConnection, TcpStream>,
    buffer: Vec<u8>,
}

impl Caller {
    fn open(target: &Target) -> anyhow::Result<Self> {
        let config = target.tls.as_ref().context("an open loop needs TLS")?;
        let connection = ClientConnection::new(Arc::clone(config), ServerName::from(target.address.ip()))?;
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream: StreamOwned::new(connection, stream), buffer: vec![0; 64 << 10] })
    }

    fn ask(&mut self, target: &Target) -> anyhow::Result<()> {
        self.stream.write_all(&target.request).context("sending")?;
        let mut filled = 0;
        loop {
            ensure!(filled < self.buffer.len(), "an answer is too long");
            let read = self.stream.read(&mut self.buffer[filled..]).context("receiving")?;
            ensure!(read > 0, "the server closed a connection");
            filled += read;
            if let Some(answer) = answer::parse(&self.buffer[..filled])? {
                ensure!(answer.whole == filled, "more came than the answer");
                return target.expected.check(&answer);
            }
        }
    }

    /// One request every `apart` from `first` to `end`: how long they took from when they were due, how much later they
    /// were sent, and how long they took from then.
    fn on_time(
        &mut self,
        target: &Target,
        first: Instant,
        apart: Duration,
        end: Instant,
    ) -> anyhow::Result<[Histogram; 3]> {
        let (mut latency, mut late, mut sent) = (Histogram::default(), Histogram::default(), Histogram::default());
        let mut due = first;
        while due < end {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let begin = Instant::now();
            self.ask(target)?;
            let answered = Instant::now();
            late.record(begin.saturating_duration_since(due));
            sent.record(answered - begin);
            latency.record(answered.saturating_duration_since(due));
            due += apart;
        }
        Ok([latency, late, sent])
    }
}

/// Requests on each connection before those that count.
const WARM_UP: usize = 200;
