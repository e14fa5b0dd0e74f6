//! A program under one policy's name and limits: what every review's instance is made from.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use tokio::{sync::SemaphorePermit, time::timeout_at};
use tracing::warn;
use wasmtime::Store;

use super::{
    Engine,
    lanes::{Place, Size},
    live::Live,
    module::{Asked, HostCalls},
    outcome::{classify, replied, shown, within},
    output::{Output, Voice},
    program::{Linked, Program, Started},
    question::{Event, Mutate, Question, Reply, Validate, ValidateRaw},
    queue::{Share, closed},
    state::State,
};
use crate::{
    observe::Trail,
    review::{
        access::{Ruling, SubjectAccessReview},
        action::Said,
        admission::{AdmissionRequest, Change, Mutation, Validation},
        change,
        seen::Seen,
        token::{Authentication, TokenReview},
    },
    spec::{Fact, Failure, Instances, Interface, Lane, Limits, Timing, Usage},
    text::{self, line},
};

/// What instances of one policy are made from.
pub struct Template {
    engine: Engine,
    program: Arc<Program>,
    voice: Arc<Voice>,
    limits: Limits,
    /// What each instance takes of its lane.
    need: Size,
    /// Half of each room, as in [`super::lanes::Lanes::all`]: one slow policy leaves room for the others.
    shares: Vec<Share>,
    /// What the policy itself may answer at once, in all lanes together.
    own: Option<Share>,
    reuse: bool,
    /// What answers modules' host calls before the host's own table.
    pub(super) host_calls: Option<HostCalls>,
    /// Whose the instances are that rest.
    id: u64,
}

/// Where a review can run, and what it holds beside that until its end.
struct Admitted<'a> {
    room: Room,
    _own: Option<SemaphorePermit<'a>>,
    _share: SemaphorePermit<'a>,
}

/// Where a review can run.
enum Room {
    New(Place),
    Rested(Live),
}

/// Why a policy cannot run with these limits.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LimitsError {
    /// More than all policies may use.
    #[error("limits.memory is more than the {0} bytes that all policies of its kind may use together (--guest-memory)")]
    Capacity(usize),
    /// `init` alone uses more.
    #[error("limits.memory is less than the {0} bytes that the policy uses after init")]
    Memory(usize),
    /// Counting instructions is a part of the code.
    #[error("limits.fuel is not what the program was prepared with")]
    Fuel,
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
    /// Where what the guest logs and prints goes.
    pub listen: Listen,
    /// The request that it is for, of the server.
    pub trail: Option<&'a Arc<Trail>>,
    /// What time it is for the guest, which then stands still; None: that of this machine's clock.
    pub now: Option<SystemTime>,
    /// Which operation of a waPC guest is meant.
    pub operation: Option<&'a str>,
    /// Whether it is an audit: then it runs in the lane for those.
    pub audit: bool,
}

/// Where what a guest logs and prints goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// To the log.
    No,
    /// To the log, and into the answer.
    Too,
    /// Into the answer only.
    Only,
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
    /// # Errors
    /// The limits leave no room for one instance, or the program was made for others.
    pub fn new(
        engine: &Engine,
        program: Arc<Program>,
        policy: &str,
        limits: Limits,
        instances: Instances,
    ) -> Result<Self, LimitsError> {
        let need = Size { slots: program.slots(), memory: limits.memory };
        let lanes = engine.lanes();
        if let Some(full) =
            program.description().interfaces.iter().map(|it| lanes.of(Lane::of(*it))).find(|it| it.fits(need) == 0)
        {
            return Err(LimitsError::Capacity(full.size().memory));
        }
        let used = program.about().memory;
        if used > limits.memory {
            return Err(LimitsError::Memory(used));
        }
        if program.wasm.fuelled != limits.fuel.is_some() {
            return Err(LimitsError::Fuel);
        }
        let reusable = program.can_be_reused();
        Ok(Self {
            engine: engine.clone(),
            program,
            voice: Voice::of(policy),
            limits,
            need,
            shares: lanes.all().iter().map(|room| Share::new(room.fits(need).div_ceil(2))).collect(),
            own: limits.concurrent.map(|it| Share::new(it as usize)),
            reuse: instances == Instances::Reuse && reusable,
            host_calls: None,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
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

    /// Asks a validator; `seen` are the objects of the request.
    pub async fn validate(
        &self,
        call: Call<'_>,
        request: &AdmissionRequest<'_>,
        seen: &Seen<'_>,
    ) -> Answer<Validation> {
        self.ask(call, &Validate { request, seen, reads: self.program.reads.as_ref() }).await
    }

    /// Asks a mutator; `object` is the object as changed so far. One that sees parts of it only gives no whole object: the rest would be lost.
    pub async fn mutate(
        &self,
        call: Call<'_>,
        request: &AdmissionRequest<'_>,
        object: Option<&str>,
    ) -> Answer<Mutation> {
        let reads = self.program.reads.as_ref();
        let mut answer = self.ask(call, &Mutate { request, object, reads }).await;
        if reads.is_some() && matches!(&answer.result, Ok(Mutation { outcome: Ok(Change::Full(_)), .. })) {
            answer.result = Err(Failure::Answer(FULL.to_owned()));
        }
        answer
    }

    /// Asks a policy of Kubewarden's about any JSON.
    pub async fn validate_raw(&self, call: Call<'_>, request: &str) -> Answer<Mutation> {
        self.ask(call, &ValidateRaw(request)).await
    }

    /// Asks a provider; the event is what came. The answer is any text: the caller checks that it is JSON.
    pub async fn handle_event(&self, call: Call<'_>) -> Answer<String> {
        self.ask(call, &Event(call.raw)).await
    }

    /// Tells a provider of a change of an object, which `call` has as JSON.
    pub async fn handle_change(&self, call: Call<'_>, change: &change::Change<'_>) -> Answer<Vec<Said>> {
        self.ask(call, change).await
    }

    /// Tells the policy that it is unloaded. What goes wrong is logged and changes nothing.
    pub async fn cleanup(&self) {
        self.forget();
        let Some(cleanup) = self.program.cleanup() else {
            return;
        };
        let deadline = Instant::now() + self.limits.time;
        let Some(interface) = self.program.description().interfaces.first() else {
            return;
        };
        let Ok(_admitted) = self.room(*interface, Lane::of(*interface), deadline).await else {
            return;
        };
        let Ok(mut store) = self.store(Arc::from(""), true, deadline) else {
            return;
        };
        let ended = within(deadline, async {
            match self.program.start(&mut store).await? {
                Started::Component(instance) => cleanup.load(&mut store, &instance)?.call_cleanup(&mut store).await,
                Started::Module(_) => Ok(Ok(())),
            }
        })
        .await;
        match classify(ended, store.data()) {
            Ok(Ok(())) => {}
            Ok(Err(message)) => {
                warn!(policy = &*self.voice.policy, error = line(&message), "cleanup reported an error")
            }
            Err(failure) => warn!(policy = &*self.voice.policy, %failure, "cleanup failed"),
        }
        store.data().output.finish();
    }

    pub(super) async fn ask<Q: Question>(&self, call: Call<'_>, question: &Q) -> Answer<Q::Answer> {
        let mut timing = Timing::default();
        let begin = Instant::now();
        let lane = if call.audit { Lane::Audit } else { Lane::of(Q::INTERFACE) };
        let admitted_to = self.room(Q::INTERFACE, lane, call.deadline).await;
        let admitted = Instant::now();
        timing.queue = admitted - begin;
        let unasked = |failure, timing| {
            let usage = Usage { timing, ..Usage::default() };
            Answer { result: Err(failure), usage, facts: Vec::new() }
        };
        let Admitted { room, _own, _share } = match admitted_to {
            Ok(admitted) => admitted,
            Err(failure) => return unasked(failure, timing),
        };
        let raw = if self.program.imports_review() { Arc::from(call.raw) } else { Arc::default() };
        let secret = call.trail.is_some_and(|it| it.is_secret());
        let keep = !secret && (Q::INTERFACE != Interface::Authentication || self.program.grants.log);
        let deadline = call.deadline.min(admitted + self.limits.time.saturating_sub(call.spent));
        let mut live = match room {
            Room::Rested(live) => live.renewed(keep, raw, deadline),
            Room::New(place) => match self.store(raw, keep, deadline) {
                Ok(store) => Live::new(store, place),
                Err(failure) => return unasked(failure, timing),
            },
        };
        live.store.data_mut().set_clock(call.now);
        live.store.data().output.begin(call.listen, call.trail, question.secret().filter(|_| keep));
        let without = |text: String| match question.secret() {
            Some(secret) => text::without(&text, secret),
            None => text,
        };
        // On the heap, since it is large, and moved several times before it is first polled.
        let operation = call.operation;
        let call = Box::pin(self.put(&mut live, question, operation, admitted, &mut timing));
        let ended = within(deadline, call).await;
        let result = match replied(classify(ended, live.store.data()), live.store.data()) {
            Err(Failure::Guest(_)) if secret => Err(Failure::Guest(WITHHELD.to_owned())),
            Err(Failure::Guest(message)) => Err(Failure::Guest(shown(&without(message), keep))),
            Err(Failure::Trap(text)) => Err(Failure::Trap(shown(&without(text), true))),
            result => result,
        };
        self.held(lane, admitted.elapsed());
        let state = live.store.data();
        let said = state.output.finish();
        let usage =
            Usage { timing, memory: state.memory.used(), log: said.heard, kept: said.kept, dropped: said.dropped };
        if self.rests(Q::INTERFACE) && result.is_ok() && (self.reuse || self.put_back(&mut live).await) {
            self.keep(lane, live);
        }
        Answer { result, usage, facts: said.facts }
    }

    /// `begin` is when there was room.
    async fn put<Q: Question>(
        &self,
        live: &mut Live,
        question: &Q,
        operation: Option<&str>,
        begin: Instant,
        timing: &mut Timing,
    ) -> Reply<Q::Answer> {
        let instance = match live.instance {
            Some(instance) => instance,
            None => {
                let instance = self.program.start(&mut live.store).await?;
                live.memory = live.store.data().memory.used();
                instance
            }
        };
        live.instance = Some(instance);
        let started = Instant::now();
        timing.instantiate = started - begin;
        live.store.set_hostcall_fuel(Q::MAX_ANSWER);
        if let Some(fuel) = self.limits.fuel {
            live.store.set_fuel(fuel)?;
        }
        let reply = match (&self.program.linked, instance) {
            (Linked::Component { exports, .. }, Started::Component(instance)) => {
                question.put(exports, &mut live.store, &instance).await
            }
            (Linked::Module(module), Started::Module(instance)) => {
                let settings = self.program.settings.as_deref();
                let asked = Asked { module, store: &mut live.store, instance: &instance, settings, operation };
                question.put_to_module(asked).await
            }
            _ => Err(wasmtime::format_err!("the instance is not one of this program")),
        };
        timing.guest = started.elapsed();
        reply
    }

    /// An instance that rests, or room for one more, or why there is neither: at once where it would come too late.
    async fn room(&self, interface: Interface, lane: Lane, deadline: Instant) -> Result<Admitted<'_>, Failure> {
        let room = self.engine.lanes().of(lane);
        let share = &self.shares[self.engine.lanes().position(lane)];
        let own = match &self.own {
            Some(own) => Some(own.take(deadline, Failure::Concurrency).await?),
            None => None,
        };
        let share = share.take(deadline, Failure::Overload).await?;
        let rested = || if self.rests(interface) { room.wake(self.id, self.need).map(Room::Rested) } else { None };
        // Most calls need not wait: those need no timer.
        let found = match rested().or_else(|| room.try_take(self.need).map(Room::New)) {
            Some(found) => found,
            None => {
                let _waits = room.wait(self.need, deadline).ok_or(Failure::Overload)?;
                let place = timeout_at(deadline.into(), room.take(self.need)).await;
                Room::New(place.map_err(|_| Failure::Overload)?.map_err(closed)?)
            }
        };
        Ok(Admitted { room: found, _own: own, _share: share })
    }

    /// How long a review took of what others wait for.
    fn held(&self, lane: Lane, time: Duration) {
        let lanes = self.engine.lanes();
        lanes.of(lane).queue.held(time);
        let shares = [Some(&self.shares[lanes.position(lane)]), self.own.as_ref()];
        shares.into_iter().flatten().for_each(|it| it.held(time));
    }

    /// Whether an instance can answer another review. One caller's token must never be where another's review can find it: one that is put back
    /// has none.
    fn rests(&self, interface: Interface) -> bool {
        if self.reuse { interface != Interface::Authentication } else { self.program.rewind().is_some() }
    }

    /// Whether the instance is again what it was before its review.
    async fn put_back(&self, live: &mut Live) -> bool {
        let (Some(rewind), Some(Started::Component(instance))) = (self.program.rewind(), live.instance) else {
            return false;
        };
        let state = live.store.data_mut();
        state.forget_wasi();
        if state.was_changed(live.memory) {
            return false;
        }
        let deadline = state.deadline;
        let put_back = async { Ok(rewind.put_back(&mut live.store, &instance).await) };
        let Ok(Some(memory)) = within(deadline, put_back).await else {
            return false;
        };
        live.was_put_back(memory);
        true
    }

    /// Lets an instance rest until its next review, without anything of the last one that the host holds.
    fn keep(&self, lane: Lane, mut live: Live) {
        live.answered = live.answered.saturating_add(1);
        if live.answered < MAX_ANSWERED {
            live.store.data_mut().rest();
            live.place.shrink(live.store.data().memory.used());
            self.engine.lanes().of(lane).rest(self.id, live);
        }
    }

    /// Ends all instances that rest.
    fn forget(&self) {
        for lane in self.engine.lanes().all() {
            lane.forget(self.id);
        }
    }

    fn store(&self, raw: Arc<str>, keep_output: bool, deadline: Instant) -> Result<Store<State>, Failure> {
        let output = Output::new(&self.voice, keep_output);
        let wasm = &self.program.wasm;
        let mut state = State::new(&self.program.grants, self.limits.memory, output, raw, deadline);
        state.host_calls.clone_from(&self.host_calls);
        let mut store = wasm.store(state);
        if wasm.fuelled {
            // The budget is for reviews; what comes before has the time limit only.
            store.set_fuel(u64::MAX).map_err(|error| Failure::Host(error.to_string()))?;
        }
        Ok(store)
    }
}

impl Drop for Template {
    fn drop(&mut self) {
        self.forget();
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);
/// After this many reviews a reused instance is replaced, so that what it leaks comes back.
const MAX_ANSWERED: u32 = 10_000;
const FULL: &str =
    "it answers with a full object, of which it sees only what its manifest names in reads: let it answer with a patch";
const WITHHELD: &str = "message withheld: the review is about a Secret";
