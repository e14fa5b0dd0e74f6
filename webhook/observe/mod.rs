//! What operators see: metrics, lines of the log, and of each request one event, behind the decision log, the last decisions and traces.
//!
//! Label values come from fixed sets and from the names of policies, never from a request: no namespaces, no names of objects, no users.
//! Owns the Prometheus registry ([`TABLE`] is the documentation of all that is counted). Knows reviews, and neither sockets nor Wasm.

mod callers;
mod context;
mod decision;
mod decisions;
pub(crate) mod flood;
mod journal;
mod policy;
mod redact;
mod request;
mod review;
mod ring;
mod rotating;
mod table;
mod traces;
mod trail;
mod watch;
mod written;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, RwLock},
    time::SystemTime,
};

use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector as Metric,
};

use crate::spec::{Digest, Kind, Lane};

pub use callers::HandshakeFailure;
pub(crate) use callers::{AdminRefused, BodyRefused, EndedEarly, Listener};
pub use context::TraceContext;
pub use decision::{About, DecisionEvent, Part, Verdict};
pub use decisions::Decisions;
pub use flood::tell_left_out;
pub use journal::{Choice, Sink};
pub use policy::{PolicyEvent, Words};
pub use redact::{Redacted, Rules};
pub use request::RequestGuard;
use request::Route;
pub use review::PolicyMetrics;
pub use ring::Wanted;
pub use rotating::Rotating;
pub use table::TABLE;
pub use traces::{Collector, TracesError};
pub use trail::{Ending, Trail};
pub use watch::{Called, Seen, Watch};
pub use written::{Labels, line};

/// Every metric of the process, registered once, in a registry of its own.
pub struct Metrics {
    registry: Registry,
    reviews: IntCounterVec,
    review_seconds: HistogramVec,
    guest_output: IntCounterVec,
    policies_loaded: IntGaugeVec,
    policies_started: IntGaugeVec,
    objects: IntGaugeVec,
    active_set: IntGaugeVec,
    reloads: IntCounterVec,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    in_flight: IntGaugeVec,
    routes: RwLock<HashMap<&'static str, Arc<Route>>>,
    abandoned: IntCounterVec,
    body_bytes: IntGauge,
    connections: IntGauge,
    accepted: IntCounter,
    accept_errors: IntCounter,
    handshake_failures: IntCounterVec,
    ended_early: IntCounterVec,
    bodies_refused: IntCounterVec,
    memory_ceiling: IntGauge,
    leader: IntGauge,
    registration_held: IntGauge,
    provider_changes: IntCounterVec,
    provider_gaps: IntCounterVec,
    lane_reviews: IntGaugeVec,
    lane_refused: IntCounterVec,
    admin_refused: IntCounterVec,
    certificate_expiry: IntGaugeVec,
    decisions_dropped: IntCounterVec,
    lines_left_out: IntCounterVec,
    policies: RwLock<HashMap<String, Arc<PerPolicy>>>,
}

/// The handles of one policy, one for each kind, made when first asked for.
type PerPolicy = [OnceLock<Arc<PolicyMetrics>>; Kind::ALL.len()];

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let to = &registry;
        let metrics = Self {
            reviews: counters(to, "verdict_reviews_total"),
            review_seconds: histograms(to, "verdict_review_seconds", REVIEW_BUCKETS),
            guest_output: counters(to, "verdict_guest_output_bytes_total"),
            policies_loaded: gauges(to, "verdict_policies_loaded"),
            policies_started: gauges(to, "verdict_policies_started"),
            objects: gauges(to, "verdict_objects"),
            active_set: gauges(to, "verdict_active_set_info"),
            reloads: counters(to, "verdict_reloads_total"),
            requests: counters(to, "verdict_requests_total"),
            request_seconds: histograms(to, "verdict_request_seconds", REQUEST_BUCKETS),
            in_flight: gauges(to, "verdict_requests_in_flight"),
            routes: RwLock::default(),
            abandoned: counters(to, "verdict_requests_abandoned_total"),
            body_bytes: gauge(to, "verdict_body_bytes_in_flight"),
            connections: gauge(to, "verdict_connections_open"),
            accepted: counter(to, "verdict_connections_total"),
            accept_errors: counter(to, "verdict_accept_errors_total"),
            handshake_failures: counters(to, "verdict_tls_handshake_failures_total"),
            ended_early: counters(to, "verdict_connections_ended_early_total"),
            bodies_refused: counters(to, "verdict_bodies_refused_total"),
            memory_ceiling: gauge(to, "verdict_memory_ceiling_bytes"),
            leader: gauge(to, "verdict_leader"),
            registration_held: gauge(to, "verdict_registration_held"),
            provider_changes: counters(to, "verdict_provider_changes_total"),
            provider_gaps: counters(to, "verdict_provider_gaps_total"),
            lane_reviews: gauges(to, "verdict_lane_reviews"),
            lane_refused: counters(to, "verdict_lane_refused_total"),
            admin_refused: counters(to, "verdict_admin_refused_total"),
            certificate_expiry: gauges(to, "verdict_certificate_expiry_timestamp_seconds"),
            decisions_dropped: counters(to, "verdict_decisions_dropped_total"),
            lines_left_out: counters(to, "verdict_log_lines_left_out_total"),
            policies: RwLock::default(),
            registry,
        };
        let build = valid(GaugeVec::new(opts("verdict_build_info"), &["version"]));
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        register(&metrics.registry, build);
        #[cfg(target_os = "linux")]
        valid(metrics.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self())));
        metrics
    }

    /// The handles of one policy; keep them, so that counting a review looks nothing up.
    pub fn for_policy(&self, kind: Kind, policy: &str) -> Arc<PolicyMetrics> {
        // A poisoned lock only says that another thread panicked: the map itself is whole.
        let found = {
            let policies = self.policies.read().unwrap_or_else(|e| e.into_inner());
            policies.get(policy).map(Arc::clone)
        };
        let slots = found.unwrap_or_else(|| {
            let mut policies = self.policies.write().unwrap_or_else(|e| e.into_inner());
            Arc::clone(policies.entry(policy.to_owned()).or_default())
        });
        let position = Kind::ALL.iter().position(|it| *it == kind);
        let slot = &slots[position.unwrap_or_default()];
        Arc::clone(slot.get_or_init(|| Arc::new(PolicyMetrics::new(self, kind, policy))))
    }

    /// There is no policy of this name any more: what was counted of it is not exported any longer, so that names that come and go leave nothing.
    pub fn forget(&self, policy: &str) {
        let gone = self.policies.write().unwrap_or_else(|e| e.into_inner()).remove(policy);
        for counted in gone.iter().flat_map(|it| it.iter()).filter_map(OnceLock::get) {
            counted.forget(self);
        }
    }

    /// How many policies of this kind are loaded.
    pub fn policies_loaded(&self, kind: Kind, count: usize) {
        let gauge = self.policies_loaded.with_label_values(&[kind.name()]);
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// How many policies begin a review from a snapshot, or else with `init`.
    pub fn policies_started(&self, snapshot: bool, count: usize) {
        let gauge = self.policies_started.with_label_values(&[if snapshot { "snapshot" } else { "init" }]);
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// How many declared objects are in a state.
    pub fn objects(&self, state: &'static str, count: usize) {
        self.objects.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// What serves from now on.
    pub fn active_set(&self, digest: &Digest) {
        self.active_set.reset();
        self.active_set.with_label_values(&[format!("sha256:{digest}")]).set(1);
    }

    /// The sources were read again.
    pub fn reloaded(&self, applied: bool) {
        self.reloads.with_label_values(&[if applied { "applied" } else { "refused" }]).inc();
    }

    /// A request arrived. `route` is from a fixed set; the guard counts its end.
    pub fn request(self: &Arc<Self>, route: &'static str) -> RequestGuard {
        RequestGuard::begin(Arc::clone(self), self.route(route))
    }

    fn route(&self, name: &'static str) -> Arc<Route> {
        // A poisoned lock only says that another thread panicked: the map itself is whole.
        if let Some(route) = self.routes.read().unwrap_or_else(|e| e.into_inner()).get(name) {
            return Arc::clone(route);
        }
        let made = || Arc::new(Route::new(self, name));
        Arc::clone(self.routes.write().unwrap_or_else(|e| e.into_inner()).entry(name).or_insert_with(made))
    }

    /// Somebody was not told of a decision.
    pub(crate) fn decision_dropped(&self, consumer: &str, reason: &str) {
        self.decisions_dropped.with_label_values(&[consumer, reason]).inc();
    }

    /// Lines of the log were not written.
    pub(crate) fn lines_left_out(&self, policy: &str, line: &str, count: u64) {
        self.lines_left_out.with_label_values(&[policy, line]).inc_by(count);
    }

    /// Whether this replica writes to the cluster for all.
    pub(crate) fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Whether somebody holds the registration.
    pub(crate) fn registration_held(&self, held: bool) {
        self.registration_held.set(i64::from(held));
    }

    /// What became of a change that a provider was told of.
    pub(crate) fn provider_change(&self, provider: &str, result: &str) {
        self.provider_changes.with_label_values(&[provider, result]).inc();
    }

    /// Deletions may have been lost that a provider should have been told of.
    pub(crate) fn provider_gap(&self, provider: &str) {
        self.provider_gaps.with_label_values(&[provider]).inc();
    }

    /// What the process can take of memory, in bytes.
    pub(crate) fn memory_ceiling(&self, bytes: usize) {
        self.memory_ceiling.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// How many reviews a lane has.
    pub(crate) fn lane_reviews(&self, lane: Lane) -> IntGauge {
        self.lane_reviews.with_label_values(&[lane.name()])
    }

    /// How many reviews a lane refused.
    pub(crate) fn lane_refused(&self, lane: Lane) -> IntCounter {
        self.lane_refused.with_label_values(&[lane.name()])
    }

    /// When the certificates of a file begin to expire.
    pub fn certificate_expiry(&self, file: &'static str, expiry: SystemTime) {
        let seconds = expiry.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        self.certificate_expiry.with_label_values(&[file]).set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }

    /// Everything, in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics could not be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Adds to a gauge until it is dropped.
pub(crate) struct Counted {
    gauge: IntGauge,
    amount: i64,
}

impl Counted {
    fn of(gauge: &IntGauge, amount: i64) -> Self {
        gauge.add(amount);
        Self { gauge: gauge.clone(), amount }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauge.sub(self.amount);
    }
}

fn counter(registry: &Registry, name: &str) -> IntCounter {
    register(registry, valid(IntCounter::with_opts(opts(name))))
}

fn gauge(registry: &Registry, name: &str) -> IntGauge {
    register(registry, valid(IntGauge::with_opts(opts(name))))
}

fn counters(registry: &Registry, name: &str) -> IntCounterVec {
    register(registry, valid(IntCounterVec::new(opts(name), &labels(name))))
}

fn gauges(registry: &Registry, name: &str) -> IntGaugeVec {
    register(registry, valid(IntGaugeVec::new(opts(name), &labels(name))))
}

fn histograms(registry: &Registry, name: &str, buckets: &[f64]) -> HistogramVec {
    let opts = HistogramOpts::from(opts(name)).buckets(buckets.to_vec());
    register(registry, valid(HistogramVec::new(opts, &labels(name))))
}

fn opts(name: &str) -> Opts {
    Opts::new(name, row(name).2)
}

fn labels(name: &str) -> Vec<&'static str> {
    row(name).1.split(", ").collect()
}

fn row(name: &str) -> &'static (&'static str, &'static str, &'static str) {
    let row = TABLE.iter().find(|(row, ..)| *row == name);
    row.unwrap_or(&("", "", ""))
}

fn register<C: Metric + Clone + 'static>(registry: &Registry, metric: C) -> C {
    valid(registry.register(Box::new(metric.clone())));
    metric
}

/// Names, labels and buckets are constants of this file, and the unit test below registers them all: no error can depend on the outside.
#[expect(clippy::expect_used, reason = "see the comment above")]
fn valid<T>(result: prometheus::Result<T>) -> T {
    result.expect("the table of metrics is valid")
}

/// 10 µs to 30 s: a review with a snapshot takes microseconds, the longest allowed 30 s.
const REVIEW_BUCKETS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 10.0, 30.0,
];

/// 50 µs to 30 s, the whole request.
const REQUEST_BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
    30.0,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Operation, Outcome, Usage};

    #[test]
    fn every_row_of_the_table_is_registered_and_nothing_else() {
        let metrics = Arc::new(Metrics::new());
        PolicyEvent {
            kind: Kind::Validator,
            policy: "p",
            operation: Some(Operation::Create),
            outcome: Outcome::Allowed,
            reason: None,
            words: None,
            decides: true,
            usage: Usage::default(),
            facts: Vec::new(),
        }
        .tell(&metrics.for_policy(Kind::Validator, "p"), None, None);
        metrics.lines_left_out("p", "denied", 1);
        metrics.decision_dropped("log", "queue");
        metrics.policies_loaded(Kind::Validator, 1);
        metrics.policies_started(true, 1);
        metrics.objects("active", 1);
        metrics.active_set(&Digest([0; 32]));
        metrics.reloaded(true);
        metrics.request("validate").answered(200);
        drop((metrics.lane_reviews(Lane::Audit), metrics.lane_refused(Lane::Audit)));
        metrics.certificate_expiry("certificate", SystemTime::now());
        drop(metrics.request("validate"));
        metrics.handshake_failed(HandshakeFailure::Timeout);
        metrics.ended_early(Listener::Admin, EndedEarly::Room);
        metrics.body_refused("validate", BodyRefused::Slow);
        metrics.admin_refused(AdminRefused::Off);
        metrics.provider_change("p", "handled");
        metrics.provider_gap("p");
        let text = metrics.text();
        for (name, ..) in TABLE {
            let name = name.trim_end_matches('*');
            assert!(text.contains(&format!("# TYPE {name}")), "{name} in {text}");
        }
        for line in text.lines().filter(|line| line.starts_with("# TYPE verdict_")) {
            let name = line.split(' ').nth(2).unwrap();
            assert!(TABLE.iter().any(|(row, ..)| *row == name), "{name}");
        }
    }

    /// manifests/README.md promises what is counted: it is this file's table, row by row.
    #[test]
    fn the_readme_has_the_table() {
        let readme = include_str!("../../manifests/README.md");
        let (_, section) = readme.split_once("\n## Metrics\n").expect("a section of the page");
        let section = section.split("\n## ").next().unwrap_or_default();
        let told: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
        let row = |(name, labels, help): &(&str, &str, &str)| format!("| `{name}` | {labels} | {help} |");
        let expected: Vec<String> = TABLE.iter().map(row).collect();
        assert_eq!(told, expected, "the table must be:\n{}", expected.join("\n"));
    }

    #[test]
    fn a_request_is_counted_once_and_leaves_nothing_in_flight() {
        let metrics = Arc::new(Metrics::new());
        let guard = metrics.request("events");
        assert!(metrics.text().contains("verdict_requests_in_flight{route=\"events\"} 1"));
        guard.answered(503);
        let text = metrics.text();
        assert!(text.contains("verdict_requests_in_flight{route=\"events\"} 0"));
        assert!(text.contains("verdict_requests_total{code=\"503\",route=\"events\"} 1"));
        assert!(!text.contains("verdict_requests_abandoned_total{"));
    }
}
