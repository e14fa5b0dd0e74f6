//! The state of a component after `init`, read out of a running instance and written into a new component.
//!
//! wasmtime-wizer does the rewriting; this knows when its result can be trusted. Memories and globals carry over;
//! handles of the host do not, so an instance that holds one is never snapshotted.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt as _;
use wasmtime::{
    Instance as CoreInstance, Store, Val,
    component::{Instance, Lift, WasmList},
};
use wasmtime_wizer::{
    ComponentContext, ComponentInstanceState, InstanceState, ModuleContext, SnapshotVal, ValType, Wizer,
};

use crate::engine::run::{
    runtime::PAGE,
    state::{MAX_MEMORIES, State},
};

/// The component with exports that read its state, to be compiled and initialised in place of the original.
pub(crate) struct Instrumented<'a> {
    context: ComponentContext<'a>,
    pub(crate) bytes: Vec<u8>,
}

/// Why there is no snapshot, in words for the author of the policy.
pub(crate) type Refusal = String;

impl<'a> Instrumented<'a> {
    pub(crate) fn new(component: &'a [u8]) -> Result<Self, Refusal> {
        // Its parser panics on what it does not know.
        let made = catch_unwind(|| Wizer::new().instrument_component(component));
        match made {
            Ok(Ok((context, bytes))) => Ok(Self { context, bytes }),
            Ok(Err(error)) => Err(format!("{error:#}")),
            Err(_) => Err(CRASHED.to_owned()),
        }
    }

    /// The component as `instance` is now. The instance is of no use afterwards.
    pub(super) async fn finish(&self, store: &mut Store<State>, instance: Instance) -> Result<Vec<u8>, Refusal> {
        if store.data().holds_handles() {
            return Err("after init it holds handles of the host, which no snapshot can carry".to_owned());
        }
        // Reading a memory grows it by one page, and copies all of it out.
        store.data_mut().memory.allow_more(MAX_MEMORIES * PAGE);
        store.set_hostcall_fuel(usize::MAX);
        self.read(store, instance).await
    }

    /// As `finish`, for a store that has no handles.
    pub(crate) async fn read<T: Send>(&self, store: &mut Store<T>, instance: Instance) -> Result<Vec<u8>, Refusal> {
        let mut reader = Reader { store, instance, failed: None };
        let wizer = Wizer::new();
        let made = AssertUnwindSafe(wizer.snapshot_component(&self.context, &mut reader)).catch_unwind().await;
        if let Some(error) = reader.failed {
            return Err(format!("its state cannot be read: {error:#}"));
        }
        match made {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(format!("{error:#}")),
            Err(_) => Err(CRASHED.to_owned()),
        }
    }
}

/// Calls the added exports. The tool takes no errors, so the first one is kept here and the result thrown away.
struct Reader<'a, T: 'static> {
    store: &'a mut Store<T>,
    instance: Instance,
    failed: Option<wasmtime::Error>,
}

impl<S: Send> Reader<'_, S> {
    async fn call<T: Lift + 'static>(&mut self, interface: &str, function: &str) -> Option<T> {
        match self.try_call(interface, function).await {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed.get_or_insert(error);
                None
            }
        }
    }

    async fn try_call<T: Lift + 'static>(&mut self, interface: &str, function: &str) -> wasmtime::Result<T> {
        let missing = || wasmtime::format_err!("{interface}#{function} is missing");
        let (_, interface) = self.instance.get_export(&mut *self.store, None, interface).ok_or_else(missing)?;
        let (_, index) = self.instance.get_export(&mut *self.store, Some(&interface), function).ok_or_else(missing)?;
        let function = self.instance.get_typed_func::<(), (T,)>(&mut *self.store, index)?;
        Ok(function.call_async(&mut *self.store, ()).await?.0)
    }
}

impl<S: Send> ComponentInstanceState for Reader<'_, S> {
    async fn call_func_ret_list_u8(&mut self, interface: &str, function: &str, contents: impl FnOnce(&[u8]) + Send) {
        match self.call::<WasmList<u8>>(interface, function).await {
            Some(list) => contents(list.as_le_slice(&*self.store)),
            None => contents(&[]),
        }
    }

    async fn call_func_ret_s32(&mut self, interface: &str, function: &str) -> i32 {
        self.call(interface, function).await.unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, interface: &str, function: &str) -> i64 {
        self.call(interface, function).await.unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, interface: &str, function: &str) -> u32 {
        self.call::<f32>(interface, function).await.unwrap_or_default().to_bits()
    }

    async fn call_func_ret_f64(&mut self, interface: &str, function: &str) -> u64 {
        self.call::<f64>(interface, function).await.unwrap_or_default().to_bits()
    }
}

/// A core module with exports that read its state.
pub(super) struct InstrumentedModule<'a> {
    context: ModuleContext<'a>,
    pub(super) bytes: Vec<u8>,
}

impl<'a> InstrumentedModule<'a> {
    pub(super) fn new(module: &'a [u8]) -> Result<Self, Refusal> {
        match catch_unwind(|| tool().instrument(module)) {
            Ok(Ok((context, bytes))) => Ok(Self { context, bytes }),
            Ok(Err(error)) => Err(format!("{error:#}")),
            Err(_) => Err(CRASHED.to_owned()),
        }
    }

    /// The module as `instance` is now, without its `_initialize`. The instance stays as it is.
    pub(super) async fn finish(self, store: &mut Store<State>, instance: CoreInstance) -> Result<Vec<u8>, Refusal> {
        let mut reader = ModuleReader { store, instance, failed: false };
        let tool = tool();
        let made = AssertUnwindSafe(tool.snapshot(&self.context, &mut reader)).catch_unwind().await;
        match made {
            Ok(Ok(_)) if reader.failed => Err("its state cannot be read".to_owned()),
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(format!("{error:#}")),
            Err(_) => Err(CRASHED.to_owned()),
        }
    }
}

/// It removes the function that it would call, unless there is none of the name.
fn tool() -> Wizer {
    let mut wizer = Wizer::new();
    wizer.init_func("verdict: none").keep_init_func(true);
    wizer
}

struct ModuleReader<'a> {
    store: &'a mut Store<State>,
    instance: CoreInstance,
    failed: bool,
}

impl InstanceState for ModuleReader<'_> {
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let global = self.instance.get_global(&mut *self.store, name).map(|it| it.get(&mut *self.store));
        match global {
            Some(Val::I32(it)) => SnapshotVal::I32(it),
            Some(Val::I64(it)) => SnapshotVal::I64(it),
            Some(Val::F32(it)) => SnapshotVal::F32(it),
            Some(Val::F64(it)) => SnapshotVal::F64(it),
            Some(Val::V128(it)) => SnapshotVal::V128(it.as_u128()),
            // The tool added it, of one of these types: the result is thrown away.
            _ => {
                self.failed = true;
                SnapshotVal::I32(0)
            }
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut *self.store, name);
        contents(memory.map_or(&[], |it| it.data(&*self.store)));
    }
}

const CRASHED: &str = "the snapshot tool crashed on it";
