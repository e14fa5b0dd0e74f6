//! Two replicas for as long as asked: mixed reviews, other policies, other certificates, restarts, hostile policies and hostile callers.
//!
//! `cargo bench --bench soak -- --minutes 60`; see `benches/README.md`. Each answer is looked at: one that is lost or wrong ends the soak with
//! an error, at the end.

mod growth;
mod hostile;

#[allow(dead_code, unreachable_pub, reason = "the tests need more of it")]
#[allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "without servers nothing can be soaked")]
#[allow(clippy::needless_pass_by_value, reason = "as in the tests")]
#[path = "../../tests/support/mod.rs"]
mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::bail;
use clap::Parser as _;
use growth::Growth;
use hostile::Hostile;
use support::{
    processes::folder,
    replicas::{
        Replicas,
        traffic::{Question, Tally, Traffic, Way},
    },
};

#[derive(clap::Parser)]
#[command(
    name = "cargo bench --bench soak --",
    about = "Two replicas for as long as asked, and what was lost, wrong, or grew"
)]
struct Args {
    /// For how long.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// Callers for each of the six questions.
    #[arg(long, default_value_t = 2)]
    callers: usize,
    /// Milliseconds that a caller pauses after each answer.
    #[arg(long, default_value_t = 5)]
    pause: u64,
    /// So many other versions of the policies before one of the replicas is started anew; half as many before both get another certificate.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..))]
    reloads: u32,
    /// More flags for the servers.
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    flag: Vec<String>,
    /// As cargo passes it to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What happened to the replicas.
#[derive(Default)]
struct Events {
    reloads: u32,
    rotations: u32,
    restarts: u32,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if !args.bench {
        println!("nothing is soaked here: run cargo bench --bench soak");
        return Ok(());
    }
    let folder = folder("soak");
    println!("logs: {}", folder.display());
    let mut flags = vec!["--drain-delay=1s"];
    flags.extend(args.flag.iter().map(String::as_str));
    let mut replicas = Replicas::start(&folder, &hostile::policies(), &flags);
    let traffic =
        Traffic::start(&replicas, &Way::Direct, &Question::ALL, args.callers, Duration::from_millis(args.pause));
    let hostile = Hostile::start(&replicas);
    let mut growth = Growth::default();
    let mut events = Events::default();
    let (begun, time) = (Instant::now(), Duration::from_secs_f64(args.minutes * 60.0));
    while begun.elapsed() < time {
        replicas.reload();
        events.reloads += 1;
        growth.look(&replicas);
        if events.reloads % (args.reloads / 2) == 0 {
            replicas.rotate();
            events.rotations += 1;
        }
        if events.reloads % args.reloads == 0 {
            let number = (events.restarts % 2) as usize;
            growth.ends(number, &replicas);
            replicas.restart(number);
            events.restarts += 1;
        }
    }
    let took = begun.elapsed();
    let of_hostile = hostile.end();
    let tally = traffic.end();
    growth.ends(0, &replicas);
    growth.ends(1, &replicas);
    let report = report(took, &events, &tally, of_hostile, &growth);
    println!("{report}");
    fs::write(folder.join("report.md"), &report)?;
    if !tally.lost().is_empty() || !tally.wrong().is_empty() {
        bail!("answers were lost or wrong: see above");
    }
    Ok(())
}

fn report(took: Duration, events: &Events, tally: &Tally, of_hostile: hostile::Count, growth: &Growth) -> String {
    let mut lines = vec![
        "| | |".to_owned(),
        "|---|---|".to_owned(),
        format!("| time | {} s |", took.as_secs()),
        format!("| reloads, rotations, restarts | {}, {}, {} |", events.reloads, events.rotations, events.restarts),
        format!("| requests | {} |", tally.total()),
        format!("| wrong answers | {} |", tally.wrong().len()),
        format!("| lost answers | {} |", tally.lost().len()),
        format!("| slowest | {:?} |", tally.slowest()),
        format!("| asked of hostile policies; of them a verdict | {}; {} |", of_hostile.asked, of_hostile.answered),
        format!("| hostile connections | {} |", of_hostile.connections),
        format!("| peak memory of one server | {} MiB |", growth.peak() >> 20),
    ];
    lines.extend(tally.counts().iter().map(|(question, count)| format!("| {question:?} | {count} |")));
    lines.push(growth.table());
    let examples =
        |name: &'static str, all: Vec<String>| all.into_iter().take(20).map(move |it| format!("{name}: {it}"));
    lines.extend(examples("lost", tally.lost()).chain(examples("wrong", tally.wrong())));
    lines.join("\n")
}
