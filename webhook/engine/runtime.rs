//! The wasmtime engine of the process: its pool, its linker, its clock, and how much may run at once.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use tokio::sync::Semaphore;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, component::Linker};

use super::{
    imports,
    state::{MAX_INSTANCES, MAX_MEMORIES, MAX_TABLES, State},
};

/// How much may run at once, over all policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Reviews in a policy at the same time.
    pub instances: u32,
    /// Bytes that the memories of all instances may reach together. A review takes its policy's whole memory limit out of it.
    pub memory: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { instances: 256, memory: 4 << 30 }
    }
}

/// One per process. Clones share it; the last one stops its clock.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasmtime: wasmtime::Engine,
    linker: Linker<State>,
    slots: Semaphore,
    pages: Semaphore,
    capacity: Capacity,
    /// Dropped with the engine, which ends the clock's thread.
    _clock: mpsc::Sender<()>,
}

/// The engine could not be set up on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the Wasm engine cannot be set up: {0}")]
pub struct EngineError(String);

impl Engine {
    /// Reserves address space for the pool (not memory), and starts the clock.
    ///
    /// # Errors
    /// When the machine refuses the address space or a thread.
    pub fn new(capacity: Capacity) -> Result<Self, EngineError> {
        let failed = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let wasmtime = wasmtime::Engine::new(&config(capacity)).map_err(failed)?;
        let mut linker = Linker::new(&wasmtime);
        imports::add_to_linker(&mut linker).map_err(failed)?;
        let clock = start_clock(&wasmtime).map_err(|error| EngineError(error.to_string()))?;
        Ok(Self(Arc::new(Inner {
            wasmtime,
            linker,
            slots: Semaphore::new(capacity.instances as usize),
            pages: Semaphore::new(pages(capacity.memory) as usize),
            capacity,
            _clock: clock,
        })))
    }

    /// How much may run at once.
    pub fn capacity(&self) -> Capacity {
        self.0.capacity
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    pub(super) fn linker(&self) -> &Linker<State> {
        &self.0.linker
    }

    /// A permit is one instance.
    pub(super) fn slots(&self) -> &Semaphore {
        &self.0.slots
    }

    /// A permit is one Wasm page of memory.
    pub(super) fn pages(&self) -> &Semaphore {
        &self.0.pages
    }
}

/// Wasm pages that hold `bytes`.
pub(super) fn pages(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PAGE)).unwrap_or(u32::MAX)
}

fn config(capacity: Capacity) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .concurrency_support(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(capacity)));
    config
}

fn pool(capacity: Capacity) -> PoolingAllocationConfig {
    let instances = capacity.instances;
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(MAX_INSTANCES as u32))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(4))
        .total_stacks(instances)
        .max_core_instances_per_component(MAX_INSTANCES as u32)
        .max_memories_per_component(MAX_MEMORIES as u32)
        .max_tables_per_component(MAX_TABLES as u32)
        .max_memories_per_module(MAX_MEMORIES as u32)
        .max_tables_per_module(MAX_TABLES as u32)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_memory_size(MAX_MEMORY)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// Ticks for as long as the engine lives. A thread of its own: tokio's may all be busy in guests.
fn start_clock(engine: &wasmtime::Engine) -> std::io::Result<mpsc::Sender<()>> {
    let (alive, ended) = mpsc::channel();
    let engine = engine.weak();
    thread::Builder::new().name("epoch".to_owned()).spawn(move || {
        while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(TICK) {
            let Some(engine) = engine.upgrade() else {
                break;
            };
            engine.increment_epoch();
        }
    })?;
    Ok(alive)
}

/// How often a running guest is looked at: the precision of deadlines, and how long it may keep a thread from others.
pub(super) const TICK: Duration = Duration::from_millis(5);
/// The most that `limits.memory` may be.
pub const MAX_MEMORY: usize = 1 << 30;
const PAGE: usize = 64 << 10;
const MAX_TABLE_ELEMENTS: usize = 100_000;
/// Bytes of a slot's memory that are cleared by hand instead of being given back to the kernel.
const KEEP_RESIDENT: usize = 512 << 10;
