//! From a component, its settings and grants to code that reviews start from: checked against the contract,
//! initialised once, snapshotted where that is safe, and compiled.

use std::{
    cell::OnceCell,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use wasmtime::{
    OptLevel,
    component::{Component, InstancePre},
};

use super::{
    Source, cache, modules,
    snapshot::{Instrumented, Refusal},
    split,
};
use crate::{
    component::{
        contract::ContractError,
        manifest::{
            self, Manifest,
            schema::{Schema, Violation},
        },
        protocol::{self, is_component},
    },
    engine::run::{
        About, Description, Engine, EngineError, ProgramError, Start,
        bindings::exports::verdict::policy::lifecycle,
        outcome::{classify, shown, within},
        output::{Output, Voice},
        program::{Exports, link},
        runtime::{MAX_INIT_ANSWER, Wasm, base},
        state::{MAX_MEMORIES, MAX_TABLES, State},
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
    let (_, exports) = link(draft, &component, None)?;
    Ok(Description::of(&draft.engine, &component, &exports))
}

/// Code, and what is known of it without running it.
pub struct Prepared {
    /// What is kept beside the code.
    pub about: About,
    /// Compiled by and for this engine's configuration; where `about` says that it is split, of the state only.
    pub code: Vec<u8>,
    /// Where it is split: the code that all settings share, if it was wanted.
    pub shared: Option<Vec<u8>>,
    /// The code that `init` runs in, if it was wanted and was not there.
    pub draft: Option<Vec<u8>>,
}

/// What is wanted beside the code of one settings.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// The code that all settings share.
    pub(super) shared: bool,
    /// The code that `init` runs in, unless it is in the cache.
    pub(super) draft: bool,
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

/// Takes from milliseconds to seconds of CPU, so it is called off the async threads. `draft`: see [`Subject::new`].
pub(super) async fn prepare(
    engine: &Engine,
    source: &Source,
    wanted: Wanted,
    draft: Option<PathBuf>,
) -> Result<Prepared, PrepareError> {
    if is_component(&source.bytes) {
        Subject::new(&source.bytes, draft)?.prepare(engine, source, wanted).await
    } else {
        modules::prepare(engine, source).await
    }
}

/// A component that is prepared for one settings or for many.
pub(super) struct Subject<'a> {
    bytes: &'a [u8],
    manifest: Option<Manifest>,
    /// An entry of the cache with the code that `init` runs in.
    kept: Option<PathBuf>,
    draft: OnceCell<Draft<'a>>,
}

/// What it is for all settings, in code that is compiled quickly.
struct Draft<'a> {
    instrumented: Result<Instrumented<'a>, Refusal>,
    pre: InstancePre<State>,
    exports: Exports,
    description: Description,
    /// Memories and tables of an instance.
    required: (u32, u32),
    /// The component without its state.
    code: Result<Vec<u8>, String>,
    /// Unless it came from the cache.
    fresh: Option<Component>,
}

impl<'a> Subject<'a> {
    /// `kept`: where an entry of the cache with the code that `init` runs in may be.
    pub(super) fn new(bytes: &'a [u8], kept: Option<PathBuf>) -> Result<Self, PrepareError> {
        let manifest = manifest::embedded(bytes).map_err(|error| ProgramError::Manifest(error.to_string()))?;
        Ok(Self { bytes, manifest, kept, draft: OnceCell::new() })
    }

    fn draft(&self) -> Result<&Draft<'a>, PrepareError> {
        if let Some(draft) = self.draft.get() {
            return Ok(draft);
        }
        let instrumented = Instrumented::new(self.bytes);
        let draft = draft().map_err(|error| host(&error))?;
        let bytes = instrumented.as_ref().map_or(self.bytes, |it| &it.bytes);
        let kept = self.kept.as_ref().and_then(|it| cache::component(&draft.engine, it));
        let is_kept = kept.is_some();
        let component = match kept {
            Some(component) => component,
            None => Component::from_binary(&draft.engine, bytes).map_err(compile_error)?,
        };
        let (pre, exports) = link(draft, &component, None)?;
        let description = Description::of(&draft.engine, &component, &exports);
        let required = required(&component);
        let code = split::code(self.bytes);
        let fresh = (!is_kept).then_some(component);
        Ok(self.draft.get_or_init(|| Draft { instrumented, pre, exports, description, required, code, fresh }))
    }

    /// With the settings, grants and limits of `source`, whose component this must be.
    pub(super) async fn prepare(
        &self,
        engine: &Engine,
        source: &Source,
        wanted: Wanted,
    ) -> Result<Prepared, PrepareError> {
        let settings = source.identity.settings.as_deref().unwrap_or("{}");
        // Before anything is compiled, which can take seconds.
        if let Some(schema) = self.manifest.as_ref().and_then(|it| it.settings.as_ref()) {
            check_schema(schema, settings)?;
        }
        let Draft { instrumented, pre, exports, description, required, code, fresh } = self.draft()?;
        let mut start = match instrumented {
            Ok(_) => Start::Snapshot,
            Err(refusal) => Start::Init(refusal.clone()),
        };
        let wasm = draft().map_err(|error| host(&error))?;
        let deadline = Instant::now() + MAX_INIT_TIME;
        let output = Output::new(&Voice::of("init"), true);
        let state =
            State::new(&Arc::new(source.identity.grants.clone()), source.memory, output, Arc::from(""), deadline);
        let mut store = wasm.store(state);
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
            Ok(instrumented) => instrumented.finish(&mut store, instance).await,
            Err(_) => Err(String::new()),
        };
        drop(store);
        let engine = &engine.wasm(source.identity.fuelled).map_err(|error| host(&error))?.engine;
        let state = match (&snapshot, code) {
            (Ok(snapshot), Ok(_)) => split::state(snapshot).and_then(|it| words(engine.precompile_module(&it))),
            _ => Err(String::new()),
        };
        let about = |start, split| About {
            description: description.clone(),
            start,
            memory,
            required: *required,
            split,
            manifest: self.manifest.clone(),
            rego: None,
        };
        if let (Ok(state), Ok(code)) = (state, code) {
            let compiled = || words(engine.precompile_component(code));
            if let Ok(shared) = wanted.shared.then(compiled).transpose() {
                // Without it the next settings take longer, no more.
                let draft = fresh.as_ref().filter(|_| wanted.draft).and_then(|it| it.serialize().ok());
                return Ok(Prepared { about: about(start, true), code: state, shared, draft });
            }
        }
        let code = match snapshot.and_then(|bytes| words(engine.precompile_component(&bytes))) {
            Ok(code) => code,
            Err(refusal) => {
                if start == Start::Snapshot {
                    start = Start::Init(refusal);
                }
                engine.precompile_component(self.bytes).map_err(compile_error)?
            }
        };
        Ok(Prepared { about: about(start, false), code, shared: None, draft: None })
    }
}

fn host(error: &dyn std::fmt::Display) -> PrepareError {
    PrepareError::Init(Failure::Host(error.to_string()))
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn compile_error(error: wasmtime::Error) -> ProgramError {
    ProgramError::Compile(format!("{error:#}"))
}

fn words<T>(result: wasmtime::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{error:#}"))
}

/// Memories and tables of an instance.
fn required(component: &Component) -> (u32, u32) {
    let most = (MAX_MEMORIES as u32, MAX_TABLES as u32);
    component.resources_required().map_or(most, |it| (it.num_memories, it.num_tables))
}

/// What `init` runs in, once, in code that is compiled quickly and thrown away. One for the whole process, made when first
/// asked for.
pub(super) fn draft() -> Result<&'static Wasm, EngineError> {
    static DRAFT: OnceLock<Result<Wasm, EngineError>> = OnceLock::new();
    let made = DRAFT.get_or_init(|| {
        let mut config = base();
        config.cranelift_opt_level(OptLevel::None);
        Wasm::new(config, false, 0)
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
