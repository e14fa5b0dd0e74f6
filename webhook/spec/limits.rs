//! What a review may use, and what a policy is granted.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::HostCapabilities;

/// What one review may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Limits {
    /// Wall-clock time of a review, host calls included.
    pub time: Duration,
    /// Bytes: all memories and tables of an instance together.
    pub memory: usize,
    /// Instructions, roughly: the same review always uses the same. None: only time limits it.
    pub fuel: Option<u64>,
    /// Reviews of the policy at the same time. None: as many as half of a lane has room for.
    pub concurrent: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_millis(500), memory: 64 << 20, fuel: None, concurrent: None }
    }
}

/// Which instance answers a review.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Instances {
    /// One that is as `init` left it: never used, or put back to what it was (`engine::run::rewind`).
    #[default]
    PerReview,
    /// One that may have answered other reviews: faster, and what the guest keeps of one review can reach the next.
    /// Never so for policies that authenticate.
    Reuse,
}

impl Instances {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::PerReview => "PerReview",
            Self::Reuse => "Reuse",
        }
    }
}

/// What the operator lets a policy have beyond the contract's imports.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grants {
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// Whether what an authenticator prints and logs is kept.
    pub log: bool,
    /// What of the host a module of Kubewarden's may call.
    pub host_capabilities: HostCapabilities,
}

/// Values may be secrets.
impl std::fmt::Debug for Grants {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.env.keys().collect();
        formatter
            .debug_struct("Grants")
            .field("env", &names)
            .field("log", &self.log)
            .field("host_capabilities", &self.host_capabilities)
            .finish()
    }
}

/// Bytes: the least that `limits.memory` may be; the smallest Rust guest has more than this.
pub const MIN_MEMORY: usize = 1 << 20;
/// Longest that a policy may be allowed to run.
pub const MAX_TIME: Duration = Duration::from_secs(30);
/// Most of `limits.memory`: 1 GiB.
pub const MAX_MEMORY: usize = 1 << 30;
