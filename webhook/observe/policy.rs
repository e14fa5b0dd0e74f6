//! One policy decided, or failed to decide, one review: what metrics, the log and the event of the whole request take from it.

use std::sync::Arc;

use tracing::{info, warn};

use super::{PolicyMetrics, Trail, Watch};
use crate::{
    review::admission::Cause,
    spec::{Fact, Kind, Operation, Outcome, Usage},
};

/// What one policy made of one review.
#[derive(Debug)]
pub struct PolicyEvent<'a> {
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
    /// What it says of its decision, if the event of the request is to tell.
    pub words: Option<Words>,
    /// Whether its denial decides; else it is only recorded.
    pub decides: bool,
    /// What it took.
    pub usage: Usage,
    /// What it wrote to the audit log. Of an AdmissionReview these are annotations instead.
    pub facts: Vec<Fact>,
}

/// Why a policy decided as it did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// In one text.
    pub message: String,
    /// Each violation on its own.
    pub causes: Vec<Cause>,
}

impl PolicyEvent<'_> {
    /// Tells everybody.
    pub(crate) fn tell(mut self, metrics: &PolicyMetrics, watch: Option<&Watch>, trail: Option<&Arc<Trail>>) {
        metrics.record(&self);
        self.log(metrics, trail);
        if let Some(trail) = trail {
            trail.decided(&mut self);
        }
        if let Some(watch) = watch {
            watch.decided(self);
        }
    }

    fn log(&self, metrics: &PolicyMetrics, trail: Option<&Arc<Trail>>) {
        let uid = trail.map(|it| it.uid());
        let withheld = trail.is_some_and(|it| it.is_secret());
        let failure = match &self.outcome {
            Outcome::Failed(failure) if withheld => Some(failure.message().to_owned()),
            Outcome::Failed(failure) => Some(failure.to_string()),
            _ => None,
        };
        let is_told = failure.is_some() || self.reason.is_some();
        if !is_told || !metrics.may_tell(&self.outcome, failure.as_deref()) {
            return;
        }
        let (policy, kind, outcome) = (self.policy, self.kind.name(), self.outcome.name());
        match (&self.outcome, &self.reason) {
            (Outcome::Failed(_), _) => warn!(policy, kind, outcome, failure, uid, "a policy failed"),
            (Outcome::Rejected, Some(reason)) => info!(policy, reason, uid, "a token was rejected"),
            (Outcome::Denied, Some(denial)) => {
                let denial = if withheld { WITHHELD } else { denial };
                info!(policy, denial, denies = self.decides, uid, "denied");
            }
            _ => {}
        }
    }
}

const WITHHELD: &str = "withheld: the review is about a Secret";
