//! A guest whose operations are called by themselves, outside of any review, with the host's side in the hands of the caller.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Compiler, PrepareError, Source};
use crate::{
    component::{
        contract,
        protocol::{Protocol, function},
    },
    engine::run::{Call, Engine, EngineError, HostCalls, LimitsError, Listen, Template},
    spec::{Failure, Instances, Interface, Limits},
};

/// A loaded guest. Each call runs in an instance of its own, which has seen no other call.
///
/// Any waPC guest will do. Here one greets in the words that the host gives it:
///
/// ```
/// use verdict::engine::{prepare::{Compiler, Guest, Source}, run::{Capacity, Engine, HostCalls}};
/// use verdict::{loader::Component, spec::Limits};
/// # const GUEST: &str = r#"(module
/// #   (import "wapc" "__guest_request" (func $request (param i32 i32)))
/// #   (import "wapc" "__guest_response" (func $respond (param i32 i32)))
/// #   (import "wapc" "__host_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
/// #   (import "wapc" "__host_response_len" (func $length (result i32)))
/// #   (import "wapc" "__host_response" (func $response (param i32)))
/// #   (memory (export "memory") 1)
/// #   (data (i32.const 0) "sampletextsgreeting")
/// #   (func (export "__guest_call") (param $operation i32) (param $input i32) (result i32)
/// #     (call $request (i32.const 100) (i32.const 200))
/// #     (drop (call $call (i32.const 0) (i32.const 6) (i32.const 6) (i32.const 5) (i32.const 11) (i32.const 8)
/// #       (i32.const 200) (local.get $input)))
/// #     (call $response (i32.const 1000))
/// #     (call $respond (i32.const 1000) (call $length))
/// #     (i32.const 1)))"#;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let wasm = wat::parse_str(GUEST)?; // or std::fs::read("guest.wasm")?
/// let (engine, compiler) = (Engine::new(Capacity::default())?, Compiler::in_process(None));
/// let limits = Limits::default();
/// let source = Source::to_call(&engine, Component::new(wasm), None, &limits)?;
/// let guest = Guest::load("greeter", &engine, &compiler, &source, limits).await?;
/// let guest = guest.answering(HostCalls::all(|binding, namespace, operation, payload| {
///     match (binding, namespace, operation) {
///         ("sample", "texts", "greeting") => Ok([b"Hello, ", payload].concat()),
///         _ => Err(format!("{binding}:{namespace}:{operation} is not known here")),
///     }
/// }));
/// let answer = guest.call("greet", b"Wasm").await?;
/// assert_eq!(answer, b"Hello, Wasm");
/// # Ok(())
/// # })
/// # }
/// ```
pub struct Guest {
    template: Template,
    limits: Limits,
}

/// Why bytes cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// They are no guest, or one that does not start.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// It cannot run with these limits.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// Nothing can run here.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Why an operation brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It cannot have it.
    #[error("it has no operation {operation}; it has {has}")]
    Operation {
        /// What was asked for.
        operation: String,
        /// What there is, for people.
        has: String,
    },
    /// Components take text only.
    #[error("the input is not UTF-8, which a component's events are")]
    Input,
    /// It did not work, or the guest said so.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Guest {
    /// Loads what [`Source::to_call`] gave, in milliseconds to seconds. What it calls of the host when it starts is answered as in a server
    /// while it is loaded, and by [`Self::answering`] in each call. `name` is how the log calls it.
    ///
    /// # Errors
    /// What is wrong with it, for the operator.
    pub async fn load(
        name: &str,
        engine: &Engine,
        compiler: &Compiler,
        source: &Source,
        limits: Limits,
    ) -> Result<Self, GuestError> {
        let program = Arc::new(compiler.load(engine, source).await?);
        Ok(Self { template: Template::new(engine, program, name, limits, Instances::PerReview)?, limits })
    }

    /// The same guest, whose host calls these answer. Without them it is answered as in a server: Kubewarden's `tracing/log` is logged, and
    /// everything else is an error for the guest.
    #[must_use]
    pub fn answering(self, host_calls: HostCalls) -> Self {
        Self { template: self.template.answering(host_calls), ..self }
    }

    /// What `operation` answers to `input`: any operation of a waPC guest, `authn`, `authz` or `validate` of k8s-wasm, the argument of a WASI
    /// command, `handle-event` of a component.
    ///
    /// # Errors
    /// It has no such operation, or it failed; the guest's own error is [`Failure::Guest`].
    pub async fn call(&self, operation: &str, input: &[u8]) -> Result<Vec<u8>, CallError> {
        if let Some(known) = self.operations()
            && !known.contains(&operation)
        {
            let has = if known.is_empty() { "none that can be called".to_owned() } else { known.join(", ") };
            return Err(CallError::Operation { operation: operation.to_owned(), has });
        }
        // Only components get it: a module's input need not be text.
        let raw = match str::from_utf8(input) {
            Ok(text) => text,
            Err(_) if self.protocol() == Protocol::Component => return Err(CallError::Input),
            Err(_) => "",
        };
        let call = Call {
            raw,
            deadline: Instant::now() + self.limits.time,
            spent: Duration::ZERO,
            listen: Listen::No,
            trail: None,
            now: None,
            operation: Some(operation),
            audit: false,
        };
        Ok(self.template.call(call, input).await.result?)
    }

    /// What it can be called with. None: that is only in its code.
    fn operations(&self) -> Option<Vec<&'static str>> {
        let interfaces = self.template.program().description().interfaces.iter();
        match self.protocol() {
            Protocol::Component => {
                let providers = interfaces.filter(|it| **it == Interface::Provider);
                Some(providers.flat_map(|_| contract::PROVIDER.functions).copied().collect())
            }
            Protocol::K8sWasmWasi | Protocol::K8sWasmRaw => {
                let mut functions: Vec<_> = interfaces.filter_map(|it| function(*it)).collect();
                // Validators and mutators share one.
                functions.dedup();
                Some(functions)
            }
            Protocol::KubewardenOpa | Protocol::KubewardenGatekeeper => Some(Vec::new()),
            Protocol::Wapc | Protocol::KubewardenWapc | Protocol::KubewardenWasi => None,
        }
    }

    fn protocol(&self) -> Protocol {
        self.template.program().description().protocol
    }
}
