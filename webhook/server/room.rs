//! Who gets room, and who gives way for it: the rules of one budget, decided under its lock.
//!
//! Knows requests by a number, what they hold and will need at most, for whom, and when they last moved. Nothing here waits.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};

use super::{
    pool::{Activity, Caller},
    request::{Entry, Holder, Phase},
    sums::Sums,
    unfinished::Unfinished,
};
use crate::observe::Metrics;

/// The requests of one budget.
pub(super) struct Requests {
    metrics: Arc<Metrics>,
    total: i64,
    /// Below zero when answers are larger than what was asked: those are not refused any more.
    free: i64,
    next: u64,
    /// By age.
    all: BTreeMap<u64, Entry>,
    /// Those that are not yet whole.
    unfinished: Unfinished,
    /// Those of them that wait for room, and for how much.
    waiting: BTreeMap<u64, Waiting>,
    callers: Sums<Caller>,
    connections: Sums<(usize, usize)>,
    /// When all were last looked at for who gives way.
    looked: Instant,
}

#[derive(Clone, Copy)]
struct Waiting {
    bytes: i64,
    holder: Holder,
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
            total: signed(bytes),
            free: signed(bytes),
            next: 0,
            all: BTreeMap::new(),
            unfinished: Unfinished::default(),
            waiting: BTreeMap::new(),
            callers: Sums::default(),
            connections: Sums::default(),
            looked: Instant::now() - BETWEEN_LOOKS,
        }
    }

    /// A request that holds nothing yet, and until it is whole at most `claim` bytes; `word` is given when it got what it waits for, and when
    /// it must leave.
    pub(super) fn begin(
        &mut self,
        caller: Caller,
        connection: Option<Arc<Activity>>,
        claim: i64,
        word: Arc<Notify>,
    ) -> u64 {
        let id = self.next;
        self.next += 1;
        let caller = self.callers.enter(caller);
        // The address of what a connection is known by lives as long as this does; zero where there is none.
        let address = connection.as_ref().map_or(0, |it| Arc::as_ptr(it).addr());
        let holder = Holder { caller, connection: self.connections.enter((caller, address)) };
        let now = Instant::now();
        let entry = Entry {
            holder,
            connection,
            held: 0,
            claim: claim.min(self.total),
            phase: Phase::Reading,
            begun: now,
            since: now,
            waited: Duration::ZERO,
            word,
        };
        self.unfinished.add(id, entry.needs(), 0);
        self.all.insert(id, entry);
        id
    }

    pub(super) fn phase(&self, id: u64) -> Option<Phase> {
        self.all.get(&id).map(|it| it.phase)
    }

    /// Who was told to leave does, unless it had all that it needs.
    pub(super) fn turn(&mut self, id: u64, phase: Phase) {
        let Some(entry) = self.all.get_mut(&id) else { return };
        if entry.phase == Phase::Leaving && phase == Phase::Reading {
            entry.since = Instant::now();
            return;
        }
        let unfinished = entry.unfinished();
        self.enter(id, phase);
        // What it holds will come back: others may go on who had to leave room for it.
        if unfinished && !matches!(phase, Phase::Reading | Phase::Waiting) {
            self.serve();
        }
    }

    fn enter(&mut self, id: u64, phase: Phase) {
        let Some(entry) = self.all.get_mut(&id) else { return };
        let (now, was) = (Instant::now(), entry.phase);
        // Who waits has not moved.
        if was == Phase::Waiting && phase != Phase::Waiting {
            entry.waited += now - entry.since;
        }
        if was != Phase::Waiting || phase != Phase::Waiting {
            entry.since = now;
        }
        entry.phase = phase;
        if !entry.unfinished() {
            self.unfinished.remove(id, entry.needs());
        }
    }

    fn wait(&mut self, id: u64, bytes: i64, holder: Holder) {
        self.enter(id, Phase::Waiting);
        if self.waiting.insert(id, Waiting { bytes, holder }).is_none() {
            self.callers[holder.caller].waiting += 1;
            self.connections[holder.connection].waiting += 1;
        }
    }

    fn wait_no_more(&mut self, id: u64) {
        if let Some(Waiting { holder, .. }) = self.waiting.remove(&id) {
            self.callers[holder.caller].waiting -= 1;
            self.connections[holder.connection].waiting -= 1;
        }
    }

    pub(super) fn ask(&mut self, id: u64, bytes: i64) -> Grant {
        let now = Instant::now();
        let Some(asking) = self.all.get(&id) else { return Grant::Refused };
        let (holder, connected) = (asking.holder, asking.connection.is_some());
        if asking.phase == Phase::Leaving {
            return Grant::Refused;
        }
        if self.has_room(id, bytes) && !self.others_first(holder, bytes) {
            self.grant(id, bytes);
            return Grant::Taken;
        }
        // Those who wait keep unread what came over their connection: few may.
        let beside = self.connections[holder.connection].waiting;
        if connected && beside >= MOST_WAITING_BESIDE && !self.waiting.contains_key(&id) {
            return Grant::Refused;
        }
        self.wait(id, bytes, holder);
        self.serve();
        if self.phase(id) == Some(Phase::Reading) {
            return Grant::Taken;
        }
        let victim = if self.waiting.len() > MOST_WAITING {
            self.youngest_of_whom_most_wait()
        } else if self.looked + BETWEEN_LOOKS > now {
            // The more wait, the rarer each looks.
            let looks = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
            return Grant::Wait(now + BETWEEN_LOOKS.saturating_mul(looks).min(LOOK));
        } else {
            self.looked = now;
            // For whoever has least, not for whoever happens to look: among thousands that wait it would rarely come to look itself.
            let Some((_, Waiting { bytes, holder })) = self.first() else { return Grant::Wait(now + LOOK) };
            self.tell_stalled(now, holder, bytes);
            self.unfinished_of_whom_has_most(now, holder, bytes)
        };
        match victim {
            Some(victim) if victim == id => return Grant::Refused,
            Some(victim) => self.tell(victim),
            None => {}
        }
        Grant::Wait(now + LOOK)
    }

    fn has_room(&self, id: u64, bytes: i64) -> bool {
        let needs = || self.all.get(&id).map_or(0, Entry::needs);
        self.free >= bytes && self.unfinished.safe(id, needs(), bytes, self.total)
    }

    fn grant(&mut self, id: u64, bytes: i64) {
        self.wait_no_more(id);
        self.turn(id, Phase::Reading);
        self.hold(id, bytes);
    }

    /// What is free is for those who wait: first for whoever has least. Where that one needs more, or would be in the way of all others, one
    /// goes on that is near its end, so that it gives back more than it takes.
    fn serve(&mut self) {
        while self.free > 0 {
            let Some((id, Waiting { bytes, .. })) = self.first() else { return };
            let next = if self.has_room(id, bytes) { Some((id, bytes)) } else { self.near_its_end() };
            let Some((id, bytes)) = next else { return };
            self.grant(id, bytes);
            if let Some(entry) = self.all.get(&id) {
                entry.word.notify_one();
            }
        }
    }

    /// Of those that wait, the first of whoever has least.
    fn first(&self) -> Option<(u64, Waiting)> {
        let waiting = self.waiting.iter().map(|(id, it)| (*id, *it));
        waiting.min_by_key(|(id, it)| (self.standing(it.holder), *id))
    }

    /// Of those that wait and may go on, the one that needs least until it is whole, and what it waits for. It holds as much already, unless
    /// nothing comes back otherwise: small requests that come all the time must not keep the room from who waits for more.
    fn near_its_end(&self) -> Option<(u64, i64)> {
        let stuck = || !self.all.values().any(|it| it.held > 0 && it.phase != Phase::Waiting);
        let waiting = || self.unfinished.nearest_first().filter_map(|id| Some((id, self.waiting.get(&id)?.bytes)));
        let half = |(id, _): &(u64, i64)| self.all.get(id).is_some_and(|it| it.held >= it.needs());
        let next = waiting().find(half).or_else(|| waiting().next().filter(|_| stuck()));
        next.filter(|(id, bytes)| self.has_room(*id, *bytes))
    }

    /// Tells all who let the server wait for too long now that others need the room; but nobody for one that would hold more.
    fn tell_stalled(&mut self, now: Instant, asking: Holder, bytes: i64) {
        let patience = |phase| match phase {
            Phase::Reading => Some(STALL),
            Phase::Answering => Some(STALL_READING),
            Phase::Waiting | Phase::Working | Phase::Leaving => None,
        };
        let stalled = self.all.iter().filter(|(_, it)| {
            patience(it.phase).is_some_and(|most| it.since + most * times(it.holder, asking) <= now)
                && !self.has_less(it.holder, 0, asking, bytes)
        });
        let stalled: Vec<u64> = stalled.map(|(id, _)| *id).collect();
        for id in stalled {
            self.tell(id);
        }
    }

    /// Somebody waits who would hold less with what it waits for than this one: what comes free is not for whoever asks most.
    fn others_first(&self, asking: Holder, bytes: i64) -> bool {
        self.waiting.values().any(|it| self.has_less(it.holder, it.bytes, asking, bytes))
    }

    /// Whether one would hold less than another, each with so many bytes more: as a caller, or as one of the connections of the same caller.
    fn has_less(&self, one: Holder, more: i64, other: Holder, other_more: i64) -> bool {
        let (one, other) = if one.caller != other.caller {
            (self.callers[one.caller].held, self.callers[other.caller].held)
        } else if one.connection != other.connection {
            (self.connections[one.connection].held, self.connections[other.connection].held)
        } else {
            return false;
        };
        one + more < other + other_more
    }

    /// The youngest that is not yet whole though it had time for it, of the caller or the connection that holds most, if that is more than
    /// this one would.
    fn unfinished_of_whom_has_most(&self, now: Instant, asking: Holder, bytes: i64) -> Option<u64> {
        let unfinished = self.all.iter().filter(|(_, it)| {
            it.held > 0
                && it.unfinished()
                && it.sending(now) >= STALL * times(it.holder, asking)
                && self.has_less(asking, bytes, it.holder, 0)
        });
        unfinished.max_by_key(|(id, it)| (self.standing(it.holder), **id)).map(|(id, _)| *id)
    }

    /// The youngest that waits, of the caller and the connection of whom most do, or that hold most.
    fn youngest_of_whom_most_wait(&self) -> Option<u64> {
        let key =
            |it: Holder| (self.callers[it.caller].waiting, self.connections[it.connection].waiting, self.standing(it));
        self.waiting.iter().max_by_key(|(id, it)| (key(it.holder), **id)).map(|(id, _)| *id)
    }

    /// What its caller holds, and what its connection does.
    fn standing(&self, holder: Holder) -> (i64, i64) {
        (self.callers[holder.caller].held, self.connections[holder.connection].held)
    }

    fn tell(&mut self, victim: u64) {
        self.wait_no_more(victim);
        let Some(entry) = self.all.get(&victim) else { return };
        match (entry.phase, &entry.connection) {
            // Nobody looks after an answer that is on its way but its connection.
            (Phase::Answering, Some(connection)) => connection.end(),
            _ => entry.word.notify_one(),
        }
        self.enter(victim, Phase::Leaving);
    }

    pub(super) fn held(&self, id: u64) -> i64 {
        self.all.get(&id).map_or(0, |it| it.held)
    }

    /// So many bytes more, or less.
    pub(super) fn hold(&mut self, id: u64, more: i64) {
        let Some(entry) = self.all.get_mut(&id) else { return };
        let unfinished = entry.unfinished();
        if unfinished {
            self.unfinished.remove(id, entry.needs());
        }
        entry.held += more;
        if unfinished {
            self.unfinished.add(id, entry.needs(), entry.held);
        }
        self.free -= more;
        let holder = entry.holder;
        self.callers[holder.caller].held += more;
        self.connections[holder.connection].held += more;
        self.metrics.body_bytes(more);
        if more < 0 {
            self.serve();
        }
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.wait_no_more(id);
        self.enter(id, Phase::Leaving);
        self.hold(id, -self.held(id));
        if let Some(entry) = self.all.remove(&id) {
            self.callers.leave(entry.holder.caller);
            self.connections.leave(entry.holder.connection);
        }
    }
}

/// So many times as long a request may take where one of the same caller wants its room.
fn times(holder: Holder, asking: Holder) -> u32 {
    if holder.caller == asking.caller { OWN } else { 1 }
}

pub(super) fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Silence after which a request gives way to others.
pub(super) const STALL: Duration = Duration::from_secs(1);
/// The same for answers, which the caller may first have to make room for.
pub(super) const STALL_READING: Duration = Duration::from_secs(2);
/// So many times longer a request may be silent, and so long it may take to be sent, where those that want its room are of the same caller:
/// a machine that sends very many at once is slow itself.
pub(super) const OWN: u32 = 4;
/// Who waits looks so often for who gives way.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// All together look so often at most: there may be tens of thousands of requests to look at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
pub(super) const MOST_WAITING: usize = 1024;
/// Of one connection: more would fill its window, and keep others on it from sending.
pub(super) const MOST_WAITING_BESIDE: i64 = 4;
