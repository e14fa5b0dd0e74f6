//! Who gets room, and who gives way for it: the rules of one budget, decided under its lock.
//!
//! Knows requests by a number, what they hold, for whom, and when they last moved. Nothing here waits.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::pool::{Activity, Caller};
use crate::metrics::Metrics;

/// The requests of one budget.
pub(super) struct Requests {
    metrics: Arc<Metrics>,
    /// Below zero when answers are larger than what was asked: those are not refused any more.
    free: i64,
    next: u64,
    /// By age.
    all: BTreeMap<u64, Entry>,
    /// Those of them that wait for room: for how much, and since when.
    waiting: BTreeMap<u64, (i64, Instant)>,
    /// What each caller holds, and each connection.
    callers: HashMap<Caller, i64>,
    connections: HashMap<Holder, i64>,
    /// When all were last looked at for who gives way.
    looked: Instant,
}

/// For whom something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Holder {
    caller: Caller,
    /// The address of what its connection is known by, which lives as long as this does; zero where there is none.
    connection: usize,
}

struct Entry {
    holder: Holder,
    connection: Option<Arc<Activity>>,
    held: i64,
    phase: Phase,
    /// When it last moved.
    since: Instant,
    /// It got what it waited for, or must leave.
    word: Arc<Notify>,
}

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its caller sends.
    Reading,
    /// For room.
    Waiting,
    /// Read whole: the server owes an answer, and that has a deadline.
    Working,
    /// Its caller reads.
    Answering,
    /// It was told to give back what it holds.
    Leaving,
}

/// What comes of asking for more.
pub(super) enum Grant {
    Taken,
    /// Until then, if there is no word before.
    Wait(Instant),
    Refused,
}

impl Requests {
    pub(super) fn new(bytes: usize, metrics: &Arc<Metrics>) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            free: signed(bytes),
            next: 0,
            all: BTreeMap::new(),
            waiting: BTreeMap::new(),
            callers: HashMap::new(),
            connections: HashMap::new(),
            looked: Instant::now() - BETWEEN_LOOKS,
        }
    }

    /// A request that holds nothing yet; `word` is given when it got what it waits for, and when it must leave.
    pub(super) fn begin(&mut self, caller: Caller, connection: Option<Arc<Activity>>, word: Arc<Notify>) -> u64 {
        let id = self.next;
        self.next += 1;
        let holder = Holder { caller, connection: connection.as_ref().map_or(0, |it| Arc::as_ptr(it).addr()) };
        let (since, phase) = (Instant::now(), Phase::Reading);
        self.all.insert(id, Entry { holder, connection, held: 0, phase, since, word });
        id
    }

    pub(super) fn phase(&self, id: u64) -> Option<Phase> {
        self.all.get(&id).map(|it| it.phase)
    }

    /// Who was told to leave does, unless it had all that it needs.
    pub(super) fn turn(&mut self, id: u64, phase: Phase) {
        let Some(entry) = self.all.get_mut(&id) else { return };
        entry.since = Instant::now();
        if entry.phase != Phase::Leaving || phase != Phase::Reading {
            entry.phase = phase;
        }
    }

    pub(super) fn ask(&mut self, id: u64, bytes: i64) -> Grant {
        let now = Instant::now();
        let Some(asking) = self.all.get(&id) else { return Grant::Refused };
        let holder = asking.holder;
        if asking.phase == Phase::Leaving {
            return Grant::Refused;
        }
        if self.free >= bytes && !self.others_first(holder, bytes) {
            self.grant(id, bytes);
            return Grant::Taken;
        }
        self.turn(id, Phase::Waiting);
        let (_, since) = *self.waiting.entry(id).and_modify(|it| it.0 = bytes).or_insert((bytes, now));
        // Those who wait keep unread what came over their connection: few may.
        let beside = self.waiting.keys().filter(|it| self.all.get(it).is_some_and(|it| it.holder == holder));
        if holder.connection != 0 && beside.count() > MOST_WAITING_BESIDE {
            return Grant::Refused;
        }
        let victim = if self.waiting.len() > MOST_WAITING {
            self.youngest_of_whom_most_wait()
        } else if self.looked + BETWEEN_LOOKS > now {
            return Grant::Wait(self.looked + BETWEEN_LOOKS);
        } else {
            self.looked = now;
            self.tell_stalled(now, holder, bytes);
            self.unfinished_of_whom_has_most(holder, bytes, since + BURST <= now).or_else(|| self.deadlocked())
        };
        match victim {
            Some(victim) if victim == id => return Grant::Refused,
            Some(victim) => self.tell(victim),
            None => {}
        }
        Grant::Wait(now + LOOK)
    }

    fn grant(&mut self, id: u64, bytes: i64) {
        self.waiting.remove(&id);
        self.turn(id, Phase::Reading);
        self.hold(id, bytes);
    }

    /// What came free is for those who wait: first for whoever has least.
    fn serve(&mut self) {
        while self.free > 0 {
            let waiting =
                self.waiting.iter().filter_map(|(id, (bytes, _))| Some((*id, *bytes, self.all.get(id)?.holder)));
            let Some((id, bytes, _)) = waiting.min_by_key(|(id, _, holder)| (self.standing(*holder), *id)) else {
                return;
            };
            if self.free < bytes {
                return;
            }
            self.grant(id, bytes);
            if let Some(entry) = self.all.get(&id) {
                entry.word.notify_one();
            }
        }
    }

    /// Tells all who let the server wait for too long now that others need the room; but nobody for one that would hold more.
    fn tell_stalled(&mut self, now: Instant, asking: Holder, bytes: i64) {
        let patience = |phase| match phase {
            Phase::Reading => Some(STALL),
            Phase::Answering => Some(STALL_READING),
            Phase::Waiting | Phase::Working | Phase::Leaving => None,
        };
        let stalled = self.all.iter().filter(|(_, it)| {
            let times = if it.holder.caller == asking.caller { OWN } else { 1 };
            patience(it.phase).is_some_and(|most| it.since + most * times <= now)
                && !self.has_less(it.holder, 0, asking, bytes)
        });
        let stalled: Vec<u64> = stalled.map(|(id, _)| *id).collect();
        for id in stalled {
            self.tell(id);
        }
    }

    /// Somebody waits who would hold less with what it waits for than this one: what comes free is not for whoever asks most.
    fn others_first(&self, asking: Holder, bytes: i64) -> bool {
        let mut waiting = self.waiting.iter().filter_map(|(id, (bytes, _))| Some((self.all.get(id)?.holder, *bytes)));
        waiting.any(|(other, needs)| self.has_less(other, needs, asking, bytes))
    }

    /// Whether one would hold less than another, each with so many bytes more: as a caller, or as one of the connections of the same caller.
    fn has_less(&self, one: Holder, more: i64, other: Holder, other_more: i64) -> bool {
        let (one, other) = if one.caller == other.caller {
            if one.connection == other.connection {
                return false;
            }
            (self.connections.get(&one), self.connections.get(&other))
        } else {
            (self.callers.get(&one.caller), self.callers.get(&other.caller))
        };
        one.copied().unwrap_or_default() + more < other.copied().unwrap_or_default() + other_more
    }

    /// The youngest that is not yet whole, of the caller or the connection that holds most, if that is more than this one would. Among the
    /// requests of one caller this one waits a moment first (`waited`): mostly they come in bursts, and room comes free by itself.
    fn unfinished_of_whom_has_most(&self, asking: Holder, bytes: i64, waited: bool) -> Option<u64> {
        let unfinished = self.all.iter().filter(|(_, it)| {
            it.held > 0
                && matches!(it.phase, Phase::Reading | Phase::Waiting)
                && (waited || it.holder.caller != asking.caller)
                && self.has_less(asking, bytes, it.holder, 0)
        });
        unfinished.max_by_key(|(id, it)| (self.standing(it.holder), **id)).map(|(id, _)| *id)
    }

    /// The youngest that waits, of the caller and the connection of whom most do, or that hold most.
    fn youngest_of_whom_most_wait(&self) -> Option<u64> {
        let waiting = || self.waiting.keys().filter_map(|id| Some((*id, self.all.get(id)?.holder)));
        let (mut callers, mut connections) = (HashMap::new(), HashMap::new());
        for (_, holder) in waiting() {
            *callers.entry(holder.caller).or_insert(0) += 1;
            *connections.entry(holder).or_insert(0) += 1;
        }
        let key = |holder: Holder| (callers[&holder.caller], connections[&holder], self.standing(holder));
        waiting().max_by_key(|(id, holder)| (key(*holder), *id)).map(|(id, _)| id)
    }

    /// What its caller holds, and what its connection does.
    fn standing(&self, holder: Holder) -> (i64, i64) {
        let caller = self.callers.get(&holder.caller).copied().unwrap_or_default();
        (caller, self.connections.get(&holder).copied().unwrap_or_default())
    }

    /// If all wait, and only for each other, the youngest.
    fn deadlocked(&self) -> Option<u64> {
        let holders = self.all.iter().filter(|(_, it)| it.held > 0);
        let mut holders = holders.map(|(id, it)| self.waiting.contains_key(id) && it.phase == Phase::Waiting);
        if holders.all(|waits| waits) { self.waiting.last_key_value().map(|(id, _)| *id) } else { None }
    }

    fn tell(&mut self, victim: u64) {
        self.waiting.remove(&victim);
        let Some(entry) = self.all.get_mut(&victim) else { return };
        match (entry.phase, &entry.connection) {
            // Nobody looks after an answer that is on its way but its connection.
            (Phase::Answering, Some(connection)) => connection.end(),
            _ => entry.word.notify_one(),
        }
        entry.phase = Phase::Leaving;
    }

    pub(super) fn held(&self, id: u64) -> i64 {
        self.all.get(&id).map_or(0, |it| it.held)
    }

    /// So many bytes more, or less.
    pub(super) fn hold(&mut self, id: u64, more: i64) {
        let Some(entry) = self.all.get_mut(&id) else { return };
        entry.held += more;
        self.free -= more;
        let holder = entry.holder;
        add(&mut self.callers, holder.caller, more);
        add(&mut self.connections, holder, more);
        self.metrics.body_bytes(more);
        if more < 0 {
            self.serve();
        }
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.waiting.remove(&id);
        self.hold(id, -self.held(id));
        self.all.remove(&id);
    }
}

/// What is zero is forgotten.
fn add<K: Eq + Hash>(sums: &mut HashMap<K, i64>, key: K, more: i64) {
    let sum = sums.get(&key).copied().unwrap_or_default() + more;
    if sum == 0 {
        sums.remove(&key);
    } else {
        sums.insert(key, sum);
    }
}

pub(super) fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Silence after which a request gives way to others.
pub(super) const STALL: Duration = Duration::from_secs(1);
/// The same for answers, which the caller may first have to make room for.
pub(super) const STALL_READING: Duration = Duration::from_secs(2);
/// So many times longer a request may be silent where those that want its room are of the same caller: a machine that sends very many at
/// once is slow itself.
pub(super) const OWN: u32 = 4;
/// So long requests of one caller wait for each other before the largest gives way.
const BURST: Duration = Duration::from_millis(800);
/// Who waits looks so often for who gives way.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// All together look so often at most: there may be tens of thousands of requests to look at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
pub(super) const MOST_WAITING: usize = 1024;
/// Of one connection: more would fill its window, and keep others on it from sending.
pub(super) const MOST_WAITING_BESIDE: usize = 4;
