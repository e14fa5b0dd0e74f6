//! A compiled component: what it exports and imports, checked against the contract once, ready to be instantiated.

use serde::{Deserialize, Serialize};
use wasmtime::{
    Store,
    component::{Component, Instance, InstancePre},
};

use super::{
    Engine,
    bindings::exports::verdict::{
        admission::{mutating, validating},
        authentication::authentication,
        authorization::authorization,
        events::provider,
        policy::{cleanup, lifecycle},
    },
    lanes,
    runtime::Wasm,
    state::{MAX_MEMORIES, MAX_TABLES, State},
};
use crate::{
    component::{
        contract::{self, ContractError},
        manifest::Manifest,
    },
    engine::prepare::{
        cache::Key,
        code,
        compile::{PrepareError, Source},
        snapshot::is_own_export,
    },
    spec::{Failure, Interface},
};

/// A prepared component, linked; shared by all policies with the same component, settings and grants.
pub struct Program {
    pub(in crate::engine) pre: InstancePre<State>,
    pub(in crate::engine) exports: Exports,
    about: About,
    imports_review: bool,
    slots: u32,
}

/// The functions of each interface of the contract that the component exports.
pub(in crate::engine) struct Exports {
    pub(in crate::engine) lifecycle: lifecycle::GuestIndices,
    pub(in crate::engine) cleanup: Option<cleanup::GuestIndices>,
    pub(in crate::engine) authentication: Option<authentication::GuestIndices>,
    pub(in crate::engine) authorization: Option<authorization::GuestIndices>,
    pub(in crate::engine) validating: Option<validating::GuestIndices>,
    pub(in crate::engine) mutating: Option<mutating::GuestIndices>,
    pub(in crate::engine) provider: Option<provider::GuestIndices>,
}

/// What a component shows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The review interfaces of the contract that it exports, in the order of [`Interface::ALL`].
    pub interfaces: Vec<Interface>,
    /// The names of everything that it exports.
    pub exports: Vec<String>,
    /// The names of everything that it imports.
    pub imports: Vec<String>,
}

/// What is known of prepared code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// What the component exports and imports.
    pub description: Description,
    /// What a review begins with.
    pub start: Start,
    /// Bytes of all memories and tables after `init`.
    pub memory: usize,
    /// What its author says of it.
    pub manifest: Option<Manifest>,
}

/// What a review's instance begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// The state after `init`.
    Snapshot,
    /// `init` is run for every review; why there is no snapshot.
    Init(String),
}

impl Start {
    /// In one word, for people and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Init(_) => "init",
        }
    }

    /// Why there is no snapshot.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Snapshot => None,
            Self::Init(why) => Some(why),
        }
    }
}

/// Why bytes are not a policy. The words are for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum ProgramError {
    /// A core module, or no Wasm at all.
    #[error("{0}")]
    NotAComponent(String),
    /// Wasm that does not validate or compile.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// Its imports and exports are not those of this contract.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// What it imports has another type than what it is given.
    #[error("an import of the component is not what policies are given: {0}")]
    Import(String),
    /// What its author says of it cannot be used.
    #[error("{0}")]
    Manifest(String),
    /// `lifecycle`, or every review interface, is missing.
    #[error("{0}")]
    Export(String),
}

impl Program {
    /// The code of `source`: from the cache, or prepared now by the engine's compiler and kept. That takes from
    /// milliseconds to seconds.
    ///
    /// # Errors
    /// What is wrong with the component or its settings, for the operator.
    pub async fn load(engine: &Engine, source: &Source) -> Result<Self, PrepareError> {
        let wasm = engine.wasm(source.fuelled).map_err(|error| host(&error))?;
        let key = Key::new(wasm, source);
        if let Some((about, component)) = engine.cache().and_then(|cache| cache.find(&wasm.engine, &key)) {
            return Self::new(wasm, &component, about);
        }
        let prepared = engine.compiler().prepare(engine, source).await?;
        let kept = engine.cache().and_then(|cache| cache.keep(&wasm.engine, &key, &prepared));
        let component = match kept {
            Some(component) => component,
            None => code::load(&wasm.engine, &prepared.code).map_err(|error| host(&error))?,
        };
        Self::new(wasm, &component, prepared.about)
    }

    fn new(wasm: &Wasm, component: &Component, about: About) -> Result<Self, PrepareError> {
        let (pre, exports) = link(wasm, component)?;
        let imports_review = about.description.imports.iter().any(|name| name == contract::REVIEW);
        let most = (MAX_MEMORIES as u32, MAX_TABLES as u32);
        let (memories, tables) = component.resources_required().map_or(most, |it| (it.num_memories, it.num_tables));
        Ok(Self { pre, exports, about, imports_review, slots: lanes::slots_of(memories, tables) })
    }

    /// What a component exports and imports, without running any of it.
    ///
    /// # Errors
    /// It is no policy.
    pub fn describe(engine: &Engine, bytes: &[u8]) -> Result<Description, ProgramError> {
        check_preamble(bytes)?;
        let draft = engine.draft().map_err(|error| ProgramError::Compile(error.to_string()))?;
        let component = Component::from_binary(&draft.engine, bytes)
            .map_err(|error| ProgramError::Compile(format!("{error:#}")))?;
        let (_, exports) = link(draft, &component)?;
        Ok(describe(&draft.engine, &component, &exports))
    }

    /// What is known of it.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// What it exports and imports.
    pub fn description(&self) -> &Description {
        &self.about.description
    }

    /// Whether it may ask for the raw review, which is only copied for those that may.
    pub(in crate::engine) fn imports_review(&self) -> bool {
        self.imports_review
    }

    /// What an instance takes of the pool.
    pub(in crate::engine) fn slots(&self) -> u32 {
        self.slots
    }
}

fn host(error: &dyn std::fmt::Display) -> PrepareError {
    PrepareError::Init(Failure::Host(error.to_string()))
}

/// A component with the host's imports, and the functions that it exports of the contract; nothing that it says is passed over.
pub(in crate::engine) fn link(
    wasm: &Wasm,
    component: &Component,
) -> Result<(InstancePre<State>, Exports), ProgramError> {
    contract::check_imports(&wasm.engine, component)?;
    let pre = wasm.linker.instantiate_pre(component).map_err(|error| ProgramError::Import(format!("{error:#}")))?;
    contract::check_exports(&wasm.engine, component)?;
    let exports = Exports::probe(&pre, &exported(&wasm.engine, component))?;
    Ok((pre, exports))
}

/// What a compiled component shows of itself.
pub(in crate::engine) fn describe(engine: &wasmtime::Engine, component: &Component, exports: &Exports) -> Description {
    let imports = component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect();
    Description { interfaces: exports.interfaces(), exports: exported(engine, component), imports }
}

fn exported(engine: &wasmtime::Engine, component: &Component) -> Vec<String> {
    let component_type = component.component_type();
    component_type.exports(engine).map(|(name, _)| name.to_owned()).filter(|name| !is_own_export(name)).collect()
}

impl Exports {
    /// Whether each exported function has the contract's type.
    pub(in crate::engine) fn check_types(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<()> {
        macro_rules! check {
            ($($field:ident),*) => {
                $(if let Some(indices) = &self.$field {
                    indices.load(&mut *store, instance)?;
                })*
            };
        }
        check!(cleanup, authentication, authorization, validating, mutating, provider);
        Ok(())
    }

    fn probe(pre: &InstancePre<State>, names: &[String]) -> Result<Self, ProgramError> {
        let listed = || {
            if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
        };
        // By the whole name: wasmtime would take 1.0.1 for 1.0.0.
        macro_rules! probe {
            ($interface:ident, $exported:expr) => {{
                let name = $exported.name;
                if names.iter().any(|it| it == name) {
                    let indices = $interface::GuestIndices::new(pre);
                    Some(indices.map_err(|error| ContractError::Newer(format!("{name}: {error:#}")))?)
                } else {
                    None
                }
            }};
        }
        let lifecycle = probe!(lifecycle, contract::LIFECYCLE).ok_or_else(|| {
            ProgramError::Export(format!(
                "the component does not export {}, which every policy must; it exports {}",
                contract::LIFECYCLE.name,
                listed()
            ))
        })?;
        let exports = Self {
            lifecycle,
            cleanup: probe!(cleanup, contract::CLEANUP),
            authentication: probe!(authentication, contract::AUTHENTICATION),
            authorization: probe!(authorization, contract::AUTHORIZATION),
            validating: probe!(validating, contract::VALIDATING),
            mutating: probe!(mutating, contract::MUTATING),
            provider: probe!(provider, contract::PROVIDER),
        };
        if exports.interfaces().is_empty() {
            return Err(ProgramError::Export(format!(
                "the component exports none of the review interfaces {}; it exports {}",
                Interface::ALL.map(|it| contract::exported(it).name).join(", "),
                listed()
            )));
        }
        Ok(exports)
    }

    fn interfaces(&self) -> Vec<Interface> {
        Interface::ALL
            .into_iter()
            .filter(|interface| match interface {
                Interface::Authentication => self.authentication.is_some(),
                Interface::Authorization => self.authorization.is_some(),
                Interface::Validating => self.validating.is_some(),
                Interface::Mutating => self.mutating.is_some(),
                Interface::Provider => self.provider.is_some(),
            })
            .collect()
    }
}

/// wasmtime's own words for these two mistakes do not tell an author what to do.
pub(in crate::engine) fn check_preamble(bytes: &[u8]) -> Result<(), ProgramError> {
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";
    if bytes.starts_with(COMPONENT) {
        return Ok(());
    }
    Err(ProgramError::NotAComponent(if bytes.starts_with(MODULE) {
        "this is a core Wasm module, not a component: build it for wasm32-wasip2".to_owned()
    } else {
        "this is not a Wasm component: its first bytes are not those of one".to_owned()
    }))
}
