//! One provider and its watches: each change is handled, those of one object one after the other, until it is done or given up.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use super::{
    account::Impersonated,
    act::Actor,
    handle::{Handled, Handler},
    known::{Known, Name},
    parts::{Again, Ground, Identity, Job, Source, now},
    progress::Progress,
    report::{MOST_DEAD, Report, Watching},
    saved::{self, Kept, Saved},
    stream::{self, Change, Position, Step, Stream},
};
use crate::{spec::ChangeType, text};

/// One of them.
pub(super) struct Runner {
    identity: Identity,
    ground: Arc<Ground>,
    saved: Saved,
    handler: Handler,
    sources: Vec<Source>,
    /// By source and name: what waits for the one before it.
    queues: HashMap<(usize, Name), VecDeque<Job>>,
    /// When objects are to be handled again though nothing changed.
    again: BTreeMap<(usize, Name), Again>,
    /// KiB that objects may have that are to be handled again.
    waiting: Arc<Semaphore>,
    report: watch::Sender<Report>,
    /// As it was saved last.
    kept: Kept,
}

impl Runner {
    pub(super) fn new(
        identity: Identity,
        ground: &Arc<Ground>,
        account: &Arc<Impersonated>,
        saved: Saved,
        report: watch::Sender<Report>,
    ) -> Self {
        let sources = Source::all(&identity.events);
        let actor = Actor {
            account: Arc::clone(account),
            loops: Arc::clone(&ground.loops),
            manager: format!("verdict.dev/{}", identity.name),
            replica: ground.replica.clone(),
            dry_run: identity.shadow,
        };
        let events = sources.iter().map(|it| it.event.clone()).collect();
        let handler = Handler::new(&identity.name, ground, actor, events);
        let ground = Arc::clone(ground);
        let (queues, again, kept) = (HashMap::new(), BTreeMap::new(), Kept::default());
        let waiting = Arc::new(Semaphore::new(stream::ROOM as usize));
        Self { identity, ground, saved, handler, sources, queues, again, waiting, report, kept }
    }

    /// Until `end` says so, or it is paused. What was handled is saved.
    pub(super) async fn run(mut self, mut end: watch::Receiver<bool>) {
        let kept = loop {
            match self.saved.load().await {
                Ok(kept) => break kept.filter(|it| it.uid == self.identity.uid).unwrap_or_default(),
                Err(error) => {
                    self.trouble("Unreachable", &format!("it cannot be read how far events were handled: {error}"));
                    tokio::select! {
                        () = tokio::time::sleep(RETRY) => {}
                        () = ended(&mut end) => return,
                    }
                }
            }
        };
        let (mut streams, mut steps) = self.begin(&kept);
        self.kept = kept;
        let handler = self.handler.clone();
        let mut going = FuturesUnordered::new();
        let mut next_save = Instant::now() + SAVE;
        let endless = loop {
            let due = self.again.values().map(|it| it.at).min().unwrap_or_else(|| Instant::now() + SAVE);
            tokio::select! {
                Some((source, step)) = steps.recv() => {
                    if let Some(job) = self.take(source, step) {
                        going.push(handler.clone().handle(job));
                    }
                }
                Some((job, handled)) = going.next() => {
                    if let Handled::Endless(why) = handled {
                        break Some(why);
                    }
                    if let Some(next) = self.handled(&job, handled) {
                        going.push(handler.clone().handle(next));
                    }
                }
                () = sleep_until(due) => {
                    for job in self.due() {
                        going.push(handler.clone().handle(job));
                    }
                }
                () = sleep_until(next_save) => {
                    self.save().await;
                    next_save = Instant::now() + SAVE;
                }
                () = ended(&mut end) => break None,
            }
        };
        streams.abort_all();
        self.save().await;
        if let Some(why) = endless {
            warn!(provider = self.identity.name, why, "it is paused until its object changes");
            self.report.send_modify(|it| it.watching = Watching::Paused(why));
            ended(&mut end).await;
        }
    }

    /// Begins to watch.
    fn begin(&mut self, kept: &Kept) -> (JoinSet<()>, mpsc::Receiver<(usize, Step)>) {
        let (out, steps) = mpsc::channel(WAITING);
        let room = Arc::new(Semaphore::new(stream::ROOM as usize));
        let mut streams = JoinSet::new();
        for (number, source) in self.sources.iter_mut().enumerate() {
            let before = kept.sources.get(&source.title);
            let position = before.map_or(Position::Nowhere, |it| Position::Saved(it.resource_version.clone()));
            // What it is now may make something else of what was there before.
            let tells_all = before.is_none_or(|it| it.generation != self.identity.generation);
            // Until everything is told, nothing is handled.
            let version = before.filter(|_| !tells_all).map(|it| it.resource_version.clone());
            source.progress = Progress::from(version);
            source.due = before.map(|it| it.again.clone()).unwrap_or_default();
            let namespace = source.event.namespaces.first().cloned().unwrap_or_default();
            streams.spawn(
                Stream {
                    number,
                    account: Arc::clone(&self.handler.actor.account),
                    source: source.event.clone(),
                    namespace,
                    position,
                    tells_all,
                    due: source.due.keys().cloned().collect(),
                    known: Known::new(Arc::clone(&self.ground.room)),
                    out: out.clone(),
                    room: Arc::clone(&room),
                }
                .run(),
            );
        }
        (streams, steps)
    }

    /// What is to be handled at once.
    fn take(&mut self, number: usize, step: Step) -> Option<Job> {
        let source = self.sources.get_mut(number)?;
        match step {
            Step::Mark(version) => source.progress.mark(version),
            Step::Gap => {
                let (provider, watch) = (&self.identity.name, &source.title);
                warn!(
                    provider,
                    watch,
                    "the cluster does not know any more what happened since it was watched last: deletions may be lost"
                );
                self.ground.metrics.provider_gap(provider);
            }
            Step::State(state) => {
                if let Err((_, message)) = &state
                    && source.state.as_ref().is_none_or(|it| it.as_ref().err() != state.as_ref().err())
                {
                    warn!(provider = self.identity.name, message, "its objects cannot be watched");
                }
                source.state = Some(state);
                self.tell();
            }
            Step::Due(change) => {
                // Its time was saved by somebody who is gone.
                if let Some(due) = source.due.remove(&change.name) {
                    self.later(number, &change, due);
                }
            }
            Step::Untold(kind, name, seen, version) => {
                let key = (number, name);
                if kind == ChangeType::Deleted {
                    self.again.remove(&key);
                } else if let Some(again) = self.again.get_mut(&key) {
                    again.change.renew(seen);
                }
                if let Some(version) = version {
                    source.progress.mark(version);
                }
            }
            Step::Change(change, version) => {
                let job = Job { source: number, number: Some(source.progress.begin(version)), change };
                source.due.remove(&job.change.name);
                self.again.remove(&(number, job.change.name.clone()));
                return self.queue(job);
            }
        }
        None
    }

    /// Gives it back if nothing of the same object is being handled.
    fn queue(&mut self, job: Job) -> Option<Job> {
        let key = (job.source, job.change.name.clone());
        match self.queues.get_mut(&key) {
            Some(waiting) => {
                waiting.push_back(job);
                None
            }
            None => {
                self.queues.insert(key, VecDeque::new());
                Some(job)
            }
        }
    }

    /// Gives what waited for it.
    fn handled(&mut self, job: &Job, handled: Handled) -> Option<Job> {
        let key = (job.source, job.change.name.clone());
        if let (Some(number), Some(source)) = (job.number, self.sources.get_mut(job.source)) {
            source.progress.done(number);
        }
        let name = self.sources.get(job.source).map(|it| format!("{} {}", it.event.kind, job.change.name));
        let name = name.unwrap_or_default();
        self.ground.metrics.provider_change(&self.identity.name, handled.name());
        match handled {
            Handled::Dead(why) => {
                if self.handler.failures.takes() {
                    warn!(provider = self.identity.name, object = name, why, "a change is given up");
                }
                self.report.send_modify(|it| {
                    if it.dead.len() < MOST_DEAD || it.dead.contains_key(&name) {
                        it.dead.insert(name.clone(), text::shorten(&why, LONGEST));
                    }
                });
            }
            Handled::Done(again) => {
                self.report.send_if_modified(|it| it.dead.remove(&name).is_some());
                let is_newest = self.queues.get(&key).is_none_or(VecDeque::is_empty);
                if let Some(seconds) = again.filter(|_| is_newest) {
                    self.later(job.source, &job.change, now() + u64::from(seconds));
                }
            }
            Handled::Endless(_) => {}
        }
        match self.queues.get_mut(&key).and_then(VecDeque::pop_front) {
            Some(next) => Some(next),
            None => {
                self.queues.remove(&key);
                None
            }
        }
    }

    fn later(&mut self, source: usize, change: &Change, due: u64) {
        let at = Instant::now() + Duration::from_secs(due.saturating_sub(now()));
        let key = (source, change.name.clone());
        self.again.remove(&key);
        match change.again(&self.waiting) {
            Some(change) if self.again.len() < MOST_AGAIN => {
                self.again.insert(key, Again { at, due, change });
            }
            _ => {
                if self.handler.failures.takes() {
                    let (provider, object) = (&self.identity.name, &change.name);
                    warn!(provider, object, "it is not handled again after its time: too many others are to be");
                }
            }
        }
    }

    /// Whose time it is.
    fn due(&mut self) -> Vec<Job> {
        let now = Instant::now();
        let due: Vec<_> = self.again.iter().filter(|(_, it)| it.at <= now).map(|(key, _)| key.clone()).collect();
        let jobs = due.into_iter().filter_map(|key| {
            let Again { change, .. } = self.again.remove(&key)?;
            Some(Job { source: key.0, change, number: None })
        });
        let jobs: Vec<Job> = jobs.collect();
        jobs.into_iter().filter_map(|it| self.queue(it)).collect()
    }

    fn tell(&mut self) {
        let states: Vec<_> = self.sources.iter().map(|it| it.state.as_ref()).collect();
        let trouble = states.iter().flatten().find_map(|it| it.as_ref().err());
        let watching = match trouble {
            Some((reason, message)) => Watching::Trouble(reason, text::shorten(&text::line(message), LONGEST)),
            None if states.iter().all(Option::is_some) => Watching::Running,
            None => Watching::Beginning,
        };
        self.report.send_if_modified(|it| {
            let is_new = it.watching != watching;
            it.watching = watching;
            is_new
        });
    }

    fn trouble(&self, reason: &'static str, message: &str) {
        self.report.send_modify(|it| it.watching = Watching::Trouble(reason, text::shorten(message, LONGEST)));
    }

    /// What cannot be saved is handled once more after the next restart.
    async fn save(&mut self) {
        for (number, source) in self.sources.iter().enumerate() {
            // While not everything was told that there is, it is told again.
            let Some(version) = source.progress.version() else { continue };
            let own = self.again.range((number, Name::new())..(number + 1, Name::new()));
            let own = own.map(|((_, name), it)| (name.clone(), it.due));
            let again = own.chain(source.due.iter().map(|(name, due)| (name.clone(), *due))).take(MOST_SAVED).collect();
            let kept =
                saved::Source { generation: self.identity.generation, resource_version: version.to_owned(), again };
            self.kept.sources.insert(source.title.clone(), kept);
        }
        let titles: HashSet<&str> = self.sources.iter().map(|it| it.title.as_str()).collect();
        self.kept.sources.retain(|title, _| titles.contains(title.as_str()));
        self.kept.uid.clone_from(&self.identity.uid);
        if let Err(error) = self.saved.save(self.kept.clone()).await {
            info!(provider = self.identity.name, %error, "it cannot be saved how far events were handled");
        }
    }
}

async fn ended(end: &mut watch::Receiver<bool>) {
    // Whoever could say so is gone, too, if nobody does.
    let _ = end.wait_for(|it| *it).await;
}

/// Changes that are handled, or wait, beside those that their watches hold back.
const WAITING: usize = 256;
/// How often it is written how far everything was handled.
const SAVE: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_secs(2);
/// Objects that are to be handled again.
const MOST_AGAIN: usize = 10_000;
/// Those of one watch that are known after a restart: a ConfigMap takes 1 MiB.
const MOST_SAVED: usize = 1_000;
/// Characters of what is wrong.
const LONGEST: usize = 512;
