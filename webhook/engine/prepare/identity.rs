//! What a program is: whatever agrees in all of this shares its code, between policies, on disk and between processes.

use std::hash::{Hash, Hasher};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    component::{contract, protocol::is_component},
    engine::run::{Engine, EngineError, runtime::Wasm},
    loader::Component,
    spec::{Digest, Grants, Limits},
};

/// All that decides what code is made, but for the bytes themselves, which the digest stands for. It holds settings and
/// secrets.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// SHA-256 of the component.
    pub component: Digest,
    /// A JSON object as text; None: not given, which is `{}` for components.
    pub settings: Option<String>,
    /// What the operator lets it have.
    pub grants: Grants,
    /// Whether instructions are counted, which every instruction pays for.
    pub fuelled: bool,
    /// Whether a module's operations are called by themselves: then nothing is asked of it at load, neither what it knows nor whether
    /// its settings are good.
    pub called: bool,
    /// What the host offers.
    contract: String,
    /// What makes and runs the code.
    engine: Digest,
}

/// What a program is prepared from.
#[derive(Clone)]
pub struct Source {
    /// The component.
    pub bytes: Bytes,
    /// What it becomes.
    pub identity: Identity,
    /// Bytes that its memories and tables may reach in `init`: no part of its code.
    pub memory: usize,
}

impl Source {
    /// A policy's component with its settings, grants and limits, to run in `engine`.
    ///
    /// # Errors
    /// The engine cannot run with such limits.
    pub fn new(
        engine: &Engine,
        component: Component,
        settings: Option<&str>,
        grants: &Grants,
        limits: &Limits,
    ) -> Result<Self, EngineError> {
        let fuelled = limits.fuel.is_some();
        let settings = if is_component(&component.bytes) { settings.or(Some("{}")) } else { settings };
        let identity = Identity {
            component: component.digest,
            settings: settings.map(str::to_owned),
            grants: grants.clone(),
            fuelled,
            called: false,
            contract: contract::CONTRACT.to_owned(),
            engine: digest_of(engine.wasm(fuelled)?),
        };
        Ok(Self { bytes: component.bytes, identity, memory: limits.memory })
    }

    /// What [`super::Guest`] is made from. Only components have settings outside of reviews: `{}` if not given.
    ///
    /// # Errors
    /// The engine cannot run with such limits.
    pub fn to_call(
        engine: &Engine,
        component: Component,
        settings: Option<&str>,
        limits: &Limits,
    ) -> Result<Self, EngineError> {
        let mut source = Self::new(engine, component, settings, &Grants::default(), limits)?;
        source.identity.called = !is_component(&source.bytes);
        Ok(source)
    }
}

impl Identity {
    /// SHA-256 of all of it.
    pub(super) fn digest(&self) -> serde_json::Result<Digest> {
        Ok(Digest(Sha256::digest(serde_json::to_vec(self)?).into()))
    }

    /// What programs have in common that differ in their settings and grants only.
    pub(super) fn shared(&self) -> serde_json::Result<Digest> {
        self.of_all("shared")
    }

    /// What `init` runs in has in common for all settings.
    pub(super) fn draft(&self) -> serde_json::Result<Digest> {
        self.of_all("draft")
    }

    fn of_all(&self, what: &str) -> serde_json::Result<Digest> {
        // No settings are this: they are an object.
        Self { settings: Some(what.to_owned()), grants: Grants::default(), ..self.clone() }.digest()
    }

    /// Whether what is made in this process by `wasm` is what the identity says.
    pub(super) fn is_of(&self, wasm: &Wasm) -> bool {
        self.contract == contract::CONTRACT && self.engine == digest_of(wasm)
    }
}

/// This version of Verdict and of what it makes of components, and all that wasmtime knows of its configuration and of the processor.
fn digest_of(wasm: &Wasm) -> Digest {
    let mut sink = Sink(Sha256::new());
    (env!("CARGO_PKG_VERSION"), FORMAT, wasm.engine.precompile_compatibility_hash()).hash(&mut sink);
    Digest(sink.0.finalize().into())
}

/// Raised when what is made of the same component changes, or what is said of it: entries of the cache of before are left alone then.
const FORMAT: u32 = 4;

/// Feeds what is hashed, each with its length, to SHA-256.
struct Sink(Sha256);

impl Hasher for Sink {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
