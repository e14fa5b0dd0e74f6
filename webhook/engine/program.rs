//! A compiled component: what it exports and imports, checked against the contract once.

use wasmtime::{
    Store,
    component::{Component, Instance, InstancePre},
};

use super::{
    Engine, Interface,
    bindings::exports::verdict::policy::{authentication, authorization, lifecycle, mutating, provider, validating},
    state::State,
};

/// A component, compiled and linked; shared by all policies that use it.
pub struct Program {
    pub(super) pre: InstancePre<State>,
    pub(super) exports: Exports,
    description: Description,
}

/// The functions of each interface of the contract that the component exports.
pub(super) struct Exports {
    pub(super) lifecycle: lifecycle::GuestIndices,
    pub(super) authentication: Option<authentication::GuestIndices>,
    pub(super) authorization: Option<authorization::GuestIndices>,
    pub(super) validating: Option<validating::GuestIndices>,
    pub(super) mutating: Option<mutating::GuestIndices>,
    pub(super) provider: Option<provider::GuestIndices>,
}

/// What a component shows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The review interfaces of the contract that it exports, in the order of [`Interface::ALL`].
    pub interfaces: Vec<Interface>,
    /// The names of everything that it exports.
    pub exports: Vec<String>,
    /// The names of everything that it imports.
    pub imports: Vec<String>,
}

/// Why bytes are not a policy. The words are for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// A core module, or no Wasm at all.
    #[error("{0}")]
    NotAComponent(String),
    /// Wasm that does not validate or compile.
    #[error("the component does not compile: {0}")]
    Compile(String),
    /// It wants something that no policy gets.
    #[error("the component imports what policies are not given: {0}")]
    Import(String),
    /// `lifecycle`, or every review interface, is missing.
    #[error("{0}")]
    Export(String),
}

impl Program {
    /// Compiles and links. Takes from milliseconds to seconds of CPU, so call it off the async threads.
    ///
    /// # Errors
    /// What is wrong with the component, for the operator.
    pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<Self, ProgramError> {
        check_preamble(bytes)?;
        let component = Component::from_binary(engine.wasmtime(), bytes)
            .map_err(|error| ProgramError::Compile(format!("{error:#}")))?;
        let component_type = component.component_type();
        let names = |items: &mut dyn Iterator<Item = (&str, _)>| items.map(|(name, _)| name.to_owned()).collect();
        let exports: Vec<String> = names(&mut component_type.exports(engine.wasmtime()).map(|(n, _)| (n, ())));
        let imports: Vec<String> = names(&mut component_type.imports(engine.wasmtime()).map(|(n, _)| (n, ())));
        let pre =
            engine.linker().instantiate_pre(&component).map_err(|error| ProgramError::Import(format!("{error:#}")))?;
        let indices = Exports::probe(&pre, &exports)?;
        let description = Description { interfaces: indices.interfaces(), exports, imports };
        Ok(Self { pre, exports: indices, description })
    }

    /// What it exports and imports.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Whether each exported function has the contract's type.
    pub(super) fn check_types(&self, store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<()> {
        let exports = &self.exports;
        macro_rules! check {
            ($($field:ident),*) => {
                $(if let Some(indices) = &exports.$field {
                    indices.load(&mut *store, instance)?;
                })*
            };
        }
        check!(authentication, authorization, validating, mutating, provider);
        Ok(())
    }

    /// Whether it may ask for the raw review, which is only copied for those that may.
    pub(super) fn imports_review(&self) -> bool {
        self.description.imports.iter().any(|name| name.starts_with("verdict:policy/review@"))
    }
}

impl Exports {
    fn probe(pre: &InstancePre<State>, names: &[String]) -> Result<Self, ProgramError> {
        let listed = || {
            if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
        };
        let lifecycle = lifecycle::GuestIndices::new(pre).map_err(|_| {
            ProgramError::Export(format!(
                "the component does not export verdict:policy/lifecycle@0.1.0, which every policy must; it exports {}",
                listed()
            ))
        })?;
        let exports = Self {
            lifecycle,
            authentication: authentication::GuestIndices::new(pre).ok(),
            authorization: authorization::GuestIndices::new(pre).ok(),
            validating: validating::GuestIndices::new(pre).ok(),
            mutating: mutating::GuestIndices::new(pre).ok(),
            provider: provider::GuestIndices::new(pre).ok(),
        };
        if exports.interfaces().is_empty() {
            return Err(ProgramError::Export(format!(
                "the component exports none of the review interfaces authentication, authorization, validating, \
                 mutating and provider of verdict:policy@0.1.0; it exports {}",
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
fn check_preamble(bytes: &[u8]) -> Result<(), ProgramError> {
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
