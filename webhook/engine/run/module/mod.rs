//! Core modules of older protocols: one instance, bytes in, bytes out. What a protocol's bytes mean is for `k8s_wasm.rs`,
//! `kubewarden.rs` and `rego.rs`; how they get in and out for the others.
//!
//! Guest pointers and lengths are hostile: they are checked against the memory as it is then, and capped.

mod calls;
mod certificates;
mod command;
mod guest;
pub(super) mod k8s_wasm;
pub(in crate::engine) mod kubewarden;
pub(in crate::engine) mod opa;
mod pipe;
mod raw;
mod rego;
mod response;
mod reviews;
mod stdio;
mod talk;
pub(super) mod wapc;

use std::{collections::HashMap, sync::Arc};

use wasmtime::{Instance, InstancePre, Linker, Module as Code, Store};
use wasmtime_wasi::I32Exit;

use super::{program::ProgramError, question::Reply, runtime::Wasm, state::State};
use crate::{
    component::protocol::Protocol,
    rego::{Builtin, Work},
};
pub use calls::HostCalls;
pub(super) use guest::{Misbehaved, TooLarge};
pub(super) use opa::Aborted;
pub use opa::Rego;
pub(super) use talk::Talk;

/// A linked module, and how it is asked.
pub(in crate::engine) struct Module {
    pub(super) pre: InstancePre<State>,
    protocol: Protocol,
    /// What it calls of the host, by numbers, and the name of what it is asked, if it is Rego.
    builtins: Arc<HashMap<i32, Builtin>>,
    entrypoint: Arc<str>,
}

/// One instance that is asked.
pub(super) struct Asked<'a> {
    pub(super) module: &'a Module,
    pub(super) store: &'a mut Store<State>,
    pub(super) instance: &'a Instance,
    /// A JSON object as text; None: not given.
    pub(super) settings: Option<&'a str>,
    /// Of a waPC guest that is asked for events.
    pub(super) operation: Option<&'a str>,
}

/// Everything that modules may import: WASI preview 1 with nothing behind it, and the host functions of waPC, Kubewarden and OPA.
pub(super) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p1::add_to_linker_async(&mut linker, State::preview1)?;
    wapc::add_to_linker(&mut linker)?;
    command::add_to_linker(&mut linker)?;
    opa::add_to_linker(&mut linker)?;
    Ok(linker)
}

impl Module {
    /// The module with the host's imports; `rego` is what it told of itself, if that is known.
    ///
    /// # Errors
    /// It imports something else, or builtin functions that are not served.
    pub(in crate::engine) fn link(
        wasm: &Wasm,
        code: &Code,
        protocol: Protocol,
        rego: Option<&Rego>,
    ) -> Result<Self, ProgramError> {
        let pre = wasm.modules.instantiate_pre(code).map_err(|error| ProgramError::Import(format!("{error:#}")))?;
        let builtins = rego.map(Rego::served).transpose()?.unwrap_or_default().into();
        let entrypoint = rego.map(Rego::entrypoint).unwrap_or_default().into();
        Ok(Self { pre, protocol, builtins, entrypoint })
    }

    pub(in crate::engine) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether an instance can answer a second review.
    pub(in crate::engine) fn can_be_reused(&self) -> bool {
        self.protocol != Protocol::KubewardenWasi
    }

    /// A never-used instance, ready to be asked. Settings are a JSON object as text; None: not given.
    pub(in crate::engine) async fn start(
        &self,
        store: &mut Store<State>,
        settings: Option<&str>,
    ) -> wasmtime::Result<Instance> {
        let instance = self.instantiate(store).await?;
        self.initialise(store, &instance, settings).await?;
        Ok(instance)
    }

    /// As it is after [`Self::initialise`], if its code is a snapshot of that.
    pub(in crate::engine) async fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Instance> {
        store.data_mut().talk = Some(Box::new(Talk::new(self.protocol)));
        store.set_hostcall_fuel(MAX_COPIED);
        self.pre.instantiate_async(store).await
    }

    /// Runs what a protocol runs once, before the first question.
    async fn initialise(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        settings: Option<&str>,
    ) -> wasmtime::Result<()> {
        if let Some(data) = rego::data(self.protocol, settings) {
            return opa::initialise(store, instance, data).await;
        }
        for name in self.initialisers() {
            let Some(function) = instance.get_func(&mut *store, name) else { continue };
            let ended = function.typed::<(), ()>(&*store)?.call_async(&mut *store, ()).await;
            left(ended)?;
        }
        Ok(())
    }

    /// The functions that run once, in their order, where they are exported.
    pub(in crate::engine) fn initialisers(&self) -> &'static [&'static str] {
        match self.protocol {
            Protocol::Wapc | Protocol::KubewardenWapc => &["_initialize", "_start", "wapc_init"],
            Protocol::K8sWasmWasi | Protocol::K8sWasmRaw => &["_initialize"],
            // A command begins anew each time.
            _ => &[],
        }
    }

    /// What the guest says to `input`, of at most `most` bytes: the function of k8s-wasm, the operation of waPC, the argument of a
    /// command.
    pub(in crate::engine) async fn ask(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        operation: &str,
        input: Vec<u8>,
        most: usize,
    ) -> Reply<Vec<u8>> {
        store.data_mut().begin(operation, input, most);
        store.set_hostcall_fuel(MAX_COPIED);
        match self.protocol {
            Protocol::K8sWasmWasi => stdio::ask(store, instance, operation).await,
            Protocol::K8sWasmRaw => raw::ask(store, instance, operation).await,
            Protocol::Wapc | Protocol::KubewardenWapc => wapc::ask(store, instance).await,
            Protocol::KubewardenWasi => command::ask(store, instance).await,
            Protocol::KubewardenOpa | Protocol::KubewardenGatekeeper => {
                let work = Work::new(store.data().wall.time());
                opa::ask(store, instance, opa::Builtins { served: Arc::clone(&self.builtins), work }).await
            }
            Protocol::Component => Err(wasmtime::format_err!("components are not modules")),
        }
    }
}

/// A function that ended, also by leaving with status 0: TinyGo's `_start` does.
fn left(ended: wasmtime::Result<()>) -> wasmtime::Result<()> {
    match ended {
        Err(error) if matches!(error.downcast_ref(), Some(I32Exit(0))) => Ok(()),
        ended => ended,
    }
}

impl State {
    /// Whether the module asked the host for anything, since its instance was made, of which it could keep the answer.
    pub(in crate::engine) fn asked_host(&self) -> bool {
        self.talk.as_ref().is_some_and(|it| it.asked_host)
    }

    /// A call begins, with standard streams of its own.
    fn begin(&mut self, operation: &str, input: Vec<u8>, most: usize) {
        self.forget_preview1();
        self.talk().begin(operation, input, most);
    }

    /// What a module and the host say to each other.
    fn talk(&mut self) -> &mut Talk {
        self.talk.get_or_insert_with(|| Box::new(Talk::new(Protocol::Wapc)))
    }
}

/// Bytes that one call of WASI may copy: the largest review that is read, with room for what escaping adds.
const MAX_COPIED: usize = 64 << 20;
