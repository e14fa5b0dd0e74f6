//! The servers under load, each a process of its own, and what they use of the machine.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use verdict::certs::Bundle;

use super::support::processes::Process;

/// Where certificates, policies, logs and the cache of a run are.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    _temporary: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let temporary = tempfile::Builder::new().prefix("verdict-bench-").tempdir()?;
        let path = temporary.path().to_owned();
        let bundle = Bundle::generate(&["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        let (certificate, key) = (path.join("tls.crt"), path.join("tls.key"));
        fs::write(&certificate, bundle.server.certificate)?;
        fs::write(&key, bundle.server.key)?;
        Ok(Self { path, certificate, key, _temporary: temporary })
    }

    /// The cache that all runs share, so that only the first compiles.
    pub(crate) fn cache(&self) -> PathBuf {
        self.path.join("cache")
    }
}

/// A running server. Ended on drop.
pub(crate) struct Server {
    process: Process,
    /// Where it answers reviews.
    pub(crate) https: SocketAddr,
}

impl Server {
    /// This program again, as the floor.
    pub(crate) fn floor(folder: &Folder) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env_clear().arg("floor").arg(&folder.certificate).arg(&folder.key);
        Self::announced("floor", command, folder)
    }

    /// `verdict serve` with these policies, ready.
    pub(crate) fn verdict(name: &str, folder: &Folder, policies: &str) -> anyhow::Result<Self> {
        let file = folder.path.join(format!("{name}.yaml"));
        fs::write(&file, policies)?;
        Self::verdict_with(name, folder, &file)
    }

    /// The same, from a file or folder of policies.
    pub(crate) fn verdict_with(name: &str, folder: &Folder, policies: &Path) -> anyhow::Result<Self> {
        let command = verdict(folder, &[policies.to_owned()], "127.0.0.1:0", "127.0.0.1:0", &folder.cache());
        Self::announced(name, command, folder)
    }

    /// A peer: a command line for a shell, and where it will answer.
    pub(crate) fn peer(name: &str, command_line: &str, https: SocketAddr, folder: &Folder) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", command_line]).env("TLS_CERT", &folder.certificate).env("TLS_KEY", &folder.key);
        let process = Process::start(name, command, &folder.path.join(format!("{name}.log")));
        Self { process, https }
    }

    /// Waits for the line of its log that says where it answers.
    fn announced(name: &str, command: Command, folder: &Folder) -> anyhow::Result<Self> {
        let log = folder.path.join(format!("{name}.log"));
        // Left by a run of the same name.
        let _ = fs::remove_file(&log);
        let mut process = Process::start(name, command, &log);
        let limit = Instant::now() + START;
        loop {
            if let Some(https) = address(&log) {
                return Ok(Self { process, https });
            }
            if process.ended().is_some() || Instant::now() > limit {
                bail!("{name} does not serve\n{}", process.tail());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// CPU time since it started.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu_of_group(self.process.id())
    }

    /// The end of what it printed.
    pub(crate) fn tail(&self) -> String {
        self.process.tail()
    }
}

/// The release binary, without any environment.
pub(crate) fn verdict(folder: &Folder, policies: &[PathBuf], bind: &str, admin: &str, cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
    command.env_clear().args(["serve", "--log-format=json", "--drain-delay=0s", "--grace=1s", "--bind", bind]);
    command.args(["--admin-bind", admin, "--tls-cert"]).arg(&folder.certificate).arg("--tls-key").arg(&folder.key);
    command.arg("--cache-dir").arg(cache);
    for file in policies {
        command.arg("--policies").arg(file);
    }
    command
}

fn address(log: &Path) -> Option<SocketAddr> {
    let text = fs::read_to_string(log).ok()?;
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.find_map(|line| line["https"].as_str()?.parse().ok())
}

/// Of all threads of all processes in the group that this process leads, from `schedstat`: nanoseconds, as the
/// scheduler counts them. What threads used that have ended is missing: none end under load.
fn cpu_of_group(leader: u32) -> anyhow::Result<Duration> {
    let mut nanoseconds = 0_u64;
    for process in fs::read_dir("/proc")?.flatten() {
        let Some(id) = process.file_name().to_str().and_then(|it| it.parse::<u32>().ok()) else { continue };
        if id != leader && group(id) != Some(leader) {
            continue;
        }
        let Ok(threads) = fs::read_dir(process.path().join("task")) else { continue };
        for thread in threads.flatten() {
            let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let first = text.split(' ').next().and_then(|it| it.parse::<u64>().ok());
            nanoseconds += first.context("this kernel keeps no schedstat")?;
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn group(id: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in brackets, may hold anything: state, parent and group follow it.
    text.rsplit_once(") ")?.1.split(' ').nth(2)?.parse().ok()
}

const START: Duration = Duration::from_secs(120);
