//! Replicas, a Secret and what kube-apiserver was told, in simulated time. Each replica has the real [`View`].

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use k8s_openapi::ByteString;

use super::super::{
    DAY, Moment, Published, Times,
    parts::Root,
    step::{Facts, Step},
    stored::{Content, Stored},
    view::View,
};
use crate::certs::CertsError;

pub(super) type Entries = BTreeMap<String, ByteString>;

pub(super) struct Cluster {
    start: Instant,
    /// Since the start.
    pub(super) passed: Duration,
    /// With its version.
    pub(super) secret: Option<(u64, Entries)>,
    version: u64,
    /// Every caBundle that kube-apiserver had, and when it came.
    told: Vec<(Duration, Vec<Root>, String)>,
    pub(super) replicas: Vec<Replica>,
    pub(super) leader: usize,
    pub(super) names: Vec<String>,
    pub(super) times: Times,
}

pub(super) struct Replica {
    pub(super) view: View,
    /// Of the Secret, as it saw it.
    version: Option<u64>,
    looked: Duration,
    pub(super) published: Option<Published>,
    pub(super) offered: Option<String>,
    /// What is being published, and since when.
    in_flight: Option<(Duration, String)>,
    /// How far its clock is ahead, in seconds.
    pub(super) ahead: i64,
}

impl Replica {
    fn new(now: Moment) -> Self {
        let (looked, view) = (Duration::ZERO, View::new(now));
        Self { view, version: None, looked, published: None, offered: None, in_flight: None, ahead: 0 }
    }

    /// The CA of what it presents.
    pub(super) fn presents(&self) -> Option<Root> {
        self.view.presented().map(|it| it.authority.root.clone())
    }
}

impl Cluster {
    pub(super) fn new(replicas: usize) -> Self {
        let start = Instant::now();
        let now = Moment { clock: SystemTime::UNIX_EPOCH, steady: start };
        Self {
            start,
            passed: Duration::ZERO,
            secret: None,
            version: 0,
            told: Vec::new(),
            replicas: (0..replicas).map(|_| Replica::new(now)).collect(),
            leader: 0,
            names: vec!["verdict.verdict.svc".to_owned()],
            times: Times::default(),
        }
    }

    pub(super) fn moment(&self, at: usize) -> Moment {
        let clock = SystemTime::UNIX_EPOCH + BEGIN + self.passed;
        let ahead = Duration::from_secs(self.replicas[at].ahead.unsigned_abs());
        let clock = if self.replicas[at].ahead < 0 { clock - ahead } else { clock + ahead };
        Moment { clock, steady: self.start + self.passed }
    }

    /// A replica reads the Secret.
    pub(super) fn look(&mut self, at: usize) {
        let now = self.moment(at);
        let content = self.secret.as_ref().map_or(Content::Missing, |(_, entries)| Content::read(entries));
        let published = self.replicas[at].published.clone().filter(|_| at == self.leader);
        let replica = &mut self.replicas[at];
        replica.version = self.secret.as_ref().map(|it| it.0);
        replica.looked = self.passed;
        replica.view.saw(content, now);
        replica.view.take(published.as_ref(), now, &self.times);
    }

    pub(super) fn look_all(&mut self) {
        (0..self.replicas.len()).for_each(|at| self.look(at));
    }

    /// One step of the leader: what it wrote, unless somebody else was faster.
    pub(super) fn step(&mut self) -> Result<bool, CertsError> {
        let at = self.leader;
        let now = self.moment(at);
        let replica = &self.replicas[at];
        let facts = Facts { names: &self.names, times: &self.times, now, published: replica.published.as_ref() };
        match replica.view.step(&facts)? {
            None => Ok(false),
            Some(Step { stored, .. }) => {
                if self.secret.as_ref().map(|it| it.0) == replica.version {
                    self.put(stored.entries());
                }
                self.look(at);
                Ok(true)
            }
        }
    }

    /// All steps that can be done now; then the leader offers a caBundle.
    pub(super) fn lead(&mut self) {
        self.look(self.leader);
        for _ in 0..8 {
            if !self.step().expect("good names") {
                break;
            }
        }
        let leader = self.leader;
        let replica = &mut self.replicas[leader];
        if let (Content::Whole(stored), Some(_)) = (&replica.view.content, &replica.published) {
            replica.offered = Some(stored.bundle());
        }
    }

    /// Somebody writes the Secret.
    pub(super) fn put(&mut self, entries: Entries) {
        self.version += 1;
        self.secret = Some((self.version, entries));
    }

    pub(super) fn entries(&self) -> Entries {
        self.secret.clone().expect("a Secret").1
    }

    pub(super) fn stored(&self) -> Stored {
        match Content::read(&self.entries()) {
            Content::Whole(stored) => *stored,
            other => panic!("{other:?}"),
        }
    }

    /// The leader begins to publish what it offers.
    pub(super) fn send(&mut self) {
        let replica = &mut self.replicas[self.leader];
        if let (None, Some(offered)) = (&replica.in_flight, &replica.offered) {
            replica.in_flight = Some((self.passed, offered.clone()));
        }
    }

    /// kube-apiserver has what was sent, and the leader knows.
    pub(super) fn land(&mut self) {
        let Some((_, text)) = self.replicas[self.leader].in_flight.take() else { return };
        if self.told.last().is_none_or(|it| it.2 != text) {
            self.told.push((self.passed, Root::readable(text.as_bytes()), text));
            self.replicas[self.leader].published = None;
        }
        self.learn();
    }

    /// The leader reads what kube-apiserver has, if it does not know.
    pub(super) fn learn(&mut self) {
        let since = self.start + self.passed;
        let known = self.told.last().map(|it| Published::bundle(&it.2, since));
        let replica = &mut self.replicas[self.leader];
        replica.published.get_or_insert_with(|| known.unwrap_or_else(|| Published::nothing(since)));
    }

    pub(super) fn is_published(&self) -> bool {
        !self.told.is_empty()
    }

    pub(super) fn publish(&mut self) {
        self.send();
        self.land();
    }

    /// Another replica leads. What the one before was publishing arrives first, or never.
    pub(super) fn change(&mut self, to: usize, lands: bool) {
        if lands {
            self.land();
        }
        let before = &mut self.replicas[self.leader];
        (before.published, before.offered, before.in_flight) = (None, None, None);
        self.leader = to;
        self.replicas[to].published = None;
    }

    /// A replica ends and starts again, and knows nothing.
    pub(super) fn crash(&mut self, at: usize) {
        let new = Replica::new(self.moment(at));
        self.replicas[at] = Replica { ahead: self.replicas[at].ahead, looked: self.passed, ..new };
    }

    /// Nobody looks later than after five minutes, and nothing is in flight for longer than ten seconds.
    pub(super) fn pass(&mut self, time: Duration) {
        self.passed += time;
        if self.replicas[self.leader].in_flight.as_ref().is_some_and(|it| self.passed - it.0 > Duration::from_secs(10))
        {
            self.land();
        }
        for at in 0..self.replicas.len() {
            if self.passed - self.replicas[at].looked > Duration::from_secs(300) {
                self.look(at);
            }
        }
    }

    /// Everybody does what is to be done, every 20 seconds.
    pub(super) fn live(&mut self, time: Duration) {
        let end = self.passed + time;
        while self.passed < end {
            self.learn();
            self.lead();
            self.publish();
            self.look_all();
            self.check();
            self.passed += Duration::from_secs(20);
        }
    }

    /// What any replica presents has been in the caBundle for a minute, or since there is one.
    pub(super) fn check(&self) {
        let mut until = None;
        for (since, roots, _) in self.told.iter().rev() {
            if until.is_none_or(|it| self.passed - it < Duration::from_secs(60)) {
                for (at, replica) in self.replicas.iter().enumerate() {
                    if let Some(root) = replica.presents() {
                        assert!(roots.contains(&root), "replica {at} presents {root:?}, kube-apiserver had {roots:?}");
                    }
                }
            }
            until = Some(*since);
        }
    }

    /// That was lived through up to the end of a change.
    pub(super) fn is_settled(&self) {
        let stored = self.stored();
        let current = stored.current.as_ref().expect("something to present");
        assert!(stored.next.is_none() && stored.previous.is_empty(), "{stored:?}");
        for replica in &self.replicas {
            assert!(replica.view.presented() == Some(current), "{:?} instead of {stored:?}", replica.presents());
        }
    }
}

/// In the year 2027.
const BEGIN: Duration = Duration::from_secs(20_900 * DAY.as_secs());
