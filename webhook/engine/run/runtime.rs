//! The wasmtime engines of the process: their pool, linker and clock, and how much may run at once.

use std::{
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, Store, component::Linker};

use super::{
    imports,
    lanes::{self, LaneRoom, Lanes, MEMORIES_PER_SLOT, TABLES_PER_SLOT},
    module, rewind,
    state::{MAX_INSTANCES, MAX_MEMORIES, MAX_TABLES, State},
};
use crate::spec::MAX_MEMORY;

/// How much may run at once, over all policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Reviews in a policy at the same time, divided among the lanes; four at least of each.
    pub instances: u32,
    /// Bytes that the memories of all instances may reach together, those included that stay resident between reviews (a
    /// quarter at most). A review takes its policy's whole memory limit out of what its kind may use.
    pub memory: usize,
}

impl Capacity {
    /// How many instances there can be at once, in all lanes together.
    pub fn slots(self) -> u32 {
        lanes::slots(self)
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self { instances: 256, memory: 4 << 30 }
    }
}

/// One per process. Clones share it; the last one stops its clocks.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    plain: Arc<Wasm>,
    /// For policies with a fuel limit: counting costs every instruction, so the others are compiled without.
    fuelled: OnceLock<Result<Arc<Wasm>, EngineError>>,
    lanes: Arc<Lanes>,
    capacity: Capacity,
    /// Dropped with the engine, which ends the thread that sweeps.
    _sweeper: mpsc::Sender<()>,
}

/// What is taken at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InUse {
    /// Slots: one for each instance, more for one that has several memories.
    pub slots: u32,
    /// Bytes of memory limits.
    pub memory: usize,
    /// Instances that rest between two reviews; they are counted above too.
    pub resting: usize,
    /// Memories, tables, stacks and instances of wasmtime's pools.
    pub pooled: u64,
}

/// One wasmtime engine, with everything that is linked to guests.
pub(in crate::engine) struct Wasm {
    pub(in crate::engine) engine: wasmtime::Engine,
    pub(super) linker: Linker<State>,
    /// For core modules.
    pub(super) modules: wasmtime::Linker<State>,
    /// Whether instructions are counted.
    pub(super) fuelled: bool,
    /// What is known of how memories begin may take so much.
    pub(in crate::engine) begins: Arc<rewind::Budget>,
    /// Dropped with the engine, which ends the clock's thread.
    _clock: mpsc::Sender<()>,
}

/// The engine could not be set up on this machine.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refuses, for want of address space for example.
    #[error("the Wasm engine cannot be set up: {0:#}")]
    Wasmtime(Arc<wasmtime::Error>),
    /// A thread of it does not start.
    #[error("the Wasm engine cannot be set up: its thread `{name}` does not start: {why}")]
    Thread {
        /// What it is for.
        name: &'static str,
        /// What the system said.
        why: Arc<std::io::Error>,
    },
}

impl Engine {
    /// Reserves address space for the pool (not memory), and starts the clock.
    ///
    /// # Errors
    /// When the machine refuses the address space or a thread.
    pub fn new(capacity: Capacity) -> Result<Self, EngineError> {
        let lanes = Arc::new(Lanes::new(capacity));
        let sweeper = start_sweeper(&lanes)?;
        let begins = lanes::kept(capacity) / OF_BEGINS;
        Ok(Self(Arc::new(Inner {
            plain: Arc::new(Wasm::new(pooled(capacity, lanes::kept(capacity) - begins), false, begins)?),
            fuelled: OnceLock::new(),
            lanes,
            capacity,
            _sweeper: sweeper,
        })))
    }

    /// How much may run at once.
    pub fn capacity(&self) -> Capacity {
        self.0.capacity
    }

    pub(super) fn lanes(&self) -> &Lanes {
        &self.0.lanes
    }

    /// What is taken now.
    pub fn in_use(&self) -> InUse {
        let lanes = self.0.lanes.all();
        let fuelled = self.0.fuelled.get().and_then(|it| it.as_ref().ok());
        let pooled = |wasm: &Arc<Wasm>| {
            wasm.engine.pooling_allocator_metrics().map_or(0, |it| {
                it.component_instances()
                    + it.core_instances()
                    + it.memories() as u64
                    + it.tables() as u64
                    + it.stacks() as u64
            })
        };
        InUse {
            slots: lanes.iter().map(|it| it.taken().slots).sum(),
            memory: lanes.iter().map(|it| it.taken().memory).sum(),
            resting: lanes.iter().map(|it| it.resting()).sum(),
            pooled: pooled(&self.0.plain) + fuelled.map_or(0, pooled),
        }
    }

    /// Ends the instances that have rested for so long.
    pub fn sweep(&self, rested: Duration) {
        self.0.lanes.all().iter().for_each(|lane| lane.sweep(rested));
    }

    /// What reviews run in; `fuelled` counts instructions. Made when first asked for.
    pub(in crate::engine) fn wasm(&self, fuelled: bool) -> Result<&Arc<Wasm>, EngineError> {
        if !fuelled {
            return Ok(&self.0.plain);
        }
        let make = || Ok(Arc::new(Wasm::new(pooled(self.0.capacity, 0), true, 0)?));
        self.0.fuelled.get_or_init(make).as_ref().map_err(Clone::clone)
    }
}

impl Wasm {
    /// `fuelled`: see the field; `begins` is in bytes.
    ///
    /// # Errors
    /// When the machine refuses the address space or a thread.
    pub(in crate::engine) fn new(mut config: Config, fuelled: bool, begins: usize) -> Result<Self, EngineError> {
        config.consume_fuel(fuelled);
        let failed = |error: wasmtime::Error| EngineError::Wasmtime(Arc::new(error));
        let engine = wasmtime::Engine::new(&config).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        imports::add_to_linker(&mut linker).map_err(failed)?;
        let modules = module::linker(&engine).map_err(failed)?;
        let clock = start_clock(&engine)?;
        Ok(Self { engine, linker, modules, fuelled, begins: Arc::new(rewind::Budget::new(begins)), _clock: clock })
    }

    /// An empty store with this state, its limits in force.
    pub(in crate::engine) fn store(&self, state: State) -> Store<State> {
        super::state::store(&self.engine, state)
    }
}

/// Wasm pages that hold `bytes`.
pub(in crate::engine) fn pages(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PAGE)).unwrap_or(u32::MAX)
}

/// What all engines agree in, whatever they are for.
pub(in crate::engine) fn base() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .concurrency_support(false)
        // Traps are found by frame pointers. Tables for debuggers would be registered for each policy, and loaded.
        .native_unwind_info(false);
    config
}

/// `kept` is how many bytes all slots together may keep resident.
fn pooled(capacity: Capacity, kept: usize) -> Config {
    let mut config = base();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(capacity, kept)));
    config
}

/// Large enough for every mix of components that takes no more slots than there are: wasmtime never runs out before us.
fn pool(capacity: Capacity, kept: usize) -> PoolingAllocationConfig {
    let slots = lanes::slots(capacity);
    let each = kept / slots as usize;
    let of_table = (each / (4 * TABLES_PER_SLOT as usize)).min(MAX_RESIDENT_TABLE);
    let of_memory = ((each - of_table * TABLES_PER_SLOT as usize) / MEMORIES_PER_SLOT as usize).min(MAX_RESIDENT);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(MAX_INSTANCES as u32))
        .total_memories(slots.saturating_mul(MEMORIES_PER_SLOT))
        .total_tables(slots.saturating_mul(TABLES_PER_SLOT))
        // A builtin function of Rego calls the guest that called it.
        .total_stacks(slots.saturating_mul(2))
        .max_core_instances_per_component(MAX_INSTANCES as u32)
        .max_memories_per_component(MAX_MEMORIES as u32)
        .max_tables_per_component(MAX_TABLES as u32)
        .max_memories_per_module(MAX_MEMORIES as u32)
        .max_tables_per_module(MAX_TABLES as u32)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_memory_size(MAX_MEMORY)
        .linear_memory_keep_resident(of_memory & !(HOST_PAGE - 1))
        .table_keep_resident(of_table & !(HOST_PAGE - 1))
        // It finds pages that were swapped out too, since wasmtime 50: `tests/swap.rs`.
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Ticks for as long as the engine lives. A thread of its own: tokio's may all be busy in guests.
fn start_clock(engine: &wasmtime::Engine) -> Result<mpsc::Sender<()>, EngineError> {
    let (alive, ended) = mpsc::channel();
    let engine = engine.weak();
    start("epoch", move || {
        while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(TICK) {
            let Some(engine) = engine.upgrade() else {
                break;
            };
            engine.increment_epoch();
        }
    })?;
    Ok(alive)
}

/// Ends what has rested for long, for as long as the engine lives. Not the clock's thread: giving memory back takes time.
fn start_sweeper(lanes: &Arc<Lanes>) -> Result<mpsc::Sender<()>, EngineError> {
    let (alive, ended) = mpsc::channel();
    let lanes = Arc::downgrade(lanes);
    start("sweep", move || {
        while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(MAX_REST / 6) {
            let Some(lanes) = lanes.upgrade() else {
                break;
            };
            lanes.all().iter().for_each(|room: &LaneRoom| room.sweep(MAX_REST));
        }
    })?;
    Ok(alive)
}

fn start(name: &'static str, work: impl FnOnce() + Send + 'static) -> Result<(), EngineError> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|why| EngineError::Thread { name, why: Arc::new(why) })
}

/// How often a running guest is looked at: the precision of deadlines, and how long it may keep a thread from others.
pub(in crate::engine) const TICK: Duration = Duration::from_millis(5);
/// Bytes of a Wasm page.
pub(in crate::engine) const PAGE: usize = 64 << 10;
/// Bytes that the answer of `init` may hold.
pub(in crate::engine) const MAX_INIT_ANSWER: usize = 1 << 20;
const MAX_TABLE_ELEMENTS: usize = 100_000;
/// After this long without a review an instance ends.
const MAX_REST: Duration = Duration::from_secs(60);
/// Bytes of a slot's memory, and of a table, that are cleared by hand instead of being given back to the kernel. More brings
/// nothing.
const MAX_RESIDENT: usize = 32 << 20;
const MAX_RESIDENT_TABLE: usize = 64 << 10;
/// Of what stays resident, what is known of how memories begin has this part.
const OF_BEGINS: usize = 8;
/// The smallest page of any machine.
const HOST_PAGE: usize = 4 << 10;
