//! The handles of one policy's metrics, so that counting a review looks nothing up.

use std::sync::OnceLock;

use prometheus::{Histogram, IntCounter, IntCounterVec};

use super::Metrics;
use crate::{
    review::admission::same,
    spec::{Interface, Kind, Timing},
};

/// What one policy's reviews of one kind are counted in.
pub struct PolicyMetrics {
    kind: &'static str,
    policy: String,
    reviews: IntCounterVec,
    /// By operation, then outcome; made when first counted, so that what never happens is not exported.
    counters: [[OnceLock<IntCounter>; OUTCOMES.len() + 1]; OPERATIONS.len() + 1],
    queue: Histogram,
    instantiate: Histogram,
    guest: Histogram,
    whole: Histogram,
    /// Bytes that guests wrote, and that were kept or dropped.
    kept: IntCounter,
    dropped: IntCounter,
}

impl PolicyMetrics {
    pub(super) fn new(metrics: &Metrics, interface: Interface, policy: &str) -> Self {
        let kind = Kind::of(interface).name();
        let seconds = |phase| {
            let all = &metrics.review_seconds;
            all.with_label_values(&[kind, policy, phase])
        };
        let written = |fate| metrics.guest_output.with_label_values(&[policy, fate]);
        Self {
            kind,
            policy: policy.to_owned(),
            reviews: metrics.reviews.clone(),
            counters: Default::default(),
            queue: seconds("queue"),
            instantiate: seconds("instantiate"),
            guest: seconds("guest"),
            whole: seconds("whole"),
            kept: written("kept"),
            dropped: written("dropped"),
        }
    }

    /// One review was answered, or failed. See [`Metrics::review`] for the values; unknown ones count as `other`.
    pub fn record(&self, operation: &str, outcome: &str, timing: &Timing) {
        let row = place(OPERATIONS, operation);
        let column = place(OUTCOMES, outcome);
        let counter = self.counters[row][column].get_or_init(|| {
            let operation = OPERATIONS.get(row).unwrap_or(&OTHER);
            let outcome = OUTCOMES.get(column).unwrap_or(&OTHER);
            self.reviews.with_label_values(&[self.kind, &self.policy, operation, outcome])
        });
        counter.inc();
        self.queue.observe(timing.queue.as_secs_f64());
        self.instantiate.observe(timing.instantiate.as_secs_f64());
        self.guest.observe(timing.guest.as_secs_f64());
        self.whole.observe(timing.whole.as_secs_f64());
    }

    /// What a guest logged, printed and audited in one review, in bytes.
    pub fn wrote(&self, kept: u64, dropped: u64) {
        self.kept.inc_by(kept);
        self.dropped.inc_by(dropped);
    }
}

/// Where `value` stands; one past the end if it does not.
fn place(values: &[&str], value: &str) -> usize {
    let found = values.iter().position(|known| same(known, value));
    found.unwrap_or(values.len())
}

const OTHER: &str = "other";

const OPERATIONS: &[&str] = &["", "CREATE", "UPDATE", "DELETE", "CONNECT"];

const OUTCOMES: &[&str] = &[
    "allowed",
    "denied",
    "no_opinion",
    "authenticated",
    "unknown",
    "rejected",
    "mutated",
    "answered",
    "trap",
    "timeout",
    "memory",
    "stack",
    "fuel",
    "size",
    "overload",
    "guest_error",
    "invalid_answer",
    "condition_error",
    "condition_limit",
    "host_error",
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::spec::Failure;

    #[test]
    fn reviews_are_counted_by_operation_and_outcome_and_strangers_as_other() {
        let metrics = Metrics::new();
        let policy = metrics.for_policy(Interface::Mutating, "team");
        let timing = Timing { whole: Duration::from_micros(40), ..Timing::default() };
        policy.record("CREATE", "mutated", &timing);
        policy.record("CREATE", "mutated", &timing);
        policy.record("PATCH", "confused", &timing);
        let text = metrics.text();
        let series = |operation, outcome| {
            format!(
                "verdict_reviews_total{{kind=\"Mutator\",operation=\"{operation}\",outcome=\"{outcome}\",policy=\"team\"}}"
            )
        };
        assert!(text.contains(&(series("CREATE", "mutated") + " 2")), "{text}");
        assert!(text.contains(&(series("other", "other") + " 1")), "{text}");
        let whole = "verdict_review_seconds_bucket{kind=\"Mutator\",phase=\"whole\",policy=\"team\",le=\"0.00005\"} 3";
        assert!(text.contains(whole), "{text}");
    }

    #[test]
    fn the_label_of_every_failure_has_a_place() {
        let failures = [
            Failure::Trap(String::new()),
            Failure::Timeout,
            Failure::Memory,
            Failure::Stack,
            Failure::Fuel,
            Failure::Size(String::new()),
            Failure::Overload,
            Failure::Guest(String::new()),
            Failure::Answer(String::new()),
            Failure::Condition(String::new()),
            Failure::ConditionLimit(String::new()),
            Failure::Host(String::new()),
        ];
        for failure in failures {
            assert!(OUTCOMES.contains(&failure.label()), "{failure}");
        }
    }
}
