//! Changes of objects of the cluster, told to providers by the replica that leads, and what these want done about them.
//!
//! On a thread of its own: a provider that thinks for long holds up other providers, and neither the Lease nor the registration. Who leads next
//! goes on from what is saved.

mod account;
mod act;
mod handle;
mod known;
mod loops;
mod parts;
mod progress;
mod report;
mod runner;
mod saved;
mod stream;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use kube::Client;
use tokio::{
    runtime::Builder,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{error, warn};

pub(super) use self::report::{PAUSED, Report, Watching};
use self::{
    account::Impersonated,
    loops::Loops,
    parts::{Ground, Identity},
    runner::Runner,
    saved::Saved,
};
use super::{Config, client, mirror::Changes, objects::Objects};
use crate::{
    observe::Metrics,
    policy::{Current, Live, State},
    spec::{Account, Kind},
};

/// What runs them.
pub(super) struct Events {
    end: watch::Sender<bool>,
    thread: thread::JoinHandle<()>,
}

/// How each provider fares, by its name.
#[derive(Clone)]
pub(super) struct Reports {
    all: Arc<Mutex<BTreeMap<String, watch::Receiver<Report>>>>,
    changes: Changes,
}

impl Reports {
    pub(super) fn new() -> Self {
        Self { all: Arc::default(), changes: Changes::new() }
    }

    /// Told of each change.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.listen()
    }

    /// None: nobody tells it of anything here.
    pub(super) fn of(&self, provider: &str) -> Option<Report> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(provider).map(|it| it.borrow().clone())
    }

    fn set(&self, provider: &str, report: Option<watch::Receiver<Report>>) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        match report {
            Some(report) => all.insert(provider.to_owned(), report),
            None => all.remove(provider),
        };
        drop(all);
        self.changes.tell();
    }
}

/// What they work on.
pub(super) struct Ties {
    pub(super) connection: kube::Config,
    pub(super) config: Arc<Config>,
    pub(super) live: Arc<Live>,
    pub(super) objects: Arc<Objects>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) leads: watch::Receiver<bool>,
    pub(super) reports: Reports,
}

impl Events {
    /// Begins; it does nothing while this replica does not lead.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(ties: Ties) -> io::Result<Self> {
        let (end, ended) = watch::channel(false);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let body = move || runtime.block_on(run(ties, ended));
        let thread = thread::Builder::new().name("provider-events".to_owned()).spawn(body)?;
        Ok(Self { end, thread })
    }

    /// Ends, when what was handled is saved.
    pub(super) fn end(self) {
        let _ = self.end.send(true);
        let _ = self.thread.join();
    }
}

/// A provider that is told.
struct Running {
    identity: Identity,
    end: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

async fn run(ties: Ties, mut ended: watch::Receiver<bool>) {
    let client = match client::client(ties.connection.clone()) {
        Ok(client) => client,
        Err(error) => return error!(%error, "no provider is told of changes: the cluster's client cannot be made"),
    };
    let ground = Arc::new(Ground {
        live: Arc::clone(&ties.live),
        metrics: Arc::clone(&ties.metrics),
        loops: Arc::new(Loops::default()),
        room: Arc::default(),
        replica: ties.config.replica.clone(),
    });
    let mut leads = ties.leads.clone();
    loop {
        tokio::select! {
            led = leads.wait_for(|it| *it) => if led.is_err() { return },
            _ = ended.wait_for(|it| *it) => return,
        }
        let mut running: BTreeMap<String, Running> = BTreeMap::new();
        let mut accounts: BTreeMap<Account, Arc<Impersonated>> = BTreeMap::new();
        while *leads.borrow() && !*ended.borrow() {
            let wanted = wanted(&ties.live.current(), &ties.objects);
            let others: Vec<String> = running
                .iter()
                .filter(|(name, it)| wanted.get(*name) != Some(&it.identity))
                .map(|(name, _)| name.clone())
                .collect();
            for name in others {
                if let Some(it) = running.remove(&name) {
                    it.stop().await;
                    ties.reports.set(&name, None);
                }
            }
            accounts.retain(|account, _| wanted.values().any(|it| it.account == *account));
            for (name, identity) in wanted {
                if !running.contains_key(&name)
                    && let Some(it) = begin(&ties, &client, &ground, &mut accounts, identity)
                {
                    running.insert(name, it);
                }
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                _ = leads.changed() => {}
                _ = ended.changed() => {}
            }
        }
        // All at once, since another replica waits for this one.
        for it in running.values() {
            let _ = it.end.send(true);
        }
        for (name, it) in running {
            it.stop().await;
            ties.reports.set(&name, None);
        }
    }
}

/// None: there is no client for its account.
fn begin(
    ties: &Ties,
    client: &Client,
    ground: &Arc<Ground>,
    accounts: &mut BTreeMap<Account, Arc<Impersonated>>,
    identity: Identity,
) -> Option<Running> {
    let account = match accounts.get(&identity.account) {
        Some(account) => Arc::clone(account),
        None => match Impersonated::new(&ties.connection, &identity.account) {
            Ok(account) => {
                let account = Arc::new(account);
                accounts.insert(identity.account.clone(), Arc::clone(&account));
                account
            }
            Err(error) => {
                warn!(provider = identity.name, %error, "it is told of nothing");
                return None;
            }
        },
    };
    let report = Report { generation: identity.generation, ..Report::default() };
    let (report, reported) = watch::channel(report);
    let (end, ended) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let (mut listened, changes) = (reported.clone(), ties.reports.changes.clone());
    tasks.spawn(async move {
        while listened.changed().await.is_ok() {
            changes.tell();
        }
    });
    if let Some(why) = paused(&ties.objects, &identity) {
        report.send_modify(|it| it.watching = Watching::Paused(why));
        // As long as somebody listens.
        tasks.spawn(async move { report.closed().await });
    } else {
        // What made an earlier version of it chase itself may come once more, and ends there if this one does not.
        ground.loops.forget();
        let saved = Saved::new(client, &ties.config.namespace, &ties.config.installation, &identity.name);
        tasks.spawn(Runner::new(identity.clone(), ground, &account, saved, report).run(ended));
    }
    ties.reports.set(&identity.name, Some(reported));
    Some(Running { identity, end, tasks })
}

impl Running {
    async fn stop(mut self) {
        let _ = self.end.send(true);
        if timeout(LAST_WORDS, async { while self.tasks.join_next().await.is_some() {} }).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// Those of a cluster that serve, as they serve.
fn wanted(current: &Current, objects: &Objects) -> BTreeMap<String, Identity> {
    let all = current.objects().iter().filter(|it| it.spec().kind == Some(Kind::Provider));
    let identity = all.filter_map(|object| {
        let serving = object.policies().first().filter(|it| it.is_loaded())?;
        let spec = serving.spec();
        // What is as it was before is not loaded again.
        let revision = if object.state == State::Active { &object.spec().revision } else { &spec.revision };
        let revision = revision.as_ref()?;
        let account = spec.account.clone().filter(|_| !spec.events.is_empty())?;
        Some(Identity {
            name: spec.name.clone(),
            uid: objects.of_cluster(Kind::Provider, &spec.name)?.uid().to_owned(),
            generation: revision.generation,
            events: spec.events.clone(),
            account,
            shadow: !spec.actions.deny,
        })
    });
    identity.map(|it| (it.name.clone(), it)).collect()
}

/// Why nobody tells it of anything, as whoever led before found out: until it is another one.
fn paused(objects: &Objects, identity: &Identity) -> Option<String> {
    let object = objects.of_cluster(Kind::Provider, &identity.name)?;
    let conditions = object.status()["conditions"].as_array()?;
    let paused = conditions.iter().find(|it| it["reason"] == PAUSED && it["type"] == super::fold::WATCHING)?;
    (paused["observedGeneration"] == identity.generation)
        .then(|| paused["message"].as_str().unwrap_or_default().to_owned())
}

/// How often it is looked which providers there are.
const LOOK: Duration = Duration::from_millis(300);
/// How long one may take to save what it did.
const LAST_WORDS: Duration = Duration::from_secs(2);
