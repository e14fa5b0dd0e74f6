//! The handles of one policy's metrics, so that counting a review looks nothing up.

use std::sync::{Arc, OnceLock};

use prometheus::{Histogram, IntCounter, IntCounterVec};

use super::{
    Metrics, PolicyEvent,
    flood::{Flow, Quota},
};
use crate::spec::{Kind, Operation, Outcome};

/// What one policy's reviews of one kind are counted in.
pub struct PolicyMetrics {
    kind: &'static str,
    policy: String,
    reviews: IntCounterVec,
    /// By operation, the first of none, then by outcome, with its name; made when first counted, so that what never happens is not exported.
    counters: [[OnceLock<(&'static str, IntCounter)>; Outcome::COUNT]; Operation::ALL.len() + 1],
    /// By outcome, for those of which the log tells.
    quotas: [OnceLock<Arc<Quota>>; Outcome::COUNT],
    queue: Histogram,
    instantiate: Histogram,
    guest: Histogram,
    whole: Histogram,
    /// Bytes that guests wrote, and that were kept or dropped.
    kept: IntCounter,
    dropped: IntCounter,
}

impl PolicyMetrics {
    pub(super) fn new(metrics: &Metrics, kind: Kind, policy: &str) -> Self {
        let kind = kind.name();
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
            quotas: Default::default(),
            queue: seconds("queue"),
            instantiate: seconds("instantiate"),
            guest: seconds("guest"),
            whole: seconds("whole"),
            kept: written("kept"),
            dropped: written("dropped"),
        }
    }

    /// Errors say that a series was never there.
    pub(super) fn forget(&self, metrics: &Metrics) {
        for phase in ["queue", "instantiate", "guest", "whole"] {
            let _ = metrics.review_seconds.remove_label_values(&[self.kind, &self.policy, phase]);
        }
        for fate in ["kept", "dropped"] {
            let _ = metrics.guest_output.remove_label_values(&[&self.policy, fate]);
        }
        let operations = std::iter::once("").chain(Operation::ALL.map(Operation::name));
        for (operation, outcomes) in operations.zip(&self.counters) {
            for (outcome, _) in outcomes.iter().filter_map(OnceLock::get) {
                let _ = self.reviews.remove_label_values(&[self.kind, &self.policy, operation, outcome]);
            }
        }
    }

    pub(super) fn record(&self, event: &PolicyEvent<'_>) {
        let operation = event.operation.map_or("", Operation::name);
        let row = event.operation.map_or(0, |it| it as usize + 1);
        let (_, counter) = self.counters[row][event.outcome.position()].get_or_init(|| {
            let outcome = event.outcome.name();
            (outcome, self.reviews.with_label_values(&[self.kind, &self.policy, operation, outcome]))
        });
        counter.inc();
        let timing = &event.usage.timing;
        self.queue.observe(timing.queue.as_secs_f64());
        self.instantiate.observe(timing.instantiate.as_secs_f64());
        self.guest.observe(timing.guest.as_secs_f64());
        self.whole.observe(timing.whole.as_secs_f64());
        self.kept.inc_by(event.usage.kept);
        self.dropped.inc_by(event.usage.dropped);
    }

    /// Whether the log may tell once more that this came of a review. `words`: why it failed.
    pub(super) fn may_tell(&self, outcome: &Outcome, words: Option<&str>) -> bool {
        let quota = self.quotas[outcome.position()].get_or_init(|| match outcome {
            Outcome::Failed(failure) => Quota::new(&self.policy, failure.message(), Flow::FAILURES),
            outcome => Quota::new(&self.policy, outcome.name(), Flow::WORDS),
        });
        words.map_or_else(|| quota.takes(), |words| quota.takes_words(words))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::spec::{Failure, Timing, Usage};

    #[test]
    fn reviews_are_counted_by_operation_and_outcome() {
        let metrics = Metrics::new();
        let team = metrics.for_policy(Kind::Mutator, "team");
        let event = |operation, outcome| {
            let timing = Timing { whole: Duration::from_micros(40), ..Timing::default() };
            let usage = Usage { timing, kept: 3, dropped: 2, ..Usage::default() };
            let facts = Vec::new();
            PolicyEvent {
                kind: Kind::Mutator,
                policy: "team",
                operation,
                outcome,
                reason: None,
                words: None,
                decides: true,
                usage,
                facts,
            }
        };
        team.record(&event(Some(Operation::Create), Outcome::Mutated));
        team.record(&event(Some(Operation::Create), Outcome::Mutated));
        team.record(&event(Some(Operation::Connect), Outcome::Failed(Failure::Host("busy".to_owned()))));
        team.record(&event(None, Outcome::Allowed));
        let text = metrics.text();
        let series = |operation, outcome| {
            format!(
                "verdict_reviews_total{{kind=\"Mutator\",operation=\"{operation}\",outcome=\"{outcome}\",policy=\"team\"}}"
            )
        };
        for line in [
            series("CREATE", "mutated") + " 2",
            series("CONNECT", "host_error") + " 1",
            series("", "allowed") + " 1",
            "verdict_review_seconds_bucket{kind=\"Mutator\",phase=\"whole\",policy=\"team\",le=\"0.00005\"} 4"
                .to_owned(),
            "verdict_guest_output_bytes_total{fate=\"kept\",policy=\"team\"} 12".to_owned(),
            "verdict_guest_output_bytes_total{fate=\"dropped\",policy=\"team\"} 8".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
