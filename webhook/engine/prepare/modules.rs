//! A core module of an older protocol becomes code that reviews start from: recognised, initialised once, snapshotted where that is
//! safe, asked about its settings, and compiled.

use std::{borrow::Cow, sync::Arc, time::Instant};

use wasmtime::Module as Code;

use super::{
    Source,
    compile::{MAX_INIT_TIME, PrepareError, Prepared, SettingsError, draft},
    looks, own_memory,
    snapshot::InstrumentedModule,
};
use crate::{
    component::protocol::{self, Protocol, recognise},
    engine::run::{
        About, Description, Engine, ProgramError, Start,
        module::{Module, kubewarden, opa},
        outcome::{classify, shown, within},
        output::{Output, Voice},
        state::State,
    },
    spec::{Failure, Interface},
};

/// What a module shows of itself.
pub(super) fn description(module: &protocol::Module) -> Description {
    let protocol::Module { protocol, interfaces, exports, imports, .. } = module.clone();
    Description { protocol, interfaces, exports, imports }
}

/// As [`super::compile::prepare`], of a module.
pub(super) async fn prepare(engine: &Engine, source: &Source) -> Result<Prepared, PrepareError> {
    let host = |error: &dyn std::fmt::Display| PrepareError::Init(Failure::Host(error.to_string()));
    let compile_error = |error: wasmtime::Error| ProgramError::Compile(format!("{error:#}"));
    let recognised = recognise(&source.bytes).map_err(ProgramError::from)?;
    let mut description = description(&recognised);
    let is_rego = description.protocol.is_rego();
    if is_rego && recognised.metadata.as_ref().is_some_and(|it| !it.context_aware_resources.is_empty()) {
        return Err(ProgramError::LookUps.into());
    }
    let bytes = match &source.bytes {
        bytes if is_rego => Cow::Owned(own_memory::given(bytes).map_err(ProgramError::Compile)?),
        bytes => Cow::Borrowed(&**bytes),
    };
    let draft = draft().map_err(|error| host(&error))?;
    let plain = Code::from_binary(&draft.engine, &bytes).map_err(compile_error)?;
    let required = plain.resources_required();
    let required = (required.num_memories, required.num_tables);
    let linked = Module::link(draft, &plain, description.protocol, None)?;
    let runs = |it: &&str| description.exports.iter().any(|name| name == it);
    let initialises = is_rego || linked.initialisers().iter().any(runs);
    let (instrumented, mut start) = match InstrumentedModule::new(&bytes) {
        // Nothing runs before the first review: there is nothing that a snapshot could save.
        _ if !initialises => (None, Start::Snapshot),
        Ok(instrumented) => (Some(instrumented), Start::Snapshot),
        Err(refusal) => (None, Start::Init(refusal)),
    };
    let linked = match &instrumented {
        Some(instrumented) => {
            let code = Code::from_binary(&draft.engine, &instrumented.bytes).map_err(compile_error)?;
            Module::link(draft, &code, description.protocol, None)?
        }
        None => linked,
    };

    let settings = source.identity.settings.as_deref();
    let deadline = Instant::now() + MAX_INIT_TIME;
    let output = Output::new(&Voice::of("init"), true);
    let state = State::new(&Arc::new(source.identity.grants.clone()), source.memory, output, Arc::from(""), deadline);
    let mut store = draft.store(state);
    let ended = within(deadline, linked.start(&mut store, settings)).await;
    let instance = classify(ended, store.data()).map_err(PrepareError::Init)?;
    let memory = store.data().memory.used();
    let snapshot = match instrumented {
        Some(_) if store.data().asked_host() => {
            Err("it calls the host when it starts, and a snapshot would keep the answers".to_owned())
        }
        Some(instrumented) => instrumented.finish(&mut store, instance).await.map(Some),
        None => Ok(None),
    };

    // What is asked from here on is not in the snapshot.
    let called = source.identity.called;
    if description.protocol == Protocol::Wapc {
        if !called
            && within(deadline, async { Ok(kubewarden::is_policy(&linked, &mut store, &instance).await) })
                .await
                .unwrap_or(false)
        {
            description.protocol = Protocol::KubewardenWapc;
            description.interfaces = vec![Interface::Validating, Interface::Mutating];
        } else {
            description.interfaces = vec![Interface::Provider];
        }
    }
    let rego = if is_rego {
        let ended = within(deadline, opa::describe(&mut store, &instance)).await;
        let rego = classify(ended, store.data()).map_err(PrepareError::Init)?;
        rego.served()?;
        Some(rego)
    } else {
        None
    };
    // Rego takes any settings.
    if description.protocol.is_kubewarden() && !is_rego && !called {
        let instance = if linked.can_be_reused() {
            instance
        } else {
            let ended = within(deadline, linked.start(&mut store, settings)).await;
            classify(ended, store.data()).map_err(PrepareError::Init)?
        };
        let ended = within(deadline, kubewarden::refused_settings(&linked, &mut store, &instance, settings)).await;
        if let Some(message) = classify(ended, store.data()).map_err(PrepareError::Init)? {
            return Err(PrepareError::Settings(vec![SettingsError {
                path: String::new(),
                message: shown(&message, true),
            }]));
        }
    }
    store.data().output.finish();
    drop(store);

    let engine = &engine.wasm(source.identity.fuelled).map_err(|error| host(&error))?.engine;
    let snapshot = snapshot.and_then(|made| {
        let compiled = |bytes: Vec<u8>| {
            let looking = looks::added(&bytes)?;
            engine.precompile_module(&looking).map_err(|error| format!("{error:#}"))
        };
        made.map(compiled).transpose()
    });
    let code = match snapshot {
        Ok(Some(code)) => code,
        other => {
            if let Err(refusal) = other {
                start = Start::Init(refusal);
            }
            let looking = looks::added(&bytes).map_err(ProgramError::Compile)?;
            engine.precompile_module(&looking).map_err(compile_error)?
        }
    };
    let manifest = recognised.metadata.map(|it| it.manifest());
    let about = About { description, start, memory, required, split: false, manifest, rego };
    Ok(Prepared { about, code, shared: None, draft: None })
}
