//! A program under one policy's name and limits: what every review's instance is made from.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    time::timeout_at,
};
use tracing::warn;
use wasmtime::{Store, component::Instance};

use super::{
    Engine, EngineError, Failure, Grants, Instances, Interface, Limits, Timing, Usage,
    outcome::{RefusedLater, classify, shown, within},
    output::{Fact, Output},
    prepare::{MAX_INIT_ANSWER, Source, Start},
    program::Program,
    question::{Event, Mutate, Question, Reply, Validate},
    runtime::pages,
    state::State,
};
use crate::{
    review::{
        access::{Ruling, SubjectAccessReview},
        admission::{AdmissionRequest, Mutation, Validation},
        token::{Authentication, TokenReview},
    },
    text::line,
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
    reuse: bool,
    /// Instances that wait for their next review. Empty unless they are reused.
    idle: Mutex<Vec<Live>>,
}

/// An instance with all that it takes.
struct Live {
    store: Store<State>,
    /// None until it is started.
    instance: Option<Instance>,
    /// Reviews that it has answered.
    answered: u32,
    place: Place,
}

/// Room for one instance.
struct Place {
    _slot: OwnedSemaphorePermit,
    _memory: OwnedSemaphorePermit,
    /// Held by instances that are reused.
    idle: Option<OwnedSemaphorePermit>,
}

/// Where a review can run.
enum Room {
    New(Place),
    Waiting(Live),
}

/// Why a policy cannot run with these limits.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LimitsError {
    /// More than all policies may use.
    #[error("limits.memory is more than the {0} bytes that all policies may use together")]
    Capacity(usize),
    /// `init` alone uses more.
    #[error("limits.memory is less than the {0} bytes that the policy uses after init")]
    Memory(usize),
    /// Fuel needs an engine of its own.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The circumstances of one call.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The review as it came.
    pub raw: &'a str,
    /// When the caller must have its answer. The policy's own limit may end the call earlier.
    pub deadline: Instant,
    /// What of the policy's own limit was used before the call.
    pub spent: Duration,
    /// Whether what the guest logs and prints is wanted in the answer, instead of in the log.
    pub listen: bool,
}

/// What a call brought.
#[derive(Debug)]
pub struct Answer<T> {
    /// What the guest answered.
    pub result: Result<T, Failure>,
    /// What it took.
    pub usage: Usage,
    /// What the guest wrote to the audit log.
    pub facts: Vec<Fact>,
}

impl Template {
    /// `source` is what `program` was loaded from.
    ///
    /// # Errors
    /// The limits leave no room for one instance.
    pub fn new(
        engine: &Engine,
        program: Arc<Program>,
        policy: &str,
        source: &Source,
        limits: Limits,
        instances: Instances,
    ) -> Result<Self, LimitsError> {
        let capacity = engine.capacity();
        let at_once = (capacity.memory / limits.memory.max(1)).min(capacity.instances as usize);
        if at_once == 0 {
            return Err(LimitsError::Capacity(capacity.memory));
        }
        let used = program.about().memory;
        if used > limits.memory {
            return Err(LimitsError::Memory(used));
        }
        engine.wasm(limits.fuel.is_some())?;
        let authenticates = program.description().interfaces.contains(&Interface::Authentication);
        Ok(Self {
            engine: engine.clone(),
            program,
            policy: policy.into(),
            settings: Arc::clone(&source.settings),
            grants: Arc::clone(&source.grants),
            limits,
            lane: Semaphore::new(at_once.div_ceil(2)),
            // One caller's token must never be where another's review can find it.
            reuse: instances == Instances::Reuse && !authenticates,
            idle: Mutex::new(Vec::new()),
        })
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
        self.idle().clear();
        let deadline = Instant::now() + self.limits.time;
        let Ok((_lane, _room)) = self.room(deadline).await else {
            return;
        };
        let Ok(mut store) = self.store(Arc::from(""), true, deadline) else {
            return;
        };
        let ended = within(deadline, async {
            let instance = self.start(&mut store).await?;
            let lifecycle = self.program.exports.lifecycle.load(&mut store, &instance)?;
            lifecycle.call_cleanup(&mut store).await
        })
        .await;
        match classify(ended, store.data()) {
            Ok(Ok(())) => {}
            Ok(Err(message)) => warn!(policy = &*self.policy, error = line(&message), "cleanup reported an error"),
            Err(failure) => warn!(policy = &*self.policy, %failure, "cleanup failed"),
        }
        store.data().output.finish();
    }

    async fn ask<Q: Question>(&self, call: Call<'_>, question: &Q) -> Answer<Q::Answer> {
        let mut timing = Timing::default();
        let begin = Instant::now();
        let room = self.room(call.deadline).await;
        let admitted = Instant::now();
        timing.queue = admitted - begin;
        let unasked = |failure, timing| {
            let usage = Usage { timing, ..Usage::default() };
            Answer { result: Err(failure), usage, facts: Vec::new() }
        };
        let (_lane, room) = match room {
            Ok(room) => room,
            Err(failure) => return unasked(failure, timing),
        };
        let raw = if self.program.imports_review() { Arc::from(call.raw) } else { Arc::default() };
        let keep = Q::INTERFACE != Interface::Authentication || self.grants.log;
        let deadline = call.deadline.min(admitted + self.limits.time.saturating_sub(call.spent));
        let mut live = match room {
            Room::Waiting(live) => live.renewed(keep, raw, deadline),
            Room::New(place) => match self.store(raw, keep, deadline) {
                Ok(store) => Live::new(store, place),
                Err(failure) => return unasked(failure, timing),
            },
        };
        if call.listen {
            live.store.data().output.listen();
        }
        // On the heap, since it is large, and moved several times before it is first polled.
        let call = Box::pin(self.put(&mut live, question, admitted, &mut timing));
        let ended = within(deadline, call).await;
        let result = match classify(ended, live.store.data()) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(message)) => Err(Failure::Guest(shown(&message, keep))),
            Err(Failure::Trap(text)) => Err(Failure::Trap(shown(&text, true))),
            Err(failure) => Err(failure),
        };
        let state = live.store.data();
        let facts = state.output.finish();
        let usage = Usage { timing, memory: state.memory.used(), log: state.output.heard() };
        if self.reuse && result.is_ok() {
            self.keep(live);
        }
        Answer { result, usage, facts }
    }

    /// `begin` is when there was room.
    async fn put<Q: Question>(
        &self,
        live: &mut Live,
        question: &Q,
        begin: Instant,
        timing: &mut Timing,
    ) -> Reply<Q::Answer> {
        let instance = match live.instance {
            Some(instance) => instance,
            None => self.start(&mut live.store).await?,
        };
        live.instance = Some(instance);
        let started = Instant::now();
        timing.instantiate = started - begin;
        live.store.set_hostcall_fuel(Q::MAX_ANSWER);
        if let Some(fuel) = self.limits.fuel {
            live.store.set_fuel(fuel)?;
        }
        let reply = question.put(&self.program, &mut live.store, &instance).await;
        timing.guest = started.elapsed();
        reply
    }

    /// An instance that waits, or room for one more, or why there is neither. The first permit is held for the call.
    async fn room(&self, deadline: Instant) -> Result<(SemaphorePermit<'_>, Room), Failure> {
        let closed = |_| Failure::Host("the engine is closed".to_owned());
        let permits = self.engine.permits();
        let memory = pages(self.limits.memory);
        let waiting = || if self.reuse { self.idle().pop() } else { None };
        // Most calls need not wait: those need no timer.
        if let Ok(lane) = self.lane.try_acquire() {
            if let Some(live) = waiting() {
                return Ok((lane, Room::Waiting(live)));
            }
            if let Ok(slot) = Arc::clone(&permits.slots).try_acquire_owned()
                && let Ok(memory) = Arc::clone(&permits.pages).try_acquire_many_owned(memory)
            {
                return Ok((lane, Room::New(Place { _slot: slot, _memory: memory, idle: None })));
            }
        }
        let all = async {
            let lane = self.lane.acquire().await.map_err(closed)?;
            if let Some(live) = waiting() {
                return Ok((lane, Room::Waiting(live)));
            }
            let slot = Arc::clone(&permits.slots).acquire_owned().await.map_err(closed)?;
            let memory = Arc::clone(&permits.pages).acquire_many_owned(memory).await.map_err(closed)?;
            Ok((lane, Room::New(Place { _slot: slot, _memory: memory, idle: None })))
        };
        timeout_at(deadline.into(), all).await.unwrap_or(Err(Failure::Overload))
    }

    /// Lets an instance wait for its next review, if there is room for one more that only waits.
    fn keep(&self, mut live: Live) {
        live.answered = live.answered.saturating_add(1);
        if live.answered >= MAX_ANSWERED {
            return;
        }
        if live.place.idle.is_none() {
            live.place.idle = Arc::clone(&self.engine.permits().idle).try_acquire_owned().ok();
        }
        if live.place.idle.is_some() {
            self.idle().push(live);
        }
    }

    /// Nothing panics while it is held, and instances that are lost are made anew.
    fn idle(&self) -> MutexGuard<'_, Vec<Live>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, raw: Arc<str>, keep_output: bool, deadline: Instant) -> Result<Store<State>, Failure> {
        let fuelled = self.limits.fuel.is_some();
        let wasm = self.engine.wasm(fuelled).map_err(|error| Failure::Host(error.to_string()))?;
        let output = Output::new(&self.policy, keep_output);
        let mut store = wasm.store(State::new(&self.grants, self.limits.memory, output, raw, deadline));
        if fuelled {
            // The budget is for reviews; what comes before has the time limit only.
            store.set_fuel(u64::MAX).map_err(|error| Failure::Host(error.to_string()))?;
        }
        Ok(store)
    }

    /// A never-used instance as it is after `init`.
    async fn start(&self, store: &mut Store<State>) -> wasmtime::Result<Instance> {
        let instance = self.program.pre.instantiate_async(&mut *store).await?;
        if self.program.about().start == Start::Snapshot {
            return Ok(instance);
        }
        store.set_hostcall_fuel(MAX_INIT_ANSWER);
        let lifecycle = self.program.exports.lifecycle.load(&mut *store, &instance)?;
        match lifecycle.call_init(store, &self.settings).await? {
            Ok(()) => Ok(instance),
            Err(_) => Err(wasmtime::Error::new(RefusedLater)),
        }
    }
}

impl Live {
    fn new(store: Store<State>, place: Place) -> Self {
        Self { store, instance: None, answered: 0, place }
    }

    /// Ready for the next review, with nothing of the host's left from the last one.
    fn renewed(mut self, keep_output: bool, raw: Arc<str>, deadline: Instant) -> Self {
        self.store.data_mut().renew(keep_output, raw, deadline);
        self.store.set_epoch_deadline(1);
        self
    }
}

/// After this many reviews a reused instance is replaced, so that what it leaks comes back.
const MAX_ANSWERED: u32 = 10_000;
