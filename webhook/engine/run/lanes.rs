//! How much may run at once: two lanes of fixed size, and the instances that rest in them between two reviews.
//!
//! Who somebody is and what they may do is asked in a lane of its own, which admission and events cannot use up. What rests
//! holds its room only while nobody else wants it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::{Capacity, live::Live, runtime::pages};
use crate::spec::{Interface, Limits};

/// Everything that may run at once.
pub(super) struct Lanes {
    /// Authentication and authorization.
    identity: Lane,
    /// Everything else.
    others: Lane,
}

/// One lane's room.
pub(super) struct Lane {
    size: Size,
    /// A permit is a place in the pool: an instance, [`MEMORIES_PER_SLOT`] and [`TABLES_PER_SLOT`].
    slots: Arc<Semaphore>,
    /// A permit is one Wasm page of memory.
    pages: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

/// How much a lane has, or an instance takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) slots: u32,
    /// In bytes.
    pub(super) memory: usize,
}

#[derive(Default)]
struct Idle {
    /// Calls that wait for room. While there are any, no instance comes to rest.
    waiting: usize,
    /// The one that has rested for longest comes first.
    resting: VecDeque<Resting>,
}

struct Resting {
    owner: u64,
    since: Instant,
    live: Live,
}

/// Room for one instance.
pub(super) struct Place {
    _slots: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
}

impl Lanes {
    pub(super) fn new(capacity: Capacity) -> Self {
        let [identity, others] = sizes(capacity);
        Self { identity: Lane::new(identity), others: Lane::new(others) }
    }

    /// Where reviews of this interface run.
    pub(super) fn of(&self, interface: Interface) -> &Lane {
        match interface {
            Interface::Authentication | Interface::Authorization => &self.identity,
            Interface::Validating | Interface::Mutating | Interface::Provider => &self.others,
        }
    }

    pub(super) fn all(&self) -> [&Lane; 2] {
        [&self.identity, &self.others]
    }
}

impl Lane {
    fn new(size: Size) -> Self {
        Self {
            size,
            slots: Arc::new(Semaphore::new(size.slots as usize)),
            pages: Arc::new(Semaphore::new(pages(size.memory) as usize)),
            idle: Mutex::default(),
        }
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// How many instances of this size fit.
    pub(super) fn fits(&self, need: Size) -> usize {
        let slots = self.size.slots / need.slots.max(1);
        (self.size.memory / need.memory.max(1)).min(slots as usize)
    }

    /// Slots and bytes that are taken, by instances that rest too.
    pub(super) fn taken(&self) -> Size {
        let free = self.pages.available_permits() * super::runtime::PAGE;
        let slots = u32::try_from(self.slots.available_permits()).unwrap_or(u32::MAX);
        Size { slots: self.size.slots.saturating_sub(slots), memory: self.size.memory.saturating_sub(free) }
    }

    pub(super) fn resting(&self) -> usize {
        self.idle().resting.len()
    }

    /// Room for one more, if it needs no waiting: what rests gives way, the oldest first.
    pub(super) fn try_take(&self, need: Size) -> Option<Place> {
        loop {
            if let Ok(slots) = Arc::clone(&self.slots).try_acquire_many_owned(need.slots)
                && let Ok(memory) = Arc::clone(&self.pages).try_acquire_many_owned(pages(need.memory))
            {
                return Some(Place { _slots: slots, _memory: memory });
            }
            // Not under the lock, since giving back its memory takes time.
            let oldest = self.idle().resting.pop_front()?;
            drop(oldest);
        }
    }

    /// Room for one more, as soon as there is any.
    pub(super) async fn take(&self, need: Size) -> Result<Place, AcquireError> {
        // Said first: from here on whatever ends gives back its room, and does not rest.
        let _waiting = Waiting::new(self);
        if let Some(place) = self.try_take(need) {
            return Ok(place);
        }
        let slots = Arc::clone(&self.slots).acquire_many_owned(need.slots).await?;
        let memory = Arc::clone(&self.pages).acquire_many_owned(pages(need.memory)).await?;
        Ok(Place { _slots: slots, _memory: memory })
    }

    /// Lets an instance rest until `owner` is asked again. It ends where somebody waits for room.
    pub(super) fn rest(&self, owner: u64, live: Live) {
        let mut idle = self.idle();
        if idle.waiting > 0 {
            drop(idle);
            drop(live);
            return;
        }
        idle.resting.push_back(Resting { owner, since: Instant::now(), live });
        let most = (self.size.slots / 4).max(1) as usize;
        let oldest = if idle.resting.len() > most { idle.resting.pop_front() } else { None };
        drop(idle);
        drop(oldest);
    }

    /// The instance of `owner` that came to rest last.
    pub(super) fn wake(&self, owner: u64) -> Option<Live> {
        let mut idle = self.idle();
        let at = idle.resting.iter().rposition(|it| it.owner == owner)?;
        idle.resting.remove(at).map(|it| it.live)
    }

    /// Ends all that rest for `owner`.
    pub(super) fn forget(&self, owner: u64) {
        drop(self.extract(|it| it.owner == owner));
    }

    /// Ends all that have rested for so long.
    pub(super) fn sweep(&self, rested: Duration) {
        drop(self.extract(|it| it.since.elapsed() >= rested));
    }

    fn extract(&self, which: impl Fn(&Resting) -> bool) -> Vec<Resting> {
        let mut idle = self.idle();
        let (ended, kept) = std::mem::take(&mut idle.resting).into_iter().partition(which);
        idle.resting = kept;
        VecDeque::into(ended)
    }

    /// Nothing panics while it is held.
    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits for room.
struct Waiting<'a>(&'a Lane);

impl<'a> Waiting<'a> {
    fn new(lane: &'a Lane) -> Self {
        lane.idle().waiting += 1;
        Self(lane)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.idle().waiting -= 1;
    }
}

/// Of the slots a quarter is for identity; of the memory too, but so much that a policy with the default limit fits, if the
/// rest has as much.
fn sizes(capacity: Capacity) -> [Size; 2] {
    let slots = (capacity.instances / 4).max(MIN_SLOTS);
    let memory = capacity.memory - kept(capacity);
    let of_identity = (memory / 4).max(Limits::default().memory).min(memory / 2);
    [
        Size { slots, memory: of_identity },
        Size { slots: (capacity.instances - capacity.instances / 4).max(MIN_SLOTS), memory: memory - of_identity },
    ]
}

/// Slots of both lanes.
pub(super) fn slots(capacity: Capacity) -> u32 {
    sizes(capacity).iter().map(|it| it.slots).sum()
}

/// Bytes of the capacity that slots may keep resident while nobody uses them: what is left to reviews is less by so much.
/// A quarter, unless a policy with the default limit would then fit into no lane.
pub(super) fn kept(capacity: Capacity) -> usize {
    (capacity.memory / 4).min(capacity.memory.saturating_sub(2 * Limits::default().memory))
}

/// What a component takes of the pool: more than one slot where it has more memories or tables than one slot stands for.
pub(super) fn slots_of(memories: u32, tables: u32) -> u32 {
    memories.div_ceil(MEMORIES_PER_SLOT).max(tables.div_ceil(TABLES_PER_SLOT)).max(1)
}

/// How many the pool has for each slot. A Rust, Go or JavaScript policy has one memory and at most four tables.
pub(super) const MEMORIES_PER_SLOT: u32 = 1;
pub(super) const TABLES_PER_SLOT: u32 = 4;
/// As many as the largest component that is allowed takes.
const MIN_SLOTS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::{
        super::state::{MAX_MEMORIES, MAX_TABLES},
        *,
    };

    #[test]
    fn the_largest_component_fits_into_the_smallest_lane() {
        let most = slots_of(u32::try_from(MAX_MEMORIES).unwrap(), u32::try_from(MAX_TABLES).unwrap());
        assert_eq!(most, MIN_SLOTS);
        for instances in [1, 4, 256, 4096] {
            for size in sizes(Capacity { instances, memory: 1 << 30 }) {
                assert!(size.slots >= MIN_SLOTS);
            }
        }
    }

    #[test]
    fn lanes_and_what_stays_resident_add_up_to_the_capacity() {
        for mebibytes in [1, 64, 128, 160, 256, 512, 4096, 1 << 20] {
            let capacity = Capacity { instances: 256, memory: mebibytes << 20 };
            let [identity, others] = sizes(capacity);
            assert_eq!(identity.memory + others.memory + kept(capacity), capacity.memory, "{mebibytes}");
            // Two policies with the default limit, one in each lane.
            let fits = |lane: Size| lane.memory >= super::Limits::default().memory;
            assert_eq!(fits(identity) && fits(others), mebibytes >= 128, "{mebibytes}: {identity:?} {others:?}");
        }
    }
}
