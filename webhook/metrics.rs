//! What is counted, and the Prometheus registry.

use crate::engine::{Interface, Timing};

/// Every metric of the process, registered once.
pub struct Metrics {}

impl Metrics {
    /// One policy answered, or failed to answer, one review.
    ///
    /// `operation`: the admission operation in upper case, the verb's class for others may be empty. `outcome`: `allowed`, `denied`,
    /// `no_opinion`, `authenticated`, `unknown`, `rejected`, `mutated`, `answered`, or a failure's label.
    pub fn review(&self, interface: Interface, policy: &str, operation: &str, outcome: &str, timing: &Timing) {
        let _ = (interface, policy, operation, outcome, timing);
    }
}
