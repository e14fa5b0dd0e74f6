//! One policy decided, or failed to decide, one review: what metrics, the log and whoever watches are told of it.

use tracing::{info, warn};

use super::{PolicyMetrics, Watch};
use crate::spec::{Fact, Kind, Operation, Outcome, Usage};

/// What one policy made of one review.
#[derive(Debug)]
pub struct DecisionEvent<'a> {
    /// What the policy is.
    pub kind: Kind,
    /// Its name, unique among those of its kind.
    pub policy: &'a str,
    /// What was done to the object; None where the review is of none.
    pub operation: Option<Operation>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it rejected a token or denied, cleaned, for the operator's log; None: the log does not tell.
    pub reason: Option<String>,
    /// Whether its denial decides; else it is only recorded.
    pub decides: bool,
    /// What it took.
    pub usage: Usage,
    /// What it wrote to the audit log. Of an AdmissionReview these are annotations instead.
    pub facts: Vec<Fact>,
}

impl DecisionEvent<'_> {
    /// Tells everybody.
    pub(crate) fn tell(self, metrics: &PolicyMetrics, watch: Option<&Watch>) {
        metrics.record(&self);
        self.log();
        if let Some(watch) = watch {
            watch.decided(self);
        }
    }

    fn log(&self) {
        let (policy, kind, outcome) = (self.policy, self.kind.name(), self.outcome.name());
        match (&self.outcome, &self.reason) {
            (Outcome::Failed(failure), _) => warn!(policy, kind, outcome, %failure, "a policy failed"),
            (Outcome::Rejected, Some(reason)) => info!(policy, reason, "a token was rejected"),
            (Outcome::Denied, Some(denial)) => info!(policy, denial, denies = self.decides, "denied"),
            _ => {}
        }
    }
}
