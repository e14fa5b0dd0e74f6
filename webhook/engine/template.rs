//! A program with its settings, grants and limits: what every review's never-used instance is made from.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout_at,
};
use tracing::warn;
use wasmtime::{
    PoolConcurrencyLimitError, Store, Trap, UpdateDeadline,
    component::{Instance, ResourceTableError},
};
use wasmtime_wasi::I32Exit;

use super::{
    Engine, Failure, Grants, Interface, Limits, Timing,
    bindings::exports::verdict::policy::lifecycle,
    output::{Fact, Output, clean},
    program::Program,
    question::{Event, Mutate, Question, Reply, Validate},
    runtime::pages,
    state::{MAX_RESOURCES, State},
};
use crate::review::{
    access::{Ruling, SubjectAccessReview},
    admission::{AdmissionRequest, Mutation, Validation},
    token::{Authentication, TokenReview},
};

/// What instances of one policy are made from.
pub struct Template {
    engine: Engine,
    program: Arc<Program>,
    policy: Arc<str>,
    settings: Arc<str>,
    grants: Arc<Grants>,
    limits: Limits,
    /// Half of what the engine can run at once: one slow policy leaves room for the others.
    lane: Semaphore,
}

/// The circumstances of one call.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The review as it came.
    pub raw: &'a str,
    /// When the caller must have its answer. The policy's own limit may end the call earlier.
    pub deadline: Instant,
}

/// What a call brought.
#[derive(Debug)]
pub struct Answer<T> {
    /// What the guest answered.
    pub result: Result<T, Failure>,
    /// Where the time went; `whole` is left to the caller, who did more than the call.
    pub timing: Timing,
    /// What the guest wrote to the audit log.
    pub facts: Vec<Fact>,
}

/// One thing that a policy finds wrong with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// A JSON Pointer into the settings.
    pub path: String,
    /// What was expected and what came.
    pub message: String,
}

/// Why a policy cannot be used with these settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InitError {
    /// `init` refused the settings.
    Settings(Vec<SettingsError>),
    /// `init` did not end well.
    Failed(Failure),
}

impl Template {
    /// Makes one instance and initialises it, to see that every later one can be.
    ///
    /// # Errors
    /// The settings are refused, or `init` fails or takes longer than the policy's time limit.
    pub async fn new(
        engine: &Engine,
        program: Arc<Program>,
        policy: &str,
        settings: &str,
        grants: Grants,
        limits: Limits,
    ) -> Result<Self, InitError> {
        let capacity = engine.capacity();
        let at_once = (capacity.memory / limits.memory.max(1)).min(capacity.instances as usize);
        if at_once == 0 {
            return Err(InitError::Failed(Failure::Host(format!(
                "limits.memory is more than the {} bytes that all policies may use together",
                capacity.memory
            ))));
        }
        let template = Self {
            engine: engine.clone(),
            program,
            policy: policy.into(),
            settings: settings.into(),
            grants: Arc::new(grants),
            limits,
            lane: Semaphore::new(at_once.div_ceil(2)),
        };
        template.check().await?;
        Ok(template)
    }

    /// What the component exports and imports.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Asks an authenticator.
    pub async fn authenticate(&self, call: Call<'_>, review: &TokenReview) -> Answer<Authentication> {
        self.ask(call, review).await
    }

    /// Asks an authorizer.
    pub async fn authorize(&self, call: Call<'_>, review: &SubjectAccessReview) -> Answer<Ruling> {
        self.ask(call, review).await
    }

    /// Asks a validator.
    pub async fn validate(
        &self,
        call: Call<'_>,
        request: &AdmissionRequest<'_>,
        object: Option<&str>,
    ) -> Answer<Validation> {
        self.ask(call, &Validate { request, object }).await
    }

    /// Asks a mutator; `object` is the object as changed so far.
    pub async fn mutate(
        &self,
        call: Call<'_>,
        request: &AdmissionRequest<'_>,
        object: Option<&str>,
    ) -> Answer<Mutation> {
        self.ask(call, &Mutate { request, object }).await
    }

    /// Asks a provider; the event is what came. The answer is any text: the caller checks that it is JSON.
    pub async fn handle_event(&self, call: Call<'_>) -> Answer<String> {
        self.ask(call, &Event(call.raw)).await
    }

    /// Tells the policy that it is unloaded. What goes wrong is logged and changes nothing.
    pub async fn cleanup(&self) {
        let deadline = Instant::now() + self.limits.time;
        let Ok(_permits) = self.admit(deadline).await else {
            return;
        };
        let mut store = self.store(Arc::from(""), true, deadline);
        let ended = within(deadline, async {
            let (instance, lifecycle) = self.start(&mut store).await?;
            let _ = instance;
            lifecycle.call_cleanup(&mut store).await
        })
        .await;
        match classify(ended, store.data()) {
            Ok(Ok(())) => {}
            Ok(Err(message)) => warn!(policy = &*self.policy, message = clean(&message), "cleanup reported an error"),
            Err(failure) => warn!(policy = &*self.policy, %failure, "cleanup failed"),
        }
        store.data().output.finish();
    }

    async fn ask<Q: Question>(&self, call: Call<'_>, question: &Q) -> Answer<Q::Answer> {
        let mut timing = Timing::default();
        let begin = Instant::now();
        let permits = self.admit(call.deadline).await;
        timing.queue = begin.elapsed();
        let _permits = match permits {
            Ok(permits) => permits,
            Err(failure) => {
                return Answer { result: Err(failure), timing, facts: Vec::new() };
            }
        };
        let deadline = call.deadline.min(Instant::now() + self.limits.time);
        let raw = if self.program.imports_review() { Arc::from(call.raw) } else { Arc::from("") };
        let keep = Q::INTERFACE != Interface::Authentication || self.grants.log;
        let mut store = self.store(raw, keep, deadline);
        let ended = within(deadline, self.put(&mut store, question, &mut timing)).await;
        let result = match classify(ended, store.data()) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(message)) => Err(Failure::Guest(shown(&message, keep))),
            Err(Failure::Trap(text)) => Err(Failure::Trap(shown(&text, true))),
            Err(failure) => Err(failure),
        };
        Answer { result, timing, facts: store.data().output.finish() }
    }

    async fn put<Q: Question>(&self, store: &mut Store<State>, question: &Q, timing: &mut Timing) -> Reply<Q::Answer> {
        let begin = Instant::now();
        let started = self.start(store).await;
        timing.instantiate = begin.elapsed();
        let (instance, _) = started?;
        let begin = Instant::now();
        store.set_hostcall_fuel(Q::MAX_ANSWER);
        let reply = question.put(&self.program, store, &instance).await;
        timing.guest = begin.elapsed();
        reply
    }

    /// Room for one more instance, or why there is none.
    async fn admit(&self, deadline: Instant) -> Result<[SemaphorePermit<'_>; 3], Failure> {
        let closed = |_| Failure::Host("the engine is closed".to_owned());
        let all = async {
            let lane = self.lane.acquire().await.map_err(closed)?;
            let slot = self.engine.slots().acquire().await.map_err(closed)?;
            let memory = self.engine.pages().acquire_many(pages(self.limits.memory)).await.map_err(closed)?;
            Ok([lane, slot, memory])
        };
        timeout_at(deadline.into(), all).await.unwrap_or(Err(Failure::Overload))
    }

    fn store(&self, raw: Arc<str>, keep_output: bool, deadline: Instant) -> Store<State> {
        let output = Output::new(&self.policy, keep_output);
        let state = State::new(&self.grants, self.limits.memory, output, raw, deadline);
        let mut store = Store::new(self.engine.wasmtime(), state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(MAX_INIT_ANSWER);
        store.set_max_component_handles(MAX_RESOURCES);
        store.set_epoch_deadline(1);
        // Looked at once a tick, and others get their turn: a guest that computes must not keep a thread.
        store.epoch_deadline_callback(|context| {
            if Instant::now() >= context.data().deadline {
                Err(wasmtime::Error::new(DeadlineReached))
            } else {
                Ok(UpdateDeadline::Yield(1))
            }
        });
        store
    }

    /// A never-used instance in which `init` has run.
    async fn start(&self, store: &mut Store<State>) -> wasmtime::Result<(Instance, lifecycle::Guest)> {
        let (instance, lifecycle, refused) = self.init(store).await?;
        match refused {
            None => Ok((instance, lifecycle)),
            Some(_) => Err(wasmtime::Error::new(RefusedLater)),
        }
    }

    async fn init(
        &self,
        store: &mut Store<State>,
    ) -> wasmtime::Result<(Instance, lifecycle::Guest, Option<Vec<lifecycle::SettingsError>>)> {
        let instance = self.program.pre.instantiate_async(&mut *store).await?;
        let lifecycle = self.program.exports.lifecycle.load(&mut *store, &instance)?;
        let refused = lifecycle.call_init(store, &self.settings).await?.err();
        Ok((instance, lifecycle, refused))
    }

    /// Runs `init` once, and sees that every exported interface has the contract's types.
    async fn check(&self) -> Result<(), InitError> {
        // Compiling others may keep the machine busy at start: the limit is for reviews, init at load may take longer.
        let deadline = Instant::now() + self.limits.time.max(MIN_INIT_TIME);
        let _permits = self.admit(deadline).await.map_err(InitError::Failed)?;
        let mut store = self.store(Arc::from(""), true, deadline);
        let ended = within(deadline, async {
            let (instance, _, refused) = self.init(&mut store).await?;
            self.program.check_types(&mut store, &instance)?;
            Ok(refused)
        })
        .await;
        let refused = classify(ended, store.data());
        store.data().output.finish();
        match refused.map_err(InitError::Failed)? {
            None => Ok(()),
            Some(errors) => Err(InitError::Settings(
                errors
                    .into_iter()
                    .take(MAX_SETTINGS_ERRORS)
                    .map(|error| SettingsError { path: shown(&error.path, true), message: shown(&error.message, true) })
                    .collect(),
            )),
        }
    }
}

/// Ends host calls too, which the epoch does not.
async fn within<T>(deadline: Instant, work: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    match timeout_at(deadline.into(), work).await {
        Ok(ended) => ended,
        Err(_) => Err(wasmtime::Error::new(DeadlineReached)),
    }
}

/// Whose fault a failed call was, and which limit it ran into.
fn classify<T>(ended: wasmtime::Result<T>, state: &State) -> Result<T, Failure> {
    let error = match ended {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let text = || format!("{error:#}");
    Err(if error.is::<DeadlineReached>() {
        Failure::Timeout
    } else if error.is::<RefusedLater>() {
        Failure::Guest(RefusedLater.to_string())
    } else if error.is::<PoolConcurrencyLimitError>() {
        Failure::Overload
    } else if state.memory.was_refused() {
        Failure::Memory
    } else if let Some(I32Exit(code)) = error.downcast_ref() {
        Failure::Trap(format!("it ended itself with exit code {code}"))
    } else if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        Failure::Size(format!("it holds more than {MAX_RESOURCES} handles"))
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        match trap {
            Trap::Interrupt => Failure::Timeout,
            _ => Failure::Trap(text()),
        }
    } else if text().contains(FUEL_EXHAUSTED) {
        Failure::Size("more data than an answer may hold".to_owned())
    } else {
        Failure::Answer(shown(&text(), true))
    })
}

/// Text of a guest for the operator's log: cleaned, and of bounded length. An authenticator's own words may hold the token.
fn shown(text: &str, keep: bool) -> String {
    if !keep {
        return "its words are withheld, since it sees tokens: grant it log to see them".to_owned();
    }
    clean(&text[..text.floor_char_boundary(MAX_SHOWN)])
}

/// The caller's or the policy's time is used up.
#[derive(Debug, thiserror::Error)]
#[error("the deadline is reached")]
struct DeadlineReached;

/// `init` accepted the settings at load, and not now.
#[derive(Debug, thiserror::Error)]
#[error("init refused the settings that it accepted at load")]
struct RefusedLater;

/// The only words of wasmtime's private error for this; a test holds them.
const FUEL_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";
const MAX_INIT_ANSWER: usize = 1 << 20;
const MAX_SETTINGS_ERRORS: usize = 64;
const MAX_SHOWN: usize = 2 << 10;
const MIN_INIT_TIME: Duration = Duration::from_secs(5);
