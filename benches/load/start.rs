//! How long it takes from the start of the process until it is ready, and what each policy keeps in memory.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::{
    scenarios::{numbered, required_labels},
    server::{self, Folder},
    support::processes::Process,
};

/// One number of policies.
#[derive(Serialize)]
pub(crate) struct Start {
    pub(crate) policies: usize,
    /// Whether each has settings of its own, and so code of its own where there are snapshots.
    pub(crate) own_settings: bool,
    /// With an empty cache.
    pub(crate) cold_milliseconds: f64,
    /// The median of [`WARM_STARTS`], from the cache that the cold start filled.
    pub(crate) warm_milliseconds: f64,
    /// When ready, started warm.
    pub(crate) resident_kib: u64,
    /// Of these, what no file backs.
    pub(crate) anonymous_kib: u64,
    /// Bytes in the cache.
    pub(crate) cache_kib: u64,
}

/// Of 1, 100 and 1,000 policies, and the names of those that would take longer than `budget` to start cold.
pub(crate) fn measure(folder: &Folder, budget: Duration) -> anyhow::Result<(Vec<Start>, Vec<String>)> {
    let (mut starts, mut skipped) = (Vec::new(), Vec::new());
    let mut each = Duration::ZERO;
    for (count, own) in [(1, true), (100, false), (1000, false), (100, true), (1000, true)] {
        let expected = each * u32::try_from(count).unwrap_or(u32::MAX);
        if own && expected > budget {
            skipped.push(format!(
                "the start of {count} policies with settings of their own: about {:.0} s to start cold, and --start-budget is {:.0} s",
                expected.as_secs_f64(),
                budget.as_secs_f64()
            ));
            continue;
        }
        let start = one(folder, count, own)?;
        if own && count > 1 {
            each = Duration::from_secs_f64(start.cold_milliseconds / 1000.0 / count as f64);
        }
        starts.push(start);
    }
    Ok((starts, skipped))
}

fn one(folder: &Folder, count: usize, own: bool) -> anyhow::Result<Start> {
    let name = format!("start-{count}-{}", if own { "own" } else { "shared" });
    let file = folder.path.join(format!("{name}.yaml"));
    let policies: String = (0..count)
        .map(|it| match own {
            true => numbered("start", it, "configmaps"),
            false => required_labels(&format!("start-{it}"), "configmaps", "^[0-9]{4}$"),
        })
        .collect();
    fs::write(&file, policies)?;
    let cache = folder.path.join(format!("{name}-cache"));
    let started = || -> anyhow::Result<(Duration, Process)> {
        let (https, admin) = (free()?, free()?);
        let command =
            server::verdict(folder, std::slice::from_ref(&file), &https.to_string(), &admin.to_string(), &cache);
        ready(&name, command, admin, &folder.path.join(format!("{name}.log")))
    };
    let (cold, process) = started()?;
    drop(process);
    let mut warm = Vec::new();
    let mut memory = (0, 0);
    for _ in 0..WARM_STARTS {
        let (took, process) = started()?;
        warm.push(took);
        memory = (status(process.id(), "VmRSS:")?, status(process.id(), "RssAnon:")?);
    }
    warm.sort();
    let start = Start {
        policies: count,
        own_settings: own,
        cold_milliseconds: milliseconds(cold),
        warm_milliseconds: milliseconds(warm[WARM_STARTS / 2]),
        resident_kib: memory.0,
        anonymous_kib: memory.1,
        cache_kib: size(&cache) >> 10,
    };
    eprintln!(
        "{name:>16}: ready after {:.0} ms cold, {:.0} ms warm, {} KiB resident",
        start.cold_milliseconds, start.warm_milliseconds, start.resident_kib
    );
    Ok(start)
}

/// Starts it and asks /readyz until it says yes.
fn ready(name: &str, command: Command, admin: SocketAddr, log: &Path) -> anyhow::Result<(Duration, Process)> {
    let begin = Instant::now();
    let mut process = Process::start(name, command, log);
    while !is_ready(admin) {
        if process.ended().is_some() || begin.elapsed() > START {
            bail!("{name} does not get ready\n{}", process.tail());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok((begin.elapsed(), process))
}

fn is_ready(admin: SocketAddr) -> bool {
    let asked = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(admin)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: verdict\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(&head == b"HTTP/1.1 200")
    };
    asked().unwrap_or(false)
}

/// An address that was free a moment ago.
fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A line of the process's status, KiB.
fn status(process: u32, name: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok()).with_context(|| format!("no {name}"))
}

/// Of all files below.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(it) if it.is_dir() => size(&entry.path()),
            Ok(it) => it.len(),
            Err(_) => 0,
        })
        .sum()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

const WARM_STARTS: usize = 3;
const START: Duration = Duration::from_secs(600);
