//! From a component, its settings and grants to code that reviews start from: checked against the contract,
//! initialised once, snapshotted where that is safe, and compiled.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use wasmtime::{OptLevel, component::Component};

use super::{Source, modules, snapshot::Instrumented};
use crate::{
    component::{
        contract::ContractError,
        manifest::{
            self,
            schema::{Schema, Violation},
        },
        protocol::{self, is_component},
    },
    engine::run::{
        About, Description, Engine, EngineError, ProgramError, Start,
        bindings::exports::verdict::policy::lifecycle,
        outcome::{classify, shown, within},
        output::{Output, Voice},
        program::link,
        runtime::{MAX_INIT_ANSWER, Wasm, base},
        state::State,
    },
    spec::Failure,
};

/// What a component exports and imports, without running any of it.
///
/// # Errors
/// It is no policy.
pub fn describe(bytes: &[u8]) -> Result<Description, ProgramError> {
    if !is_component(bytes) {
        return Ok(modules::description(&protocol::recognise(bytes)?));
    }
    let draft = draft().map_err(|error| ProgramError::Compile(error.to_string()))?;
    let component =
        Component::from_binary(&draft.engine, bytes).map_err(|error| ProgramError::Compile(format!("{error:#}")))?;
    let (_, exports) = link(draft, &component)?;
    Ok(Description::of(&draft.engine, &component, &exports))
}

/// Code, and what is known of it without running it.
pub struct Prepared {
    /// What is kept beside the code.
    pub about: About,
    /// Compiled by and for this engine's configuration.
    pub code: Vec<u8>,
}

/// One thing that a policy finds wrong with its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsError {
    /// A JSON Pointer into the settings.
    pub path: String,
    /// What was expected and what came.
    pub message: String,
}

/// Why a component cannot be used with these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum PrepareError {
    /// It is no policy.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// `init` refused the settings.
    #[error("init refused the settings: {}", .0.iter().map(|it| format!("{}: {}", it.path, it.message)).collect::<Vec<_>>().join("; "))]
    Settings(Vec<SettingsError>),
    /// `init` did not end well.
    #[error("init failed: {0}")]
    Init(Failure),
}

/// Takes from milliseconds to seconds of CPU, so it is called off the async threads.
pub(super) async fn prepare(engine: &Engine, source: &Source) -> Result<Prepared, PrepareError> {
    let host = |error: &dyn std::fmt::Display| PrepareError::Init(Failure::Host(error.to_string()));
    if !is_component(&source.bytes) {
        return modules::prepare(engine, source).await;
    }
    let settings = source.identity.settings.as_deref().unwrap_or("{}");
    let manifest = manifest::embedded(&source.bytes).map_err(|error| ProgramError::Manifest(error.to_string()))?;
    // Before anything is compiled, which can take seconds.
    if let Some(schema) = manifest.as_ref().and_then(|it| it.settings.as_ref()) {
        check_schema(schema, settings)?;
    }
    let (instrumented, mut start) = match Instrumented::new(&source.bytes) {
        Ok(instrumented) => (Some(instrumented), Start::Snapshot),
        Err(refusal) => (None, Start::Init(refusal)),
    };
    let draft = draft().map_err(|error| host(&error))?;
    let bytes = instrumented.as_ref().map_or(&*source.bytes, |it| &it.bytes);
    let compile_error = |error: wasmtime::Error| ProgramError::Compile(format!("{error:#}"));
    let component = Component::from_binary(&draft.engine, bytes).map_err(compile_error)?;
    let (pre, exports) = link(draft, &component)?;
    let description = Description::of(&draft.engine, &component, &exports);

    let deadline = Instant::now() + MAX_INIT_TIME;
    let output = Output::new(&Voice::of("init"), true);
    let state = State::new(&Arc::new(source.identity.grants.clone()), source.memory, output, Arc::from(""), deadline);
    let mut store = draft.store(state);
    store.set_hostcall_fuel(MAX_INIT_ANSWER);
    let ended = within(deadline, async {
        let instance = pre.instantiate_async(&mut store).await?;
        let typed = exports.check_types(&mut store, &instance);
        let lifecycle = match typed.and_then(|()| exports.lifecycle.load(&mut store, &instance)) {
            Ok(lifecycle) => lifecycle,
            Err(error) => {
                let words = format!("its functions have other types: {error:#}");
                return Ok(Err(ProgramError::from(ContractError::Newer(words))));
            }
        };
        let refused = lifecycle.call_init(&mut store, settings).await?.err();
        Ok(Ok((instance, refused)))
    })
    .await;
    let ended = classify(ended, store.data());
    store.data().output.finish();
    let (instance, refused) = ended.map_err(PrepareError::Init)??;
    if let Some(errors) = refused {
        return Err(refused_settings(errors));
    }

    let memory = store.data().memory.used();
    let snapshot = match instrumented {
        Some(instrumented) => instrumented.finish(&mut store, instance).await,
        None => Err(String::new()),
    };
    drop(store);
    let engine = &engine.wasm(source.identity.fuelled).map_err(|error| host(&error))?.engine;
    let code = snapshot.and_then(|bytes| engine.precompile_component(&bytes).map_err(|error| format!("{error:#}")));
    let code = match code {
        Ok(code) => code,
        Err(refusal) => {
            if start == Start::Snapshot {
                start = Start::Init(refusal);
            }
            engine.precompile_component(&source.bytes).map_err(compile_error)?
        }
    };
    Ok(Prepared { about: About { description, start, memory, manifest, rego: None }, code })
}

/// What `init` runs in, once, in code that is compiled quickly and thrown away. One for the whole process, made when first
/// asked for.
pub(super) fn draft() -> Result<&'static Wasm, EngineError> {
    static DRAFT: OnceLock<Result<Wasm, EngineError>> = OnceLock::new();
    let made = DRAFT.get_or_init(|| {
        let mut config = base();
        config.cranelift_opt_level(OptLevel::None);
        Wasm::new(config, false)
    });
    made.as_ref().map_err(Clone::clone)
}

/// Before `init` sees them, so that every policy with a schema says in the same words what is wrong.
fn check_schema(schema: &serde_json::Value, settings: &str) -> Result<(), PrepareError> {
    let of_manifest = |message: String| ProgramError::Manifest(format!("the schema of its settings: {message}"));
    let schema = Schema::compile(schema).map_err(of_manifest)?;
    let settings = serde_json::from_str(settings).map_err(|error| of_manifest(error.to_string()))?;
    let violations = schema.check(&settings);
    if violations.is_empty() {
        return Ok(());
    }
    let error = |it: Violation| SettingsError { path: shown(&it.path, true), message: shown(&it.message, true) };
    Err(PrepareError::Settings(violations.into_iter().map(error).collect()))
}

fn refused_settings(errors: Vec<lifecycle::SettingsError>) -> PrepareError {
    PrepareError::Settings(
        errors
            .into_iter()
            .take(MAX_SETTINGS_ERRORS)
            .map(|error| SettingsError { path: shown(&error.path, true), message: shown(&error.message, true) })
            .collect(),
    )
}

/// The limit of reviews is not that of init, which runs once, in code that is not optimised.
pub(super) const MAX_INIT_TIME: Duration = Duration::from_secs(10);
const MAX_SETTINGS_ERRORS: usize = 64;
