//! One scenario after the other: starts its server, runs the load, notes what was found.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;

use super::{
    Args,
    answer::{Expected, Outcome},
    client::{Connection, Target},
    closed, machine, open,
    report::{OpenRow, Report, Row},
    reviews,
    scenarios::{self, Scenario, Which},
    server::{Folder, Server},
};

/// What runs share.
pub(crate) struct Bench<'a> {
    args: &'a Args,
    folder: &'a Folder,
    pub(crate) report: Report,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(args: &'a Args, folder: &'a Folder) -> Self {
        Self { args, folder, report: Report { machine: machine::describe(), ..Report::default() } }
    }

    /// A closed loop.
    pub(crate) async fn closed(
        &mut self,
        scenario: &Scenario,
        compared_with: &str,
        connections: u16,
    ) -> anyhow::Result<()> {
        let (server, target) = start(scenario, self.folder)?;
        self.run(scenario.name, scenario.what, compared_with, &server, target, connections).await
    }

    /// The logic of `one` in Go, if there is a component or the means to build one.
    pub(crate) async fn go(&mut self) -> anyhow::Result<()> {
        let component = match &self.args.go {
            Some(component) => component.canonicalize().with_context(|| component.display().to_string())?,
            None => match build_go(self.folder) {
                Ok(component) => component,
                Err(why) => {
                    self.report.skipped.push(format!("one Go policy: {why:#}"));
                    return Ok(());
                }
            },
        };
        let settings = scenarios::settings("^[0-9]{4}$");
        let policy = scenarios::validator("go", &component.display().to_string(), &settings, "configmaps", "");
        let server = Server::verdict("go", self.folder, &policy)?;
        let target = Target::new(server.https, "/validate", &reviews::config_map(), allowed())?;
        self.run("go", "one Go policy (required-labels-go)", "floor", &server, target, self.args.connections).await
    }

    /// The policies that were given.
    pub(crate) async fn extra(&mut self) -> anyhow::Result<()> {
        let Some(path) = &self.args.policies else { return Ok(()) };
        let server = Server::verdict_with("extra", self.folder, path)?;
        let target = Target::new(server.https, "/validate", &reviews::config_map(), allowed())?;
        self.run("extra", &path.display().to_string(), "floor", &server, target, self.args.connections).await
    }

    /// The peers that were given.
    pub(crate) async fn peers(&mut self) -> anyhow::Result<()> {
        let args = self.args;
        for ((command, url), name) in args.peer.iter().zip(&args.peer_url).zip(&args.peer_name) {
            let address = url.socket_addrs(|| None).with_context(|| url.to_string())?;
            let address: SocketAddr = *address.first().with_context(|| url.to_string())?;
            let server = Server::peer(name, command, address, self.folder);
            let mut target = Target::new(address, url.path(), &reviews::config_map(), allowed())?;
            if url.scheme() == "http" {
                target.tls = None;
            }
            ready(&target).await.with_context(|| format!("{name} does not answer\n{}", server.tail()))?;
            let what =
                if target.tls.is_some() { "a peer, the same review" } else { "a peer, the same review, without TLS" };
            self.run(name, what, "floor", &server, target, args.connections).await?;
        }
        Ok(())
    }

    async fn run(
        &mut self,
        name: &str,
        what: &str,
        compared_with: &str,
        server: &Server,
        target: Target,
        connections: u16,
    ) -> anyhow::Result<()> {
        let time = Duration::from_secs_f64(self.args.seconds);
        let run = closed::run(server, &Arc::new(target), usize::from(connections), time)
            .await
            .with_context(|| format!("{name}\n{}", server.tail()))?;
        eprintln!(
            "{name:>16} {connections:>4} connections: {:>8.0} requests/s, {:>7.1} µs of CPU per review",
            run.rate(),
            run.cpu_per_review()
        );
        self.report.load.push(Row::new(name, what, compared_with, &run));
        Ok(())
    }
}

/// The floor and one policy at half of the highest rate that one policy reached; then the same policy while others
/// are compiled beside it.
pub(crate) async fn open(args: &Args, folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    let highest = report.load.iter().filter(|it| it.scenario == "one").map(|it| it.requests_per_second);
    let rate = highest.fold(0.0, f64::max) / 2.0;
    if rate == 0.0 {
        report.skipped.push("the open loop: its rate is half of the highest of `one`, which did not run".to_owned());
        return Ok(());
    }
    for (scenario, compiling) in [(&scenarios::FLOOR, false), (&scenarios::ONE, false), (&scenarios::ONE, true)] {
        let (server, target) = start(scenario, folder)?;
        let name = if compiling { "one, while compiling" } else { scenario.name };
        let beside = compiling.then(|| Compiling::start(folder)).transpose()?;
        let time = Duration::from_secs_f64(args.seconds);
        let found = tokio::task::block_in_place(|| open::run(&server, &target, args.connections, rate, time));
        drop(beside);
        let found = found.with_context(|| format!("{name}, open loop\n{}", server.tail()))?;
        let row = OpenRow::new(name, rate, &found);
        eprintln!(
            "{name:>16} at {rate:.0}/s: p99 {:.0} µs, p99.9 {:.0} µs",
            row.p99_microseconds, row.p999_microseconds
        );
        report.open.push(row);
    }
    Ok(())
}

/// Compiles policies over and over in niced processes, until dropped.
struct Compiling {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Compiling {
    fn start(folder: &Folder) -> anyhow::Result<Self> {
        let policies: String = (0..4).map(|it| scenarios::numbered("compiled", it, "configmaps")).collect();
        let file = folder.path.join("compiled.yaml");
        std::fs::write(&file, policies)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let mut command = Command::new("nice");
                command.args(["-n", "19", env!("CARGO_BIN_EXE_verdict"), "check"]).arg(&file).env_clear();
                let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
                if !ended.is_ok_and(|it| it.success()) {
                    eprintln!("nothing was compiled beside the load");
                    return;
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Compiling {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn start(scenario: &Scenario, folder: &Folder) -> anyhow::Result<(Server, Target)> {
    let server = match scenario.server {
        Which::Floor => Server::floor(folder)?,
        Which::Verdict(policies) => Server::verdict(scenario.name, folder, &policies())?,
    };
    let target = Target::new(server.https, scenario.path, &(scenario.body)(), Expected::new(scenario.outcome))?;
    Ok((server, target))
}

fn allowed() -> Expected {
    Expected::new(Outcome::Allowed)
}

/// The Go example, by `verdict build`.
fn build_go(folder: &Folder) -> anyhow::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/required-labels-go");
    anyhow::ensure!(source.is_dir(), "policies/required-labels-go is not there, and --go was not given");
    let component = folder.path.join("required-labels-go.wasm");
    let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
    let output = command.arg("build").arg(&source).arg("-o").arg(&component).output()?;
    let words = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "verdict build failed: {}", words.lines().next().unwrap_or_default());
    Ok(component)
}

/// Waits until it gives the expected verdict.
async fn ready(target: &Target) -> anyhow::Result<()> {
    let limit = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let asked = async { Connection::open(target).await?.ask(target).await };
        match asked.await {
            Err(error) if tokio::time::Instant::now() > limit => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Ok(()) => return Ok(()),
        }
    }
}
