//! The certificates of all replicas, made by the leader and kept in one Secret.
//!
//! A replica must never present a certificate whose CA is not in the caBundle that kube-apiserver knows. So each change is made in steps, each of
//! which is one conditional write of the Secret: the next CA is first published beside the present one; when that has been known for a while, the
//! replicas present a certificate of it; when all have had time for that, the former CA leaves the caBundle.
//! Which step is next follows from what the Secret holds, so that any leader goes on where another stopped. How long something has lasted is counted
//! by each process for itself, by a clock that does not jump, from when it first saw it: a wait may become longer by that, but never shorter.
//! This module writes no webhook configuration: whoever does so takes the caBundle from [`Kept`] and says in [`Published`] what kube-apiserver knows.

mod keeper;
mod parts;
mod step;
mod stored;
mod view;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant, SystemTime};

pub use self::keeper::{Certificates, Kept};
use self::parts::Root;

/// How long certificates are good, and how long each step of a change waits.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// A CA is good for so long.
    pub authority: Duration,
    /// So long before its end the next one is made.
    pub authority_renewal: Duration,
    /// A server's certificate is good for so long, but no longer than its CA.
    pub server: Duration,
    /// So long before its end the next one is made.
    pub server_renewal: Duration,
    /// A caBundle must have been published for so long before a CA that is new in it is used.
    pub publication: Duration,
    /// So long after a change of the CA the former one leaves the caBundle.
    pub swap: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            authority: 365 * DAY,
            authority_renewal: 60 * DAY,
            server: 90 * DAY,
            server_renewal: 30 * DAY,
            publication: Duration::from_secs(60),
            swap: Duration::from_secs(600),
        }
    }
}

/// The caBundle in the webhook configurations, as kube-apiserver has it.
#[derive(Clone)]
pub struct Published {
    roots: Vec<Root>,
    since: Instant,
}

impl Published {
    /// It is this, as PEM, and was so at `since` already: when it was written, or when this process first read it. What cannot be read of it, is passed over.
    pub fn bundle(pem: &str, since: Instant) -> Self {
        Self { roots: Root::readable(pem.as_bytes()), since }
    }

    /// There is no webhook configuration of this installation, so nobody is asked.
    pub fn nothing(since: Instant) -> Self {
        Self { roots: Vec::new(), since }
    }

    fn is_nothing(&self) -> bool {
        self.roots.is_empty()
    }

    fn has(&self, root: &Root) -> bool {
        self.roots.contains(root)
    }

    /// Who presents a certificate of it now, is trusted; or nobody is asked.
    fn allows(&self, root: &Root) -> bool {
        self.is_nothing() || self.has(root)
    }
}

/// Two clocks: one that says what time it is and may jump, one that only says how much time has passed.
#[derive(Clone, Copy)]
struct Moment {
    clock: SystemTime,
    steady: Instant,
}

impl Moment {
    fn now() -> Self {
        Self { clock: SystemTime::now(), steady: Instant::now() }
    }

    /// 0 for what comes later.
    fn since(self, then: Instant) -> Duration {
        self.steady.saturating_duration_since(then)
    }
}

const DAY: Duration = Duration::from_secs(86_400);
