//! `verdict bench`: what one review takes in a policy, in each way of choosing its instance.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{Ended, Failed, load, runtime, terminal, tried::Tried};
use crate::{
    engine::run::Capacity,
    observe::{Metrics, Watch},
    policy::{Ask, Set},
    spec::{Instances, Interface, PolicySpec},
    text,
};

/// Asks the same review over and over, one at a time and on all cores, with instances as `init` left them (PerReview, the
/// default) and with instances that keep what reviews left (Reuse; never for authenticators). Nothing of HTTP is in
/// these times.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    tried: Tried,
    /// How many reviews each measurement has, instead of a time.
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    reviews: Option<u64>,
    /// How long each kind of instances is measured.
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One measurement. Times are in microseconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    instances: &'static str,
    /// Reviews at the same time.
    at_once: usize,
    reviews: usize,
    per_second: f64,
    p50: f64,
    p99: f64,
    mean: f64,
    /// Of these, to make the instance, and in the guest: means.
    instantiate: f64,
    guest: f64,
    /// Bytes that the instance of the hungriest policy has at the end.
    memory: usize,
    /// What came of the first review: one word for each policy that was asked.
    outcomes: Vec<&'static str>,
    /// Reviews in which a policy failed.
    failed: usize,
}

/// What one review took.
struct Sample {
    whole: Duration,
    instantiate: Duration,
    guest: Duration,
    memory: usize,
    failed: bool,
}

pub(super) fn run(args: &Args) -> Result<Ended, Failed> {
    let specs = args.tried.specs()?;
    let documents = args.tried.documents()?;
    let [document] = &documents[..] else {
        return Err(Failed::Usage(format!("expected one review to measure, got {}", documents.len())));
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (rows, note) = runtime()?.block_on(async {
        let mut rows = Vec::new();
        let mut note = None;
        for (name, instances) in [("PerReview", Instances::PerReview), ("Reuse", Instances::Reuse)] {
            let specs = specs.iter().map(|it| PolicySpec { instance_policy: instances, ..it.clone() }).collect();
            if instances == Instances::Reuse && note.is_some() {
                break;
            }
            let set = load(specs, Capacity::default(), &args.tried.cache, &Metrics::new()).await?;
            let review: Arc<str> = args.tried.review(&set, &document.json).map_err(Failed::Usage)?.into();
            if set.exports(Interface::Authentication) {
                note = Some("instances of authenticators are never used again: they see tokens");
            }
            let mut ways = vec![1];
            ways.extend((cores > 1).then_some(cores));
            let share = Duration::from_secs(args.seconds) / u32::try_from(ways.len()).unwrap_or(1);
            for at_once in ways {
                rows.push(measure(name, &set, &review, at_once, args.reviews.ok_or(share)).await?);
            }
        }
        Ok::<_, Failed>((rows, note))
    })?;
    if args.json {
        let report = serde_json::json!({"measurements": rows, "note": note});
        terminal::print(&text::json(&serde_json::to_string_pretty(&report)?));
    } else {
        print(&rows, note);
    }
    let failed = rows.iter().any(|it| it.failed > 0);
    Ok(if failed { Ended::No } else { Ended::Done })
}

/// `much` is a number of reviews, or a time.
async fn measure(
    name: &'static str,
    set: &Arc<Set>,
    review: &Arc<str>,
    at_once: usize,
    much: Result<u64, Duration>,
) -> Result<Row, Failed> {
    // The first tells whether it can be asked at all; the next fill caches and pools.
    let (first, outcomes) = ask(set, review).await?;
    let warm = Instant::now();
    while warm.elapsed() < WARM_UP.max(first.whole) {
        ask(set, review).await?;
    }
    let left = Arc::new(AtomicU64::new(much.unwrap_or(MAX_REVIEWS)));
    let begin = Instant::now();
    let end = much.err().map(|time| begin + time);
    let tasks: Vec<_> = (0..at_once)
        .map(|_| {
            let (set, review, left) = (Arc::clone(set), Arc::clone(review), Arc::clone(&left));
            tokio::spawn(async move {
                let mut samples = Vec::new();
                while end.is_none_or(|end| Instant::now() < end) && take(&left) {
                    samples.push(ask(&set, &review).await?.0);
                }
                Ok::<_, Failed>(samples)
            })
        })
        .collect();
    let mut samples = Vec::new();
    for task in tasks {
        samples.extend(task.await??);
    }
    let took = begin.elapsed();
    Ok(row(name, at_once, &samples, took, outcomes))
}

fn take(left: &AtomicU64) -> bool {
    left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

async fn ask(set: &Set, review: &str) -> Result<(Sample, Vec<&'static str>), Failed> {
    let watch = Watch::default();
    let begin = Instant::now();
    set.answer(Ask {
        raw: review,
        deadline: begin + PATIENCE,
        watch: Some(&watch),
        trail: None,
        now: None,
        audit: false,
    })
    .await?;
    let whole = begin.elapsed();
    let mut sample = Sample { whole, instantiate: Duration::ZERO, guest: Duration::ZERO, memory: 0, failed: false };
    let mut outcomes = Vec::new();
    for called in watch.take().into_iter().filter_map(|it| it.called) {
        sample.instantiate += called.usage.timing.instantiate;
        sample.guest += called.usage.timing.guest;
        sample.memory = sample.memory.max(called.usage.memory);
        sample.failed |= called.outcome.failure().is_some();
        outcomes.push(called.outcome.name());
    }
    Ok((sample, outcomes))
}

fn row(
    instances: &'static str,
    at_once: usize,
    samples: &[Sample],
    took: Duration,
    outcomes: Vec<&'static str>,
) -> Row {
    let count = samples.len().max(1) as f64;
    let mean = |part: fn(&Sample) -> Duration| micros(samples.iter().map(part).sum::<Duration>()) / count;
    let mut sorted: Vec<Duration> = samples.iter().map(|it| it.whole).collect();
    sorted.sort_unstable();
    let quantile = |percent: usize| {
        let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        micros(sorted.get(rank).copied().unwrap_or_default())
    };
    Row {
        instances,
        at_once,
        reviews: samples.len(),
        per_second: samples.len() as f64 / took.as_secs_f64(),
        p50: quantile(50),
        p99: quantile(99),
        mean: mean(|it| it.whole),
        instantiate: mean(|it| it.instantiate),
        guest: mean(|it| it.guest),
        memory: samples.iter().map(|it| it.memory).max().unwrap_or_default(),
        outcomes,
        failed: samples.iter().filter(|it| it.failed).count(),
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn print(rows: &[Row], note: Option<&str>) {
    if let Some(row) = rows.first() {
        let outcomes = if row.outcomes.is_empty() { "no policy is asked".to_owned() } else { row.outcomes.join(", ") };
        terminal::print(&format!("answer: {outcomes}\n"));
    }
    terminal::print("instances  at once  reviews/s      p50 µs   p99 µs  mean µs = start µs + guest µs + rest     MiB");
    for it in rows {
        let memory = it.memory as f64 / f64::from(1 << 20);
        terminal::print(&format!(
            "{:<9} {:>8} {:>10.0}  {:>10.1} {:>8.1} {:>8.1} {:>10.1} {:>10.1} {:>6.1} {:>7.1}",
            it.instances,
            it.at_once,
            it.per_second,
            it.p50,
            it.p99,
            it.mean,
            it.instantiate,
            it.guest,
            (it.mean - it.instantiate - it.guest).max(0.0),
            memory
        ));
    }
    let failed: usize = rows.iter().map(|it| it.failed).sum();
    if failed > 0 {
        terminal::print(&format!("\na policy failed in {failed} reviews: `verdict review` shows why"));
    }
    if let Some(note) = note {
        terminal::print(&format!("\nnote: {note}"));
    }
}

const WARM_UP: Duration = Duration::from_millis(100);
/// Far beyond what any review takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// Samples that are kept.
const MAX_REVIEWS: u64 = 10_000_000;
