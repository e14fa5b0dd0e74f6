//! Room for connections: a newcomer always gets in, and where there is no room the one that was silent for longest goes.
//!
//! Knows neither TLS nor HTTP: who owns a connection, when its last byte moved, and whether the server owes it something.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use super::socket::{Glance, Socket};

/// Whose connection it is: the SHA-256 of the client's certificate; `None` for whoever shows none.
///
/// Not the address: one address may be many kube-apiservers, and one attacker has many addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Caller(pub(crate) Option<[u8; 32]>);

/// What one connection does.
pub(crate) struct Activity {
    /// When a byte last came or went, in microseconds of a clock of this process.
    last: AtomicU64,
    /// What the server owes: requests that came whole, handshakes that wait for their turn.
    owed: AtomicUsize,
    leave: Notify,
    /// None in tests.
    glance: Option<Glance>,
}

/// While this lives, the connection waits for the server and not the other way round.
pub(crate) struct Owed(Arc<Activity>);

impl Activity {
    pub(crate) fn of(socket: &Socket) -> Arc<Self> {
        Self::with(Some(socket.glance()))
    }

    fn with(glance: Option<Glance>) -> Arc<Self> {
        Arc::new(Self { last: AtomicU64::new(clock()), owed: AtomicUsize::new(0), leave: Notify::new(), glance })
    }

    /// Of no connection.
    #[cfg(test)]
    pub(crate) fn new() -> Arc<Self> {
        Self::with(None)
    }

    /// A byte came or went.
    pub(super) fn touch(&self) {
        self.last.store(clock(), Ordering::Relaxed);
    }

    pub(super) fn owe(self: &Arc<Self>) -> Owed {
        self.owed.fetch_add(1, Ordering::AcqRel);
        Owed(Arc::clone(self))
    }

    /// Something came that the server has not read yet.
    fn unread(&self) -> bool {
        self.glance.as_ref().is_some_and(Glance::unread)
    }

    fn is_owed(&self) -> bool {
        self.owed.load(Ordering::Acquire) > 0
    }

    /// The connection must end, since others need what it holds.
    pub(super) fn end(&self) {
        self.leave.notify_one();
    }

    /// Until [`Activity::end`].
    pub(crate) async fn ended(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        // What was owed came just now: from here on the caller has to move.
        self.0.touch();
        self.0.owed.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Connections of one kind, at most `capacity`, and at most `share` of a caller that shows a certificate: those that show none are one
/// caller here, although they may be many.
pub(crate) struct Pool {
    capacity: usize,
    share: usize,
    places: Mutex<Places>,
    /// Somebody gave a place back.
    left: Notify,
}

struct Places {
    /// Until then nobody will have been silent for more than a moment.
    nobody_before: Instant,
    next: u64,
    total: usize,
    callers: HashMap<Caller, HashMap<u64, Arc<Activity>>>,
}

/// A connection's place; given back when dropped, unless it was taken away before.
pub(crate) struct Place {
    pool: Arc<Pool>,
    caller: Caller,
    id: u64,
}

impl Pool {
    pub(crate) fn new(capacity: usize, share: usize) -> Arc<Self> {
        let (capacity, share) = (capacity.max(1), share.max(1));
        let places = Places { nobody_before: Instant::now(), next: 0, total: 0, callers: HashMap::new() };
        Arc::new(Self { capacity, share, places: Mutex::new(places), left: Notify::new() })
    }

    /// A place for this connection. Where that is one too many, another ends: of the same caller if that one has used up its share,
    /// else of the caller who has most. First those that wait for their caller, the longest silent before all; those that wait for the
    /// server only when there are no others.
    pub(crate) fn enter(self: &Arc<Self>, caller: Caller, activity: &Arc<Activity>) -> Place {
        let mut places = self.lock();
        if let Some(from) = places.excess(self, caller) {
            places.end_longest_silent(from);
        }
        let id = places.add(caller, activity);
        Place { pool: Arc::clone(self), caller, id }
    }

    /// As [`Pool::enter`], but nobody goes who waits for the server, or was silent only for a moment: rather the newcomer waits. That is over
    /// soon, whatever callers do.
    pub(crate) async fn enter_when_free(self: &Arc<Self>, caller: Caller, activity: &Arc<Activity>) -> Place {
        loop {
            let wait = {
                let mut places = self.lock();
                let wait = match places.excess(self, caller) {
                    None => Duration::ZERO,
                    Some(from) => {
                        let known = places.nobody_before.saturating_duration_since(Instant::now());
                        if known.is_zero() { places.end_silent(from) } else { known }
                    }
                };
                if wait.is_zero() {
                    let id = places.add(caller, activity);
                    return Place { pool: Arc::clone(self), caller, id };
                }
                places.nobody_before = Instant::now() + wait;
                wait
            };
            let _ = timeout(wait, self.left.notified()).await;
        }
    }

    /// Ends the connection that was silent for longest, for want of something that all share. False: there is none.
    pub(crate) fn end_one(&self) -> bool {
        let mut places = self.lock();
        places.largest().is_some_and(|from| places.end_longest_silent(from))
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // A poisoned lock only says that another thread panicked: the map itself is whole.
        self.places.lock().unwrap_or_else(|error| error.into_inner())
    }
}

impl Places {
    /// Who must give up a connection so that this caller gets one.
    fn excess(&self, pool: &Pool, caller: Caller) -> Option<Caller> {
        let share = if caller.0.is_some() { pool.share } else { pool.capacity };
        if self.callers.get(&caller).is_some_and(|it| it.len() >= share) {
            return Some(caller);
        }
        if self.total >= pool.capacity { self.largest() } else { None }
    }

    fn largest(&self) -> Option<Caller> {
        self.callers.iter().max_by_key(|(_, connections)| connections.len()).map(|(caller, _)| *caller)
    }

    /// The one that was silent for longest, and when its last byte moved. What came and was not read yet is no silence: where the server is
    /// behind, nobody goes for that; but that is looked at only where the silence is longer than `patience`.
    fn longest_silent(&self, caller: Caller, even_owed: bool, patience: Duration) -> Option<(u64, u64)> {
        let connections = self.callers.get(&caller)?;
        let begun = clock();
        let candidates = connections
            .iter()
            .map(|(id, activity)| Reverse((activity.is_owed(), activity.last.load(Ordering::Relaxed), *id)))
            .filter(|Reverse((owed, ..))| even_owed || !owed);
        let mut candidates: BinaryHeap<_> = candidates.collect();
        let mut unread = None;
        while let Some(Reverse((owed, last, id))) = candidates.pop() {
            if owed && unread.is_some() {
                break;
            }
            if owed || last.saturating_add(micros(patience)) > begun || !connections[&id].unread() {
                return Some((id, last));
            }
            connections[&id].touch();
            unread = unread.or(Some((id, begun)));
        }
        unread
    }

    fn end_longest_silent(&mut self, caller: Caller) -> bool {
        let victim = self.longest_silent(caller, true, Duration::ZERO);
        if let Some((id, _)) = victim {
            self.end(caller, id);
        }
        victim.is_some()
    }

    /// Ends the one that was silent for longest, if that was more than a moment; else says how long to wait until there may be one.
    fn end_silent(&mut self, caller: Caller) -> Duration {
        let Some((id, last)) = self.longest_silent(caller, false, SILENCE) else { return SILENCE };
        let left = SILENCE.saturating_sub(Duration::from_micros(clock().saturating_sub(last)));
        if left.is_zero() {
            self.end(caller, id);
        }
        left
    }

    fn add(&mut self, caller: Caller, activity: &Arc<Activity>) -> u64 {
        let id = self.next;
        self.next += 1;
        self.total += 1;
        self.callers.entry(caller).or_default().insert(id, Arc::clone(activity));
        id
    }

    fn end(&mut self, caller: Caller, id: u64) {
        if let Some(activity) = self.remove(caller, id) {
            activity.end();
        }
    }

    fn remove(&mut self, caller: Caller, id: u64) -> Option<Arc<Activity>> {
        let connections = self.callers.get_mut(&caller)?;
        let removed = connections.remove(&id)?;
        if connections.is_empty() {
            self.callers.remove(&caller);
        }
        self.total -= 1;
        Some(removed)
    }
}

impl Place {
    /// How many connections its caller has, this one included.
    pub(crate) fn of_caller(&self) -> usize {
        self.pool.lock().callers.get(&self.caller).map_or(1, HashMap::len)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.pool.lock().remove(self.caller, self.id);
        self.pool.left.notify_one();
    }
}

fn clock() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let since = Instant::now().saturating_duration_since(*START);
    micros(since)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Time for a caller that is far away, or busy, to answer in its handshake.
const SILENCE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::Pin, task::Poll};

    use futures_util::FutureExt as _;

    use super::*;

    const A: Caller = Caller(Some([1; 32]));
    const B: Caller = Caller(Some([2; 32]));

    async fn ready(mut future: Pin<&mut impl Future>) -> bool {
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
    }

    async fn ended(activity: &Activity) -> bool {
        activity.ended().now_or_never().is_some()
    }

    async fn enter(pool: &Arc<Pool>, caller: Caller) -> (Arc<Activity>, Place) {
        // So that each has a time of its own.
        tokio::time::advance(Duration::from_millis(1)).await;
        let activity = Activity::new();
        let place = pool.enter(caller, &activity);
        (activity, place)
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_silent_makes_room() {
        let pool = Pool::new(2, 2);
        let (first, _first) = enter(&pool, A).await;
        let (second, second_place) = enter(&pool, A).await;
        tokio::time::advance(Duration::from_millis(1)).await;
        first.touch();
        let (third, _third) = enter(&pool, A).await;
        assert!(!ended(&first).await && ended(&second).await && !ended(&third).await);
        // Its place was taken away: giving it back changes nothing.
        drop(second_place);
        let (_fourth, _place) = enter(&pool, A).await;
        assert!(ended(&first).await && !ended(&third).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_server_goes_last() {
        let pool = Pool::new(2, 2);
        let (first, _first) = enter(&pool, A).await;
        let owed = first.owe();
        let (second, _second) = enter(&pool, A).await;
        let (third, _third) = enter(&pool, A).await;
        assert!(!ended(&first).await && ended(&second).await);
        let _owed_too = third.owe();
        drop(owed);
        let owed = first.owe();
        // Nobody is silent: the newcomer waits until somebody is.
        let activity = Activity::new();
        let waits = pool.enter_when_free(A, &activity);
        let mut waits = std::pin::pin!(waits);
        assert!(!ready(waits.as_mut()).await);
        drop(owed);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!ready(waits.as_mut()).await, "it was silent for a moment only");
        tokio::time::advance(SILENCE).await;
        assert!(ready(waits.as_mut()).await);
        assert!(ended(&first).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_does_not_take_the_place_of_another() {
        let pool = Pool::new(3, 2);
        let (one, _one) = enter(&pool, A).await;
        let (two, _two) = enter(&pool, A).await;
        let (honest, _honest) = enter(&pool, B).await;
        // Over A's share: one of A's goes.
        let (three, _three) = enter(&pool, A).await;
        assert!(ended(&one).await && !ended(&honest).await);
        // Full: the one who has most gives way.
        let (_new, _place) = enter(&pool, Caller(None)).await;
        assert!(ended(&two).await && !ended(&three).await && !ended(&honest).await);
        assert!(pool.end_one());
    }
}
