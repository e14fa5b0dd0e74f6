//! How much may run at once: rooms of fixed size, one for each lane, and the instances that rest in them between two reviews.
//!
//! Where there is too little memory for a room each, logins have one and all others have one. What rests holds its room only while nobody else
//! wants it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::{
    Capacity,
    live::Live,
    queue::{Queue, Waits},
    runtime::pages,
};
use crate::spec::{Lane, Limits, lane::WHOLE};

/// Everything that may run at once.
pub(super) struct Lanes {
    rooms: Vec<LaneRoom>,
    /// Which of them each lane has, as in [`Lane::ALL`].
    of: [usize; Lane::ALL.len()],
}

/// The room of one lane, or of several.
pub(super) struct LaneRoom {
    size: Size,
    /// A permit is a place in the pool: an instance, [`MEMORIES_PER_SLOT`] and [`TABLES_PER_SLOT`].
    slots: Arc<Semaphore>,
    /// A permit is one Wasm page of memory.
    pages: Arc<Semaphore>,
    idle: Mutex<Idle>,
    pub(super) queue: Queue,
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
    memory: OwnedSemaphorePermit,
}

impl Place {
    /// Gives back what an instance that rests does not use.
    pub(super) fn shrink(&mut self, used: usize) {
        let unused = self.memory.num_permits().saturating_sub(pages(used) as usize);
        drop(self.memory.split(unused));
    }
}

impl Lanes {
    pub(super) fn new(capacity: Capacity) -> Self {
        let Sizes { rooms, of } = sizes(capacity);
        Self { rooms: rooms.into_iter().map(LaneRoom::new).collect(), of }
    }

    pub(super) fn of(&self, lane: Lane) -> &LaneRoom {
        &self.rooms[self.position(lane)]
    }

    /// Of a lane's room, among all.
    pub(super) fn position(&self, lane: Lane) -> usize {
        self.of[lane as usize]
    }

    pub(super) fn all(&self) -> &[LaneRoom] {
        &self.rooms
    }
}

impl LaneRoom {
    fn new(size: Size) -> Self {
        Self {
            size,
            slots: Arc::new(Semaphore::new(size.slots as usize)),
            pages: Arc::new(Semaphore::new(pages(size.memory) as usize)),
            idle: Mutex::default(),
            queue: Queue::default(),
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
                return Some(Place { _slots: slots, memory });
            }
            // Not under the lock, since giving back its memory takes time.
            let oldest = self.idle().resting.pop_front()?;
            drop(oldest);
        }
    }

    /// To wait for room, unless it would be in vain: an instance that fits into admission's room may be too large for that of audits.
    pub(super) fn wait(&self, need: Size, deadline: Instant) -> Option<Waits<'_>> {
        let places = Some(self.fits(need)).filter(|it| *it > 0)?;
        self.queue.enter(places, deadline)
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
        Ok(Place { _slots: slots, memory })
    }

    /// Lets an instance rest until `owner` is asked again. It ends where somebody waits for room.
    pub(super) fn rest(&self, owner: u64, live: Live) {
        let mut idle = self.idle();
        if idle.waiting > 0 {
            drop(idle);
            drop(live);
            return;
        }
        let most = (self.size.slots / 4).max(1) as usize;
        let oldest = match idle.resting.front() {
            // More policies than can rest are asked one after the other: if each took the place of the one that is asked next, none would
            // ever be there when it is asked.
            Some(oldest) if idle.resting.len() >= most && oldest.since.elapsed() < MIN_REST => {
                drop(idle);
                drop(live);
                return;
            }
            Some(_) if idle.resting.len() >= most => idle.resting.pop_front(),
            _ => None,
        };
        idle.resting.push_back(Resting { owner, since: Instant::now(), live });
        drop(idle);
        drop(oldest);
    }

    /// The instance of `owner` that came to rest last, with room for what it may need. What else rests gives way.
    pub(super) fn wake(&self, owner: u64, need: Size) -> Option<Live> {
        let mut live = {
            let mut idle = self.idle();
            let at = idle.resting.iter().rposition(|it| it.owner == owner)?;
            idle.resting.remove(at)?.live
        };
        loop {
            let missing = (pages(need.memory) as usize).saturating_sub(live.place.memory.num_permits());
            let missing = u32::try_from(missing).unwrap_or(u32::MAX);
            if missing == 0 {
                return Some(live);
            }
            if let Ok(more) = Arc::clone(&self.pages).try_acquire_many_owned(missing) {
                live.place.memory.merge(more);
                return Some(live);
            }
            let oldest = self.idle().resting.pop_front()?;
            drop(oldest);
        }
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
struct Waiting<'a>(&'a LaneRoom);

impl<'a> Waiting<'a> {
    fn new(lane: &'a LaneRoom) -> Self {
        lane.idle().waiting += 1;
        Self(lane)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.idle().waiting -= 1;
    }
}

/// How large each room is, and which of them each lane has.
struct Sizes {
    rooms: Vec<Size>,
    of: [usize; Lane::ALL.len()],
}

/// Each lane has its share of the table, and so much memory at least that a policy with the default limit fits. Where that is too much to ask,
/// logins have a quarter together, or as much as such a policy needs, and all others have the rest.
fn sizes(capacity: Capacity) -> Sizes {
    let least = Limits::default().memory;
    let memory = capacity.memory - kept(capacity);
    let slots = |sixteenths: usize| {
        let sixteenths = u32::try_from(sixteenths).unwrap_or(u32::MAX);
        (capacity.instances.saturating_mul(sixteenths) / WHOLE as u32).max(MIN_SLOTS)
    };
    let identity: usize = Lane::ALL.into_iter().filter(|it| it.is_identity()).map(Lane::instances).sum();
    if memory < Lane::ALL.len() * least {
        let of_identity = (memory / WHOLE * identity).max(least).min(memory / 2);
        let others = Size { slots: slots(WHOLE - identity), memory: memory - of_identity };
        return Sizes {
            rooms: vec![Size { slots: slots(identity), memory: of_identity }, others],
            of: Lane::ALL.map(|it| usize::from(!it.is_identity())),
        };
    }
    let share = |lane: Lane| (memory / WHOLE * lane.instances()).max(least);
    let rest = |lane: Lane| Lane::ALL.into_iter().filter(|it| *it != lane).map(share).sum::<usize>();
    let size = |lane: Lane| {
        // What is not divided is for admission.
        let memory = if lane == Lane::Admission { memory - rest(lane) } else { share(lane) };
        Size { slots: slots(lane.instances()), memory }
    };
    Sizes { rooms: Lane::ALL.map(size).to_vec(), of: Lane::ALL.map(|it| it as usize) }
}

/// Slots of all rooms.
pub(super) fn slots(capacity: Capacity) -> u32 {
    sizes(capacity).rooms.iter().map(|it| it.slots).sum()
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
/// For so long at least an instance rests, where there is room.
const MIN_REST: Duration = Duration::from_secs(1);
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
            for size in sizes(Capacity { instances, memory: 1 << 30 }).rooms {
                assert!(size.slots >= MIN_SLOTS);
            }
        }
    }

    #[test]
    fn lanes_and_what_stays_resident_add_up_to_the_capacity() {
        for mebibytes in [1, 64, 128, 160, 256, 512, 4096, 1 << 20] {
            let capacity = Capacity { instances: 256, memory: mebibytes << 20 };
            let Sizes { rooms, of } = sizes(capacity);
            assert_eq!(
                rooms.iter().map(|it| it.memory).sum::<usize>() + kept(capacity),
                capacity.memory,
                "{mebibytes}"
            );
            // A policy with the default limit, in each lane.
            let fits = of.iter().all(|it| rooms[*it].memory >= super::Limits::default().memory);
            assert_eq!(fits, mebibytes >= 128, "{mebibytes}: {rooms:?}");
            assert_eq!(rooms.len(), if mebibytes < 427 { 2 } else { Lane::ALL.len() }, "{mebibytes}");
        }
    }
}
