//! What one review of a policy took, and what the policy wrote meanwhile.

use std::time::Duration;

/// Where the time of one policy's review went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// Waiting for a free instance.
    pub queue: Duration,
    /// Making the instance and initialising it.
    pub instantiate: Duration,
    /// In the guest, host calls included.
    pub guest: Duration,
    /// All of it, matching and checking the answer included.
    pub whole: Duration,
}

/// What one policy's review took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Where the time went; `whole` is left to the caller, who did more than the call.
    pub timing: Timing,
    /// Bytes of the instance's memories and tables, which never shrink. 0 where there was no instance.
    pub memory: usize,
    /// What the guest logged and printed, if somebody listens; else it went to the log.
    pub log: Vec<Line>,
    /// Bytes that it logged, printed and audited, and that were kept.
    pub kept: u64,
    /// Bytes of it that were dropped, over the cap or for want of a grant.
    pub dropped: u64,
}

/// One record of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// At most 253 bytes.
    pub key: String,
    /// At most 4 KiB.
    pub value: String,
}

/// One line that a guest logged or printed, cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// trace, debug, info, warn or error; what is printed is info.
    pub level: &'static str,
    /// What it said.
    pub text: String,
}
