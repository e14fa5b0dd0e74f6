//! One change asked of the policy, and what it wants done about it: again and again with more patience, until it is done or given up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, time::sleep};
use tracing::info;

use super::{
    act::{Actor, NotDone},
    loops::DEEPEST,
    parts::{Ground, Job},
    stream::Change,
};
use crate::{
    observe::flood::{Flow, Quota},
    policy::{Ask, Which},
    review,
    spec::{EventSource, Failure, Interface},
    text,
};

/// Of one provider.
#[derive(Clone)]
pub(super) struct Handler {
    name: Arc<str>,
    ground: Arc<Ground>,
    pub(super) actor: Arc<Actor>,
    /// How many changes are handled at the same time.
    turns: Arc<Semaphore>,
    events: Arc<[EventSource]>,
    /// Users provoke these lines.
    answers: Arc<Quota>,
    pub(super) failures: Arc<Quota>,
}

/// What came of a change.
pub(super) enum Handled {
    /// It is done; after how many seconds the object is to be handled again.
    Done(Option<u32>),
    /// It was given up.
    Dead(String),
    /// The provider answers its own changes with more of them.
    Endless(String),
}

impl Handled {
    /// The value of the metric label `result`.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Done(_) => "handled",
            Self::Dead(_) | Self::Endless(_) => "dead",
        }
    }
}

impl Handler {
    /// `events` is what it is told of, by the numbers of its watches.
    pub(super) fn new(name: &str, ground: &Arc<Ground>, actor: Actor, events: Vec<EventSource>) -> Self {
        Self {
            name: name.into(),
            ground: Arc::clone(ground),
            actor: Arc::new(actor),
            turns: Arc::new(Semaphore::new(TOGETHER)),
            events: events.into(),
            answers: Quota::new(name, "a change was handled", Flow::WORDS),
            failures: Quota::new(name, "a change is handled again later, or given up", Flow::FAILURES),
        }
    }

    /// Handles it.
    pub(super) async fn handle(self, job: Job) -> (Job, Handled) {
        let handled = self.ended(&job).await;
        (job, handled)
    }

    async fn ended(&self, job: &Job) -> Handled {
        let Some(event) = self.events.get(job.source) else { return Handled::Done(None) };
        let (mut tries, mut waits) = (0, 0);
        let mut patience = SHORTEST;
        loop {
            let loops = &self.ground.loops;
            loops.settled(&target(event, &job.change)).await;
            // What comes after a time is nobody's doing.
            let depth = if job.is_change() { loops.depth(&job.change.seen.uid, &job.change.seen.version) } else { 0 };
            if depth >= DEEPEST {
                return Handled::Endless(format!(
                    "it triggers itself: {} {} was changed {depth} times, each time by what it had done about the change before",
                    event.kind,
                    job.change.name.trim_start_matches('/'),
                ));
            }
            let why = match self.once(event, &job.change, depth).await {
                Ok(again) => return Handled::Done(again),
                Err(NotDone::Refused(why)) => {
                    tries += 1;
                    why
                }
                Err(NotDone::NotNow(why)) => {
                    waits += 1;
                    why
                }
            };
            if tries >= MOST_TRIES || waits >= MOST_WAITS {
                return Handled::Dead(why);
            }
            if self.failures.takes() {
                info!(provider = &*self.name, object = job.change.name, why, "a change is handled again later");
            }
            self.ground.metrics.provider_change(&self.name, "retried");
            sleep(patience).await;
            patience = (patience * 2).min(LONGEST);
        }
    }

    async fn once(&self, event: &EventSource, change: &Change, depth: u32) -> Result<Option<u32>, NotDone> {
        let _turn = self.turns.acquire().await.map_err(|_| NotDone::NotNow("the server ends".to_owned()))?;
        let told = review::change::Change {
            kind: change.kind,
            object: &change.object,
            old_object: change.old.as_deref(),
            replayed: change.replayed,
        };
        let raw = told.json();
        // Its own limit is shorter: kube-apiserver does not wait for it.
        let deadline = Instant::now() + LONGEST_CALL;
        let ask = Ask { raw: &raw, deadline, watch: None, trail: None, now: None, audit: false };
        let set = self.ground.live.set();
        if let Some(asked) = set.select(Interface::Changes, Which::One(&self.name)) {
            let actions = asked.handle_change(ask, &told).await.map_err(|it| failed(it.as_ref()))?;
            return self.actor.act(actions, change, (&event.api_version, &event.kind), depth + 1).await;
        }
        let asked = set.select(Interface::Provider, Which::One(&self.name)).ok_or_else(|| failed(None))?;
        let answer = asked.told_of(ask).await.map_err(|it| failed(it.as_ref()))?;
        if !self.answers.takes() {
            return Ok(None);
        }
        let answer = text::shorten(&text::line(answer.get()), LONGEST_ANSWER);
        info!(
            provider = &*self.name,
            object = change.name,
            r#type = change.kind.name(),
            answer,
            "a change was handled"
        );
        Ok(None)
    }
}

fn failed(failure: Option<&Failure>) -> NotDone {
    match failure {
        None => NotDone::NotNow("the policy is not loaded".to_owned()),
        Some(failure @ (Failure::Overload | Failure::Concurrency | Failure::NotLoaded)) => {
            NotDone::NotNow(failure.to_string())
        }
        Some(failure) => NotDone::Refused(failure.to_string()),
    }
}

fn target(event: &EventSource, change: &Change) -> super::loops::Target {
    let group = event.api_version.split_once('/').map_or("", |(group, _)| group);
    let (namespace, name) = change.name.split_once('/').unwrap_or_default();
    (group.to_owned(), event.kind.clone(), namespace.to_owned(), name.to_owned())
}

/// Of one provider.
const TOGETHER: usize = 4;
/// What is refused so often is given up: after some 15 s.
const MOST_TRIES: u32 = 6;
/// And so is what could not even be tried: after some ten minutes.
const MOST_WAITS: u32 = 25;
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// As long as any policy may take.
const LONGEST_CALL: Duration = Duration::from_secs(60);
/// Bytes of an answer in the log.
const LONGEST_ANSWER: usize = 1024;
