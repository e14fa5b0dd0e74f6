//! One scenario after the other: starts its server, runs the load, notes what was found.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;

use super::{
    Args,
    answer::{Expected, Outcome},
    client::{Connection, Target},
    closed::{self, Run},
    open,
    report::{OpenRow, Report, Row},
    reviews,
    scenarios::{self, Scenario, Which},
    server::{Folder, Server},
};

/// One server with one kind of request.
pub(crate) struct Subject {
    name: String,
    what: String,
    server: Server,
    target: Arc<Target>,
}

/// Rounds of closed loops: in each, every subject once, the first before and after the others. So all are compared with
/// what the machine gave the first at the same time.
pub(crate) async fn group(
    args: &Args,
    subjects: &[Subject],
    connections: u16,
    report: &mut Report,
) -> anyhow::Result<()> {
    let time = Duration::from_secs_f64(args.seconds / f64::from(ROUNDS));
    let run = async |subject: &Subject| {
        let run = closed::run(&subject.server, &subject.target, usize::from(connections), time).await;
        run.with_context(|| format!("{}\n{}", subject.name, subject.server.tail()))
    };
    let Some((first, others)) = subjects.split_first() else { return Ok(()) };
    let mut base = Vec::new();
    let mut runs: Vec<Vec<Run>> = subjects.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        let mut before = run(first).await?;
        for (subject, runs) in others.iter().zip(&mut runs[1..]) {
            runs.push(run(subject).await?);
        }
        before.add(&run(first).await?);
        base.push(before.cpu_per_review());
        runs[0].push(before);
    }
    for (subject, runs) in subjects.iter().zip(&runs) {
        let row = Row::new(&subject.name, &subject.what, &first.name, runs, &base);
        if let Some(row) = row {
            eprintln!(
                "{:>16} {connections:>4} connections: {:>8.0} requests/s, {:>7.1} µs of CPU per review, {:.2} × {}",
                row.scenario, row.requests_per_second, row.server_cpu_microseconds, row.ratio, first.name
            );
            report.load.push(row);
        }
    }
    Ok(())
}

impl Subject {
    /// Started, and ready.
    pub(crate) fn start(scenario: &Scenario, folder: &Folder) -> anyhow::Result<Self> {
        let server = match scenario.server {
            Which::Floor => Server::floor(folder)?,
            Which::Verdict(policies) => Server::verdict(scenario.name, folder, &policies())?,
        };
        let body = (scenario.body)();
        let target = Target::new(server.https, scenario.path, &body, Expected::new(scenario.outcome))?;
        let what = format!("{}, {} bytes", scenario.what, body.len());
        Ok(Self { name: scenario.name.to_owned(), what, server, target: Arc::new(target) })
    }

    /// Verdict with the policies of a file, which allow the small ConfigMap.
    pub(crate) fn allowing(name: &str, what: &str, policies: &Path, folder: &Folder) -> anyhow::Result<Self> {
        let server = Server::verdict_with(name, folder, policies)?;
        let target = Target::new(server.https, "/validate", &reviews::config_map(), allowed())?;
        Ok(Self { name: name.to_owned(), what: what.to_owned(), server, target: Arc::new(target) })
    }
}

/// The logic of `one` in Go; an error says why it cannot be had.
pub(crate) fn go(args: &Args, folder: &Folder) -> anyhow::Result<Subject> {
    let component = match &args.go {
        Some(component) => component.canonicalize().with_context(|| component.display().to_string())?,
        None => build_go(folder)?,
    };
    let settings = scenarios::settings("^[0-9]{4}$");
    let policy = scenarios::validator("go", &format!("{{path: {}}}", component.display()), &settings, "configmaps", "");
    let file = folder.path.join("go-policy.yaml");
    std::fs::write(&file, policy)?;
    Subject::allowing("go", "one Go policy (required-labels-go)", &file, folder)
}

/// The policies that were given.
pub(crate) fn extra(policies: &Path, folder: &Folder) -> anyhow::Result<Subject> {
    Subject::allowing("extra", &policies.display().to_string(), policies, folder)
}

/// The peers that were given, ready.
pub(crate) async fn peers(args: &Args, folder: &Folder) -> anyhow::Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for ((command, url), name) in args.peer.iter().zip(&args.peer_url).zip(&args.peer_name) {
        let address = url.socket_addrs(|| None).with_context(|| url.to_string())?;
        let address: SocketAddr = *address.first().with_context(|| url.to_string())?;
        let server = Server::peer(name, command, address, folder);
        let mut target = Target::new(address, url.path(), &reviews::config_map(), allowed())?;
        let mut what = "a peer, the same review".to_owned();
        if url.scheme() == "http" {
            target.tls = None;
            what.push_str(", without TLS");
        }
        ready(&target).await.with_context(|| format!("{name} does not answer\n{}", server.tail()))?;
        subjects.push(Subject { name: name.clone(), what, server, target: Arc::new(target) });
    }
    Ok(subjects)
}

/// The floor and one policy at half of the highest rate that one policy reached. Then the same policy at a quarter, alone
/// and while others are compiled beside it: the callers share the machine, and a compiler leaves no core to themselves.
pub(crate) fn open(args: &Args, folder: &Folder, report: &mut Report) -> anyhow::Result<()> {
    let highest = report.load.iter().filter(|it| it.scenario == "one").map(|it| it.requests_per_second);
    let highest = highest.fold(0.0, f64::max);
    if highest == 0.0 {
        report.skipped.push("the open loop: its rate is half of the highest of `one`, which did not run".to_owned());
        return Ok(());
    }
    for (scenario, part, compiling) in [
        (&scenarios::FLOOR, 2.0, false),
        (&scenarios::ONE, 2.0, false),
        (&scenarios::ONE, 4.0, false),
        (&scenarios::ONE, 4.0, true),
    ] {
        let Subject { server, target, .. } = &Subject::start(scenario, folder)?;
        let rate = highest / part;
        let name = if compiling { "one, while compiling" } else { scenario.name };
        let beside = compiling.then(|| Compiling::start(folder)).transpose()?;
        let time = Duration::from_secs_f64(args.seconds);
        let found = tokio::task::block_in_place(|| open::run(server, target, args.connections, rate, time));
        beside.map_or(Ok(()), Compiling::stop)?;
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

/// Compiles policies beside the server, until dropped.
struct Compiling(Child);

impl Compiling {
    fn start(folder: &Folder) -> anyhow::Result<Self> {
        // More than there is time for, so that it is one process from begin to end.
        let policies: String = (0..1000).map(|it| scenarios::numbered("compiled", it, "configmaps")).collect();
        let file = folder.path.join("compiled.yaml");
        std::fs::write(&file, policies)?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
        command.arg("compile").arg(&file).arg("--cache-dir").arg(folder.path.join("compiled"));
        command.env_clear().stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().context("verdict compile")?))
    }

    /// Whether it went on to the end.
    fn stop(mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.0.try_wait()?.is_none(), "nothing was compiled beside the load");
        Ok(())
    }
}

impl Drop for Compiling {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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

/// Of each closed loop.
const ROUNDS: u32 = 3;
