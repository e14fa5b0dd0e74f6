//! Verdict under load, over real TLS on loopback, beside a fixed minimal server in the same run.
//!
//! `cargo bench --bench load -- [flags]`; see `benches/README.md`. Every answer is checked: a wrong verdict ends the
//! bench with an error.

#![allow(clippy::cast_precision_loss, reason = "these are measurements")]

mod answer;
mod bench;
mod client;
mod closed;
mod floor;
mod histogram;
mod limits;
mod machine;
mod open;
mod protocols;
mod report;
mod reviews;
mod scenarios;
mod server;
mod start;
mod support;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context as _;
use bench::Subject;
use clap::Parser as _;
use report::Report;
use scenarios::{FLOOR, Scenario};
use server::Folder;

#[derive(clap::Parser)]
#[command(name = "cargo bench --bench load --", about = "Verdict under load, beside a fixed minimal server")]
struct Args {
    /// Seconds of each scenario, split into rounds.
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Keep-alive connections, where a scenario does not say otherwise.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Only these: none, one, reuse, ten, authentication, authorization, mutation, go, large, connections, thousand, open, start,
    /// limits. The floor always runs.
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// One more scenario, `extra`: these policies, which must allow the small ConfigMap.
    #[arg(long)]
    policies: Option<PathBuf>,
    /// A peer: a command line for a shell, which finds a certificate and a key in $TLS_CERT and $TLS_KEY. Repeatable.
    #[arg(long)]
    peer: Vec<String>,
    /// Where the peer answers the AdmissionReview of `one`, for example https://127.0.0.1:3000/validate/labels.
    #[arg(long)]
    peer_url: Vec<url::Url>,
    /// What the peer is called.
    #[arg(long)]
    peer_name: Vec<String>,
    /// A component that does what required-labels does, written in Go. Otherwise built from policies/required-labels-go.
    #[arg(long)]
    go: Option<PathBuf>,
    /// Seconds that a cold start of many policies with settings of their own may be expected to take, else it is skipped.
    #[arg(long, default_value_t = 30)]
    start_budget: u64,
    /// Write the results here, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the results here, as Markdown; they are printed in any case.
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// As cargo passes it to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|it| (0.1..=60.0).contains(it)).ok_or_else(|| "expected 0.1 to 60".to_owned())
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    if let [_, word, certificate, key] = words.as_slice()
        && word == "floor"
    {
        return floor::run(certificate.as_ref(), key.as_ref());
    }
    let args = Args::parse();
    if !args.bench {
        println!("nothing is measured here: run cargo bench --bench load");
        return Ok(());
    }
    anyhow::ensure!(
        args.peer.len() == args.peer_url.len() && args.peer.len() == args.peer_name.len(),
        "each --peer needs a --peer-url and a --peer-name"
    );
    if let Some(unknown) = args.scenarios.iter().find(|it| !SCENARIOS.contains(&it.as_str())) {
        anyhow::bail!("--scenarios: there is no {unknown}; there are {}", SCENARIOS.join(", "));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(measure(&args))?;
    let markdown = report.markdown();
    println!("\n{markdown}");
    if let Some(path) = &args.markdown {
        fs::write(path, &markdown).with_context(|| path.display().to_string())?;
    }
    if let Some(path) = &args.json {
        fs::write(path, serde_json::to_string_pretty(&report)?).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

async fn measure(args: &Args) -> anyhow::Result<Report> {
    let folder = Folder::new()?;
    let mut report = Report { machine: machine::describe(), ..Report::default() };
    let wanted = |name: &str| args.scenarios.is_empty() || args.scenarios.iter().any(|it| it == name);
    let start = |scenario: &Scenario| Subject::start(scenario, &folder);

    let mut subjects = vec![start(&FLOOR)?];
    for scenario in scenarios::SIMPLE.iter().filter(|it| wanted(it.name)) {
        subjects.push(start(scenario)?);
    }
    if wanted("go") {
        match bench::go(args, &folder) {
            Ok(subject) => subjects.push(subject),
            Err(why) => report.skipped.push(format!("one Go policy: {why:#}")),
        }
    }
    if let Some(policies) = &args.policies {
        subjects.push(bench::extra(policies, &folder)?);
    }
    subjects.extend(bench::peers(args, &folder).await?);
    bench::group(args, &subjects, args.connections, &mut report).await?;
    drop(subjects);

    if wanted("protocols") {
        let (of_protocols, skipped) = protocols::subjects(&folder)?;
        let subjects: Vec<Subject> = [start(&FLOOR)?].into_iter().chain(of_protocols).collect();
        report.skipped.extend(skipped);
        bench::group(args, &subjects, args.connections, &mut report).await?;
    }
    if wanted("large") {
        let subjects = [start(&scenarios::LARGE_FLOOR)?, start(&scenarios::LARGE)?];
        bench::group(args, &subjects, args.connections, &mut report).await?;
    }
    if wanted("connections") {
        let subjects = [start(&FLOOR)?, start(&scenarios::ONE)?];
        for connections in CONNECTIONS.into_iter().filter(|it| *it != args.connections) {
            bench::group(args, &subjects, connections, &mut report).await?;
        }
    }
    if wanted("thousand") {
        let subjects = [start(&scenarios::FIVE)?, start(&scenarios::THOUSAND)?];
        bench::group(args, &subjects, args.connections, &mut report).await?;
    }
    if wanted("open") {
        bench::open(args, &folder, &mut report)?;
    }
    if wanted("start") {
        let (starts, skipped) = start::measure(&folder, Duration::from_secs(args.start_budget))?;
        report.start = starts;
        report.skipped.extend(skipped);
    }
    if wanted("limits") {
        report.limits = limits::measure(&folder, 30).await?;
    }
    Ok(report)
}

const CONNECTIONS: [u16; 5] = [1, 4, 16, 64, 256];
const SCENARIOS: [&str; 15] = [
    "none",
    "one",
    "reuse",
    "ten",
    "authentication",
    "authorization",
    "mutation",
    "go",
    "protocols",
    "large",
    "connections",
    "thousand",
    "open",
    "start",
    "limits",
];
