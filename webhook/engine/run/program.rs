//! A compiled component: what it exports and imports, checked against the contract once, ready to be instantiated.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wasmtime::{
    Instance as CoreInstance, Module as CoreModule, Store,
    component::{Component, Instance, InstancePre},
};

use super::{
    bindings::exports::verdict::{
        admission::{mutating, validating},
        authentication::authentication,
        authorization::authorization,
        events::{changes, provider},
        policy::{cleanup, lifecycle},
    },
    lanes,
    module::{Module, Rego},
    outcome::RefusedLater,
    rewind::{self, Rewind},
    runtime::{MAX_INIT_ANSWER, Wasm},
    state::State,
};
use crate::{
    component::{
        contract::{self, ContractError},
        manifest::Manifest,
        protocol::{Protocol, ProtocolError},
    },
    review::projection::Projection,
    spec::{Grants, Import, Interface},
    text::{line, shorten},
};

/// Prepared code, linked; shared by all policies with the same code, settings and grants.
pub struct Program {
    pub(super) wasm: Arc<Wasm>,
    pub(super) linked: Linked,
    about: About,
    /// A JSON object as text; None: not given.
    pub(super) settings: Option<Arc<str>>,
    pub(super) grants: Arc<Grants>,
    /// What a component is given of objects; None: all.
    pub(super) reads: Option<Arc<Projection>>,
    imports_review: bool,
    slots: u32,
    #[cfg_attr(not(test), expect(dead_code, reason = "held for those that come later"))]
    shared: Option<SharedCode>,
}

/// Code that was compiled.
pub(in crate::engine) enum Code {
    /// Of this contract.
    Component(Component),
    /// The same, with the module that it imports its state from.
    Split(SharedCode, CoreModule),
    /// Of an older protocol.
    Module(CoreModule),
}

/// Code of a component without state, held by each program that runs it: whoever finds it held need not map it again.
pub(in crate::engine) type SharedCode = Arc<Component>;

/// Code with the host's imports.
pub(super) enum Linked {
    Component { pre: InstancePre<State>, exports: Box<Exports>, rewind: Option<Rewind> },
    Module(Module),
}

/// One of a component or of a core module.
#[derive(Clone, Copy)]
pub(super) enum Started {
    Component(Instance),
    Module(CoreInstance),
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
    pub(in crate::engine) changes: Option<changes::GuestIndices>,
}

/// What code shows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// How it is asked.
    pub protocol: Protocol,
    /// The review interfaces of the contract that it exports, in the order of [`Interface::ALL`].
    pub interfaces: Vec<Interface>,
    /// The names of everything that it exports.
    pub exports: Vec<String>,
    /// The names of everything that it imports; of a module `MODULE.NAME`.
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
    /// How many memories and tables an instance has.
    pub required: (u32, u32),
    /// Whether the code is that of the state only, and what all settings share lies elsewhere.
    pub split: bool,
    /// What its author says of it.
    pub manifest: Option<Manifest>,
    /// What a module of OPA's tells of itself.
    pub rego: Option<Rego>,
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
    /// A core module of no known protocol, or no Wasm at all.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// Wasm that does not validate or compile.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// Its imports and exports are not those of this contract.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// What it imports has another type than what it is given.
    #[error("an import of the component is not what policies are given: {0}")]
    Import(String),
    /// Builtin functions that it calls are not served.
    #[error(
        "the policy calls builtin functions of Rego that are not served here: {}; write it without them",
        shorten(&line(&.0.join(", ")), MAX_NAMES)
    )]
    Builtins(Vec<String>),
    /// It decides by objects that nobody gives it.
    #[error(
        "the policy looks up objects of the cluster (contextAwareResources), which policies in Rego are not given here yet: without them \
         it would decide as if there were none"
    )]
    LookUps,
    /// What its author says of it cannot be used.
    #[error("{0}")]
    Manifest(String),
    /// `lifecycle`, or every review interface, is missing.
    #[error("{0}")]
    Export(String),
}

impl Program {
    /// Code that is compiled for `wasm`; `about`, `settings` and `grants` are what it was prepared with.
    pub(in crate::engine) fn new(
        wasm: &Arc<Wasm>,
        code: &Code,
        about: About,
        settings: Option<Arc<str>>,
        grants: Arc<Grants>,
    ) -> Result<Self, ProgramError> {
        let linked = match code {
            Code::Component(component) => {
                let (pre, exports) = link(wasm, component, None)?;
                Linked::Component { pre, exports: Box::new(exports), rewind: None }
            }
            Code::Split(component, state) => {
                let (pre, exports) = link(wasm, component, Some(state))?;
                let rewind = Rewind::new(&pre, &wasm.begins);
                Linked::Component { pre, exports: Box::new(exports), rewind }
            }
            Code::Module(module) => {
                Linked::Module(Module::link(wasm, module, about.description.protocol, about.rego.as_ref())?)
            }
        };
        let shared = if let Code::Split(shared, _) = code { Some(Arc::clone(shared)) } else { None };
        let review = contract::imported(Import::Review);
        let imports_review = about.description.imports.contains(&review);
        let slots = lanes::slots_of(about.required.0, about.required.1);
        // Modules of older protocols are asked as they always were.
        let manifest = about.manifest.as_ref().filter(|_| !matches!(code, Code::Module(_)));
        let paths = manifest.map(|it| &*it.reads).filter(|it| !it.is_empty());
        let wrong = |path: String| {
            ProgramError::Manifest(format!(
                "its manifest's reads has what is no path of a field, or one of too many steps: {}",
                line(&path)
            ))
        };
        let reads = paths.map(Projection::new).transpose().map_err(wrong)?.map(Arc::new);
        Ok(Self { wasm: Arc::clone(wasm), linked, about, settings, grants, reads, imports_review, slots, shared })
    }

    /// Whether an instance can answer a second review.
    pub(super) fn can_be_reused(&self) -> bool {
        match &self.linked {
            Linked::Component { .. } => true,
            Linked::Module(module) => module.can_be_reused(),
        }
    }

    /// How an instance becomes what it was before its review, where that can be.
    pub(super) fn rewind(&self) -> Option<&Rewind> {
        match &self.linked {
            Linked::Component { rewind, .. } => rewind.as_ref(),
            Linked::Module(_) => None,
        }
    }

    /// What the component does when it is unloaded, if anything.
    pub(super) fn cleanup(&self) -> Option<&cleanup::GuestIndices> {
        match &self.linked {
            Linked::Component { exports, .. } => exports.cleanup.as_ref(),
            Linked::Module(_) => None,
        }
    }

    /// A never-used instance as it is after `init`.
    pub(super) async fn start(&self, store: &mut Store<State>) -> wasmtime::Result<Started> {
        let started = self.about.start == Start::Snapshot;
        match &self.linked {
            Linked::Module(module) if started => module.instantiate(store).await.map(Started::Module),
            Linked::Module(module) => module.start(store, self.settings.as_deref()).await.map(Started::Module),
            Linked::Component { pre, exports, rewind } => {
                let instance = pre.instantiate_async(&mut *store).await?;
                if started {
                    if let Some(rewind) = rewind {
                        rewind.learn(store, &instance).await?;
                    }
                    return Ok(Started::Component(instance));
                }
                store.set_hostcall_fuel(MAX_INIT_ANSWER);
                let lifecycle = exports.lifecycle.load(&mut *store, &instance)?;
                match lifecycle.call_init(store, self.settings.as_deref().unwrap_or("{}")).await? {
                    Ok(()) => Ok(Started::Component(instance)),
                    Err(_) => Err(wasmtime::Error::new(RefusedLater)),
                }
            }
        }
    }

    /// What is known of it.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// What it runs together with others, whose state differs.
    #[cfg(test)]
    pub(in crate::engine) fn shared(&self) -> Option<&SharedCode> {
        self.shared.as_ref()
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

/// A component with the host's imports, and the functions that it exports of the contract; nothing that it says is passed over. With
/// `state` it must be one that was split from that, whose other imports were looked at before.
pub(in crate::engine) fn link(
    wasm: &Wasm,
    component: &Component,
    state: Option<&CoreModule>,
) -> Result<(InstancePre<State>, Exports), ProgramError> {
    let of_import = |error: wasmtime::Error| ProgramError::Import(format!("{error:#}"));
    let pre = if let Some(state) = state {
        let mut linker = wasm.linker.clone();
        linker.root().module(STATE, state).map_err(of_import)?;
        rewind::add_to_linker(&mut linker).map_err(of_import)?;
        linker.instantiate_pre(component)
    } else {
        contract::check_imports(&wasm.engine, component)?;
        wasm.linker.instantiate_pre(component)
    };
    let pre = pre.map_err(of_import)?;
    contract::check_exports(&wasm.engine, component)?;
    let exports = Exports::probe(&pre, &exported(&wasm.engine, component))?;
    Ok((pre, exports))
}

impl Description {
    /// What a compiled component shows of itself.
    pub(in crate::engine) fn of(engine: &wasmtime::Engine, component: &Component, exports: &Exports) -> Self {
        let imports = component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect();
        Self {
            protocol: Protocol::Component,
            interfaces: exports.interfaces(),
            exports: exported(engine, component),
            imports,
        }
    }
}

fn exported(engine: &wasmtime::Engine, component: &Component) -> Vec<String> {
    let component_type = component.component_type();
    component_type.exports(engine).map(|(name, _)| name.to_owned()).filter(|name| name != SNAPSHOT_EXPORT).collect()
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
        check!(cleanup, authentication, authorization, validating, mutating, provider, changes);
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
            changes: probe!(changes, contract::CHANGES),
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
                Interface::Changes => self.changes.is_some(),
            })
            .collect()
    }
}

/// Characters of names in an error: more than all that OPA has.
const MAX_NAMES: usize = 8 << 10;
/// The core module that [`crate::engine::prepare`] has a component import its state from.
pub(in crate::engine) const STATE: &str = "verdict-state";
/// What such a component exports where it can put its state back, and the function of the host that it then shows its memory to.
pub(in crate::engine) const REWIND: &str = "verdict-rewind";
pub(in crate::engine) const MEMORY: &str = "verdict-memory";
/// What [`crate::engine::prepare`] adds to a component to read its state: not the author's.
const SNAPSHOT_EXPORT: &str = "wasmtime:wizer/access";
