//! What belongs to one instance: its limits, its WASI with nothing behind it, and what it wrote.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Instant, SystemTime},
};

use wasmtime::{
    ResourceLimiter, Store, UpdateDeadline,
    component::{ResourceTable, TypedFunc},
};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p1::WasiP1Ctx};

use super::{
    imports::{Monotonic, Wall},
    module::{HostCalls, Talk},
    outcome::DeadlineReached,
    output::{Output, Stream},
    question::Guests,
    rewind::Region,
};
use crate::spec::Grants;

/// The data of a store.
pub(in crate::engine) struct State {
    /// Built when the guest first asks for anything of WASI; most reviews never do.
    wasi: Option<WasiCtx>,
    /// The same for a core module.
    preview1: Option<WasiP1Ctx>,
    /// Of a core module: what it and the host say to each other.
    pub(super) talk: Option<Box<Talk>>,
    /// What answers a module's host calls before the host's own table.
    pub(super) host_calls: Option<HostCalls>,
    table: ResourceTable,
    grants: Arc<Grants>,
    /// The granted variables as `NAME=value` and a zero byte each, built when a guest's runtime asks for them.
    environment: Option<Vec<u8>>,
    /// What the guest logs, prints and audits.
    pub(in crate::engine) output: Output,
    /// The review as it came; empty during init and for components that do not import `review`.
    pub(in crate::engine) raw: Arc<str>,
    /// What time it is for the guest.
    pub(super) wall: Wall,
    pub(in crate::engine) memory: Memory,
    /// Whether the guest's language said that its own stack is used up.
    pub(in crate::engine) out_of_stack: bool,
    /// When the call must have ended.
    pub(in crate::engine) deadline: Instant,
    /// The functions by which it is asked.
    pub(super) guests: Guests,
    /// The function that puts back its globals.
    pub(super) rewind: Option<TypedFunc<(), ()>>,
    /// Where the guest's memory is, when it was asked for that.
    pub(super) region: Option<Region>,
}

impl State {
    /// Its wall clock is this machine's.
    pub(in crate::engine) fn new(
        grants: &Arc<Grants>,
        memory: usize,
        output: Output,
        raw: Arc<str>,
        deadline: Instant,
    ) -> Self {
        Self {
            wasi: None,
            guests: Guests::default(),
            rewind: None,
            region: None,
            preview1: None,
            talk: None,
            host_calls: None,
            table: resources(),
            grants: Arc::clone(grants),
            environment: None,
            output,
            raw,
            wall: Wall(None),
            memory: Memory::new(memory),
            out_of_stack: false,
            deadline,
        }
    }

    /// Sets the wall clock; None: this machine's.
    pub(super) fn set_clock(&mut self, now: Option<SystemTime>) {
        let wall = Wall(now);
        if self.wall != wall {
            self.wall = wall;
            // It has the clock of before.
            self.wasi = None;
            self.preview1 = None;
        }
    }

    /// Between two reviews of the same instance: nothing of the last one is left, and nothing that can be made again.
    pub(in crate::engine) fn rest(&mut self) {
        self.raw = Arc::default();
        self.environment = None;
        self.preview1 = None;
        if let Some(talk) = &mut self.talk {
            talk.rest();
        }
    }

    /// For the next review of the same instance.
    pub(in crate::engine) fn renew(&mut self, keep_output: bool, raw: Arc<str>, deadline: Instant) {
        self.output.restart(keep_output);
        self.raw = raw;
        self.deadline = deadline;
        self.memory.refused.store(false, Ordering::Relaxed);
        self.out_of_stack = false;
    }

    /// See the field.
    pub(in crate::engine) fn environment(&mut self) -> &[u8] {
        self.environment.get_or_insert_with(|| {
            // A zero byte within a variable would make two of it.
            let variables =
                self.grants.env.iter().filter(|(name, value)| !name.contains('\0') && !value.contains('\0'));
            variables.flat_map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
        })
    }

    /// Whether a module may call an operation of the host.
    pub(super) fn may_call(&self, namespace: &str, operation: &str) -> bool {
        self.grants.host_capabilities.allow(namespace, operation)
    }

    /// Whether the guest left anything with the host that a later review could find, beside what [`Self::rest`] and [`Self::forget_wasi`] forget: resources that it was
    /// given, or gave back, show in the numbers of the next ones, and `memory` is what it began with.
    pub(in crate::engine) fn was_changed(&mut self, memory: usize) -> bool {
        let mut table = std::mem::replace(&mut self.table, resources());
        // Without room for anything it takes only what fits where something was; with room for one only what comes first.
        table.set_max_capacity(0);
        let gave_back = table.push(()).is_ok();
        table.set_max_capacity(1);
        let holds = table.push(()).is_err();
        gave_back || holds || self.memory.used != memory
    }

    /// WASI is as if nobody had ever asked for anything of it.
    pub(super) fn forget_wasi(&mut self) {
        self.wasi = None;
    }

    /// Whether the guest holds resources of the host.
    pub(in crate::engine) fn holds_handles(&self) -> bool {
        !self.table.is_empty()
    }
}

/// For what the host gives to one guest.
fn resources() -> ResourceTable {
    let mut table = ResourceTable::new();
    table.set_max_capacity(MAX_RESOURCES);
    table
}

/// An empty store, with the limits of `state` in force and its time looked at once a tick.
pub(in crate::engine) fn store(engine: &wasmtime::Engine, state: State) -> Store<State> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    store.set_max_component_handles(MAX_RESOURCES);
    store.set_epoch_deadline(1);
    // Others get their turn at each tick: a guest that computes must not keep a thread.
    store.epoch_deadline_callback(|context| {
        if Instant::now() >= context.data().deadline {
            Err(wasmtime::Error::new(DeadlineReached))
        } else {
            Ok(UpdateDeadline::Yield(1))
        }
    });
    store
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Self { wasi, table, output, wall, grants, .. } = self;
        let ctx = wasi.get_or_insert_with(|| wasi_of(output, *wall, grants).build());
        WasiCtxView { ctx, table }
    }
}

impl State {
    /// What a module did to its standard streams is not there any more.
    pub(super) fn forget_preview1(&mut self) {
        self.preview1 = None;
    }

    /// WASI of a core module.
    pub(super) fn preview1(&mut self) -> &mut WasiP1Ctx {
        let Self { preview1, talk, output, wall, grants, .. } = self;
        preview1.get_or_insert_with(|| {
            let mut wasi = wasi_of(output, *wall, grants);
            if let Some(talk) = talk {
                talk.connect(&mut wasi);
            }
            wasi.build_p1()
        })
    }
}

/// WASI with nothing behind it.
fn wasi_of(output: &Output, wall: Wall, grants: &Grants) -> WasiCtxBuilder {
    let mut wasi = WasiCtx::builder();
    wasi.stdout(Stream { output: output.clone(), is_error: false })
        .stderr(Stream { output: output.clone(), is_error: true })
        .wall_clock(wall)
        .monotonic_clock(Monotonic)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .max_random_size(MAX_RANDOM);
    for (name, value) in &grants.env {
        wasi.env(name, value);
    }
    wasi
}

/// Counts all memories and tables of an instance against one limit.
pub(in crate::engine) struct Memory {
    used: usize,
    limit: usize,
    /// Whether anything was refused, which tells "out of memory" apart from other traps.
    refused: AtomicBool,
}

impl Memory {
    fn new(limit: usize) -> Self {
        Self { used: 0, limit, refused: AtomicBool::new(false) }
    }

    /// Bytes of all memories and tables.
    pub(in crate::engine) fn used(&self) -> usize {
        self.used
    }

    /// Raises the limit by `bytes` that are not the guest's own.
    pub(in crate::engine) fn allow_more(&mut self, bytes: usize) {
        self.limit = self.limit.saturating_add(bytes);
    }

    /// Counts what the host holds for the guest, as if it were the guest's own. False: there is no room for it.
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        self.grow(0, bytes, None, 1)
    }

    /// What was held is given back.
    pub(super) fn release(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    pub(in crate::engine) fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// `each` is the size of one of what is counted. Beyond its own maximum a growth fails without us; it is as little.
    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>, each: usize) -> bool {
        let used = self.used.saturating_add(desired.saturating_sub(current).saturating_mul(each));
        let fits = maximum.is_none_or(|maximum| desired <= maximum) && used <= self.limit;
        if fits {
            self.used = used;
        } else {
            self.refused.store(true, Ordering::Relaxed);
        }
        fits
    }
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, maximum, 1))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, maximum, size_of::<usize>()))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

/// Core instances, memories and tables of one component, and host resources that it may hold at once.
pub(in crate::engine) const MAX_INSTANCES: usize = 64;
pub(in crate::engine) const MAX_MEMORIES: usize = 4;
pub(in crate::engine) const MAX_TABLES: usize = 16;
pub(in crate::engine) const MAX_RESOURCES: usize = 256;
/// Bytes that one call of WASI's random numbers may ask for.
const MAX_RANDOM: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::{super::output::Voice, *};

    #[test]
    fn an_instance_that_rests_holds_nothing_of_its_last_review() {
        let raw: Arc<str> = Arc::from("a review");
        let output = Output::new(&Voice::of("p"), true);
        let mut state = State::new(&Arc::default(), 1 << 20, output, Arc::clone(&raw), Instant::now());
        state.environment();
        assert_eq!(Arc::strong_count(&raw), 2);
        state.rest();
        assert!(Arc::strong_count(&raw) == 1 && state.environment.is_none());
    }

    #[test]
    fn what_was_given_is_noticed_whether_it_was_given_back_or_not() {
        type Deed = fn(&mut ResourceTable);
        let deeds: [(bool, Deed); 5] = [
            (false, |_| {}),
            (true, |table| _ = table.push(1).unwrap()),
            (true, |table| {
                let first = table.push(1).unwrap();
                table.delete(first).unwrap();
            }),
            (true, |table| {
                let first = table.push(1).unwrap();
                table.push(2).unwrap();
                table.delete(first).unwrap();
            }),
            (true, |table| {
                let parent = table.push(1).unwrap();
                table.push_child(2, &parent).unwrap();
            }),
        ];
        for (at, (changed, deed)) in deeds.into_iter().enumerate() {
            let output = Output::new(&Voice::of("p"), true);
            let mut state = State::new(&Arc::default(), 1 << 20, output, Arc::from(""), Instant::now());
            deed(&mut state.table);
            assert_eq!(state.was_changed(0), changed, "{at}");
            assert!(!state.was_changed(0) && state.was_changed(1), "{at}");
        }
    }

    #[test]
    fn what_the_host_holds_counts() {
        let mut memory = Memory::new(1 << 20);
        assert!(memory.hold(1 << 19) && memory.memory_growing(0, 1 << 19, None).unwrap());
        memory.release(1 << 19);
        assert!(memory.used() == 1 << 19 && !memory.was_refused());
        assert!(!memory.hold((1 << 19) + 1) && memory.was_refused());
    }

    #[test]
    fn a_growth_beyond_any_limit_is_remembered() {
        for (desired, maximum) in [(3 << 20, None), (2 << 16, Some(1 << 16))] {
            let mut memory = Memory::new(1 << 20);
            assert!(memory.memory_growing(0, 1 << 16, maximum).unwrap() && !memory.was_refused());
            assert!(!memory.memory_growing(1 << 16, desired, maximum).unwrap() && memory.was_refused());
            assert_eq!(memory.used(), 1 << 16);
        }
    }
}
