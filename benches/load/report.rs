//! What was found, as Markdown for people and as JSON for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::{closed::Run, limits::Limit, open::Open, start::Start};

/// All of one invocation.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Vec<(String, String)>,
    pub(crate) load: Vec<Row>,
    pub(crate) open: Vec<OpenRow>,
    pub(crate) start: Vec<Start>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) skipped: Vec<String>,
}

/// The rounds of one scenario together.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) scenario: String,
    pub(crate) what: String,
    pub(crate) connections: usize,
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_microseconds: f64,
    pub(crate) p99_microseconds: f64,
    pub(crate) p999_microseconds: f64,
    /// The median of the rounds, for one review.
    pub(crate) server_cpu_microseconds: f64,
    /// The least and the most of the rounds.
    pub(crate) server_cpu_range: [f64; 2],
    /// The scenario whose CPU is 1.0 for this one.
    pub(crate) compared_with: String,
    /// The median of the rounds, each against that scenario in the same round.
    pub(crate) ratio: f64,
    /// The least and the most of the rounds.
    pub(crate) ratio_range: [f64; 2],
}

/// An open-loop run. Latency counts from when a request was due.
#[derive(Serialize)]
pub(crate) struct OpenRow {
    pub(crate) scenario: String,
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_microseconds: f64,
    pub(crate) p99_microseconds: f64,
    pub(crate) p999_microseconds: f64,
    pub(crate) max_microseconds: f64,
    /// How much later than due requests were sent.
    pub(crate) late_p99_microseconds: f64,
    /// From when they were sent.
    pub(crate) sent_p999_microseconds: f64,
    pub(crate) server_cpu_microseconds: f64,
}

impl OpenRow {
    pub(crate) fn new(scenario: &str, rate: f64, open: &Open) -> Self {
        let latency = &open.run.latency;
        Self {
            scenario: scenario.to_owned(),
            requests: latency.count(),
            requests_per_second: rate,
            p50_microseconds: latency.quantile(0.5),
            p99_microseconds: latency.quantile(0.99),
            p999_microseconds: latency.quantile(0.999),
            max_microseconds: latency.max(),
            late_p99_microseconds: open.late.quantile(0.99),
            sent_p999_microseconds: open.sent.quantile(0.999),
            server_cpu_microseconds: open.run.cpu_per_review(),
        }
    }
}

impl Row {
    /// `rounds` and `base` are as many runs, `base` those that this is compared with.
    pub(crate) fn new(name: &str, what: &str, compared_with: &str, rounds: &[Run], base: &[f64]) -> Option<Self> {
        let (first, rest) = rounds.split_first()?;
        let mut all = first.clone();
        for round in rest {
            all.add(round);
        }
        let cpu: Vec<f64> = rounds.iter().map(Run::cpu_per_review).collect();
        let ratios: Vec<f64> = cpu.iter().zip(base).map(|(cpu, base)| cpu / base).collect();
        Some(Self {
            scenario: name.to_owned(),
            what: what.to_owned(),
            connections: all.connections,
            requests: all.latency.count(),
            requests_per_second: all.rate(),
            p50_microseconds: all.latency.quantile(0.5),
            p99_microseconds: all.latency.quantile(0.99),
            p999_microseconds: all.latency.quantile(0.999),
            server_cpu_microseconds: median(&cpu),
            server_cpu_range: range(&cpu),
            compared_with: compared_with.to_owned(),
            ratio: median(&ratios),
            ratio_range: range(&ratios),
        })
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn range(values: &[f64]) -> [f64; 2] {
    [values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(0.0, f64::max)]
}

impl Report {
    /// Tables.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.machine {
            let _ = writeln!(text, "- {name}: {value}");
        }
        let header = "scenario | | connections | requests/s | p50 | p99 | p99.9 | server CPU per review | ratio";
        table(&mut text, "Closed loop", header, self.load.iter().map(load_line));
        let header = "scenario | requests/s | p50 | p99 | p99.9 | longest | p99.9 from when sent | sent late, p99 | server CPU per review";
        table(&mut text, "Open loop, timed from when each request was due", header, self.open.iter().map(open_line));
        let header = "policies | settings | ready, cold | ready, from the cache | cache | resident | of it anonymous | resident for each further policy";
        let base = self.start.first();
        table(&mut text, "Start", header, self.start.iter().map(|it| start_line(it, base)));
        let header = "a limit of 100 ms, | shortest | p50 | longest | reviews";
        table(&mut text, "Limits", header, self.limits.iter().map(limit_line));
        if !self.skipped.is_empty() {
            text.push_str("\nSkipped:\n");
        }
        for skipped in &self.skipped {
            let _ = writeln!(text, "- {skipped}");
        }
        text
    }
}

/// Nothing where there are no lines.
fn table(text: &mut String, title: &str, header: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    let rule = header.split('|').map(|_| "---").collect::<Vec<_>>().join("|");
    let _ = writeln!(text, "\n**{title}**\n\n| {header} |\n|{rule}|");
    for line in lines {
        let _ = writeln!(text, "| {line} |");
    }
}

fn load_line(row: &Row) -> String {
    let [least, most] = row.server_cpu_range;
    let [lowest, highest] = row.ratio_range;
    let of = if row.compared_with == "floor" { String::new() } else { format!(" × {}", row.compared_with) };
    let cells = [
        row.scenario.clone(),
        row.what.clone(),
        row.connections.to_string(),
        format!("{:.0}", row.requests_per_second),
        time(row.p50_microseconds),
        time(row.p99_microseconds),
        time(row.p999_microseconds),
        format!("{:.1} µs ({least:.1} to {most:.1})", row.server_cpu_microseconds),
        format!("{:.2}{of} ({lowest:.2} to {highest:.2})", row.ratio),
    ];
    cells.join(" | ")
}

fn open_line(row: &OpenRow) -> String {
    let cells = [
        row.scenario.clone(),
        format!("{:.0}", row.requests_per_second),
        time(row.p50_microseconds),
        time(row.p99_microseconds),
        time(row.p999_microseconds),
        time(row.max_microseconds),
        time(row.sent_p999_microseconds),
        time(row.late_p99_microseconds),
        format!("{:.1} µs", row.server_cpu_microseconds),
    ];
    cells.join(" | ")
}

/// `base` is the start with one policy.
fn start_line(start: &Start, base: Option<&Start>) -> String {
    let further = base.filter(|it| it.policies < start.policies).map(|base| {
        let each = |most: u64, least: u64| (most as f64 - least as f64) / (start.policies - base.policies) as f64;
        let resident = each(start.resident_kib, base.resident_kib);
        format!("{resident:.1} KiB ({:.1} anonymous)", each(start.anonymous_kib, base.anonymous_kib))
    });
    let cells = [
        start.policies.to_string(),
        if start.own_settings { "each its own" } else { "the same" }.to_owned(),
        time(start.cold_milliseconds * 1000.0),
        time(start.warm_milliseconds * 1000.0),
        format!("{} KiB", start.cache_kib),
        format!("{} KiB", start.resident_kib),
        format!("{} KiB", start.anonymous_kib),
        further.unwrap_or_default(),
    ];
    cells.join(" | ")
}

fn limit_line(limit: &Limit) -> String {
    let Limit { deed, min, p50, max, reviews } = limit;
    format!("{deed} | {min:.1} ms | {p50:.1} ms | {max:.1} ms | {reviews}")
}

/// Microseconds, with the unit that reads best.
pub(crate) fn time(microseconds: f64) -> String {
    if microseconds < 1000.0 { format!("{microseconds:.0} µs") } else { format!("{:.2} ms", microseconds / 1000.0) }
}
