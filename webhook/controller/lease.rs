//! Which replica leads: whoever holds the Lease.
//!
//! As client-go's leader election does it: who does not lead compares what it sees with what it saw before by its own clock, so that clocks
//! need not agree; every write names the version that was read; and who cannot renew in time stops before another one begins.
//! Nothing depends on there being one leader only: what it writes is the same whoever writes it.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease as Record, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use super::{
    Config,
    client::{Refused, within},
};

/// This replica's part in it.
pub(super) struct Lease {
    api: Api<Record>,
    config: Arc<Config>,
    leads: watch::Sender<bool>,
    hold: watch::Sender<Option<String>>,
}

/// What was seen last, and when it became that.
struct Seen {
    holder: String,
    renewed: Option<MicroTime>,
    at: Instant,
}

impl Lease {
    pub(super) fn new(client: &Client, config: &Arc<Config>) -> Self {
        let api = Api::namespaced(client.clone(), &config.namespace);
        Self { api, config: Arc::clone(config), leads: watch::Sender::new(false), hold: watch::Sender::new(None) }
    }

    /// Whether this replica leads.
    pub(super) fn leads(&self) -> watch::Receiver<bool> {
        self.leads.subscribe()
    }

    /// Why nothing may be registered now, if so.
    pub(super) fn hold(&self) -> watch::Receiver<Option<String>> {
        self.hold.subscribe()
    }

    /// As long as the process lives.
    pub(super) async fn run(self) {
        let mut seen: Option<Seen> = None;
        let mut renewed = Instant::now();
        let mut is_failing = false;
        loop {
            let begin = Instant::now();
            // Who leads has no longer for it than another one waits.
            let left = DEADLINE.saturating_sub(renewed.elapsed()).max(ROUND);
            let patience = if *self.leads.borrow() { left } else { TERM };
            match timeout(patience, self.round(&mut seen)).await.unwrap_or(Err(Refused::Silent)) {
                Ok(holds) => {
                    is_failing = false;
                    if holds {
                        renewed = begin;
                    }
                    self.lead(holds);
                }
                Err(error) => {
                    if !is_failing {
                        warn!(%error, "the Lease cannot be renewed, or looked at");
                    }
                    is_failing = true;
                    if *self.leads.borrow() && renewed.elapsed() > DEADLINE {
                        self.lead(false);
                    }
                }
            }
            sleep(ROUND).await;
        }
    }

    /// Whether this replica holds it now.
    async fn round(&self, seen: &mut Option<Seen>) -> Result<bool, Refused> {
        let Some(record) = within(self.api.get_opt(&self.config.installation)).await? else {
            self.hold.send_if_modified(|it| it.take().is_some());
            let record = Record {
                metadata: ObjectMeta { name: Some(self.config.installation.clone()), ..ObjectMeta::default() },
                spec: Some(self.taken(None)),
            };
            return match within(self.api.create(&PostParams::default(), &record)).await {
                Ok(_) => Ok(true),
                Err(error) if error.code() == Some(409) => Ok(false),
                Err(error) => Err(error),
            };
        };
        let hold = record.annotations().get(HOLD).cloned();
        self.hold.send_if_modified(|it| {
            let is_other = *it != hold;
            it.clone_from(&hold);
            is_other
        });
        let spec = record.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let same = |it: &Seen| it.holder == holder && it.renewed == spec.renew_time;
        if !seen.as_ref().is_some_and(same) {
            *seen = Some(Seen { holder: holder.clone(), renewed: spec.renew_time.clone(), at: Instant::now() });
        }
        let is_mine = holder == self.config.replica;
        let is_over = seen.as_ref().is_some_and(|it| it.at.elapsed() > TERM);
        if !is_mine && !holder.is_empty() && !is_over {
            return Ok(false);
        }
        let before = if is_mine { spec } else { after(spec) };
        let next = Record { spec: Some(self.taken(Some(before))), ..record };
        match within(self.api.replace(&self.config.installation, &PostParams::default(), &next)).await {
            Ok(_) => Ok(true),
            // Somebody was faster.
            Err(error) if error.code() == Some(409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The record as this replica renews it; `before` is what of it stays.
    fn taken(&self, before: Option<LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let before = before.unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.config.replica.clone()),
            lease_duration_seconds: i32::try_from(TERM.as_secs()).ok(),
            acquire_time: before.acquire_time.or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(before.lease_transitions.unwrap_or_default()),
            ..LeaseSpec::default()
        }
    }

    fn lead(&self, leads: bool) {
        let is_new = self.leads.send_if_modified(|it| std::mem::replace(it, leads) != leads);
        if is_new {
            info!(replica = self.config.replica, "{}", if leads { "leads now" } else { "leads no more" });
        }
    }
}

/// For somebody else to take.
fn after(spec: LeaseSpec) -> LeaseSpec {
    LeaseSpec { acquire_time: None, lease_transitions: Some(spec.lease_transitions.unwrap_or_default() + 1), ..spec }
}

/// Why nothing may be registered, as the Lease says now.
pub(super) async fn held(client: &Client, config: &Config) -> Result<Option<String>, Refused> {
    let api: Api<Record> = Api::namespaced(client.clone(), &config.namespace);
    let record = within(api.get_opt(&config.installation)).await?;
    Ok(record.and_then(|it| it.annotations().get(HOLD).cloned()))
}

/// Lets another one lead at once, if this replica does.
pub(super) async fn release(client: &Client, config: &Config) {
    let api: Api<Record> = Api::namespaced(client.clone(), &config.namespace);
    let Ok(Some(record)) = within(api.get_opt(&config.installation)).await else { return };
    let spec = record.spec.clone().unwrap_or_default();
    if spec.holder_identity.as_ref() != Some(&config.replica) {
        return;
    }
    let spec = LeaseSpec { holder_identity: None, ..spec };
    let released = Record { spec: Some(spec), ..record };
    if let Err(error) = within(api.replace(&config.installation, &PostParams::default(), &released)).await {
        warn!(%error, "the Lease cannot be released: another replica leads after {} s", TERM.as_secs());
    }
}

/// The annotation of the Lease under which nothing is registered: why.
pub(super) const HOLD: &str = "verdict.dev/hold";
/// After which a Lease that nobody renews is free.
const TERM: Duration = Duration::from_secs(15);
/// After which who could not renew leads no more: before another one can.
const DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks.
const ROUND: Duration = Duration::from_secs(2);
