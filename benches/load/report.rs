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

/// A closed-loop run.
#[derive(Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) scenario: String,
    pub(crate) what: String,
    pub(crate) connections: usize,
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_microseconds: f64,
    pub(crate) p99_microseconds: f64,
    pub(crate) p999_microseconds: f64,
    pub(crate) server_cpu_microseconds: f64,
    /// The scenario whose CPU is 1.0 for this one.
    pub(crate) compared_with: String,
    /// Filled in at the end: the floor is run before and after.
    pub(crate) ratio: Option<f64>,
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
            server_cpu_microseconds: open.run.cpu_per_review(),
        }
    }
}

impl Row {
    pub(crate) fn new(scenario: &str, what: &str, compared_with: &str, run: &Run) -> Self {
        Self {
            scenario: scenario.to_owned(),
            what: what.to_owned(),
            connections: run.connections,
            requests: run.latency.count(),
            requests_per_second: run.rate(),
            p50_microseconds: run.latency.quantile(0.5),
            p99_microseconds: run.latency.quantile(0.99),
            p999_microseconds: run.latency.quantile(0.999),
            server_cpu_microseconds: run.cpu_per_review(),
            compared_with: compared_with.to_owned(),
            ratio: None,
        }
    }
}

impl Report {
    /// Every row against the mean of the runs that it is compared with, at as many connections.
    pub(crate) fn compare(&mut self) {
        let before = self.load.clone();
        for row in &mut self.load {
            let base: Vec<f64> = before
                .iter()
                .filter(|it| it.scenario == row.compared_with && it.connections == row.connections)
                .map(|it| it.server_cpu_microseconds)
                .collect();
            let mean = base.iter().sum::<f64>() / base.len() as f64;
            row.ratio = (!base.is_empty()).then(|| row.server_cpu_microseconds / mean);
        }
    }

    /// Tables.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.machine {
            let _ = writeln!(text, "- {name}: {value}");
        }
        let header = "scenario | | connections | requests/s | p50 | p99 | p99.9 | server CPU per review | ratio";
        table(&mut text, "Closed loop", header, self.load.iter().map(load_line));
        let header = "scenario | requests/s | p50 | p99 | p99.9 | longest | sent late, p99 | server CPU per review";
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
    let ratio = match row.ratio {
        Some(ratio) if row.compared_with == "floor" => format!("{ratio:.2}"),
        Some(ratio) => format!("{ratio:.2} × {}", row.compared_with),
        None => String::new(),
    };
    let cells = [
        row.scenario.clone(),
        row.what.clone(),
        row.connections.to_string(),
        format!("{:.0}", row.requests_per_second),
        time(row.p50_microseconds),
        time(row.p99_microseconds),
        time(row.p999_microseconds),
        format!("{:.1} µs", row.server_cpu_microseconds),
        ratio,
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
        time(row.late_p99_microseconds),
        format!("{:.1} µs", row.server_cpu_microseconds),
    ];
    cells.join(" | ")
}

/// `base` is the start with one policy.
fn start_line(start: &Start, base: Option<&Start>) -> String {
    let further = base.filter(|it| it.policies < start.policies).map(|base| {
        let more = start.resident_kib as f64 - base.resident_kib as f64;
        format!("{:.1} KiB", more / (start.policies - base.policies) as f64)
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
