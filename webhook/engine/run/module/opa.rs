//! OPA's ABI 1.x: Rego as Wasm. Values cross as text that the guest's own functions write and read; builtin functions that OPA leaves to
//! the host are called by numbers, which the module gives names to.
//!
//! The policy's data is read once, before the first review, and each review starts from the heap as it is then.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use serde::{Deserialize, Serialize};
use wasmtime::{Caller, Extern, Instance, Linker, Store, Val, WasmParams, WasmResults};

use super::{
    super::{outcome::DeadlineReached, output::Level, program::ProgramError, question::Reply, state::State},
    guest::{Misbehaved, TooLarge, memory, memory_of, put, text, words},
};
use crate::rego::{Builtin, Work};

/// What a module that OPA compiled tells of itself, once it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rego {
    /// The builtin functions that it calls of the host, with their numbers.
    pub builtins: BTreeMap<String, i32>,
    /// What can be asked, by its number. The first is asked, as in Kubewarden.
    pub entrypoints: Vec<String>,
}

impl Rego {
    /// The name of what is asked.
    pub fn entrypoint(&self) -> &str {
        self.entrypoints.first().map_or("", String::as_str)
    }

    /// The builtins by their numbers.
    ///
    /// # Errors
    /// All that are not served here.
    pub(in crate::engine) fn served(&self) -> Result<HashMap<i32, Builtin>, ProgramError> {
        let found = |(name, number): (&String, &i32)| Builtin::find(name).map(|it| (*number, it)).ok_or(name.clone());
        let (served, unknown): (Vec<_>, Vec<_>) = self.builtins.iter().map(found).partition(Result::is_ok);
        if !unknown.is_empty() {
            return Err(ProgramError::Builtins(unknown.into_iter().filter_map(Result::err).collect()));
        }
        Ok(served.into_iter().flatten().collect())
    }
}

/// The builtins of one review; None in a [`super::Talk`]: none may be called now.
pub(super) struct Builtins {
    pub(super) served: Arc<HashMap<i32, Builtin>>,
    pub(super) work: Work,
}

/// It gave up, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::engine::run) struct Aborted(pub(in crate::engine::run) String);

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker
        .func_wrap("env", "opa_abort", |mut caller: Caller<'_, State>, at: u32| {
            let memory = memory_of(&mut caller)?;
            let said = String::from_utf8_lossy(words(memory.data(&caller), at)?).into_owned();
            Err::<(), _>(wasmtime::Error::new(Aborted(said)))
        })?
        .func_wrap("env", "opa_println", |mut caller: Caller<'_, State>, at: u32| {
            let memory = memory_of(&mut caller)?;
            let output = &caller.data().output;
            output.print(words(memory.data(&caller), at)?);
            output.print(b"\n");
            Ok::<_, wasmtime::Error>(())
        })?
        .func_wrap_async("env", "opa_builtin0", |caller, (number, _): (i32, u32)| {
            Box::new(builtin(caller, number, []))
        })?
        .func_wrap_async("env", "opa_builtin1", |caller, (number, _, a): (i32, u32, u32)| {
            Box::new(builtin(caller, number, [a]))
        })?
        .func_wrap_async("env", "opa_builtin2", |caller, (number, _, a, b): (i32, u32, u32, u32)| {
            Box::new(builtin(caller, number, [a, b]))
        })?
        .func_wrap_async("env", "opa_builtin3", |caller, (number, _, a, b, c): (i32, u32, u32, u32, u32)| {
            Box::new(builtin(caller, number, [a, b, c]))
        })?
        .func_wrap_async("env", "opa_builtin4", |caller, (number, _, a, b, c, d): (i32, u32, u32, u32, u32, u32)| {
            Box::new(builtin(caller, number, [a, b, c, d]))
        })?;
    Ok(())
}

/// Where the answer lies; 0: undefined.
async fn builtin<const N: usize>(
    mut caller: Caller<'_, State>,
    number: i32,
    values: [u32; N],
) -> wasmtime::Result<u32> {
    // Taken away meanwhile: what the guest writes and reads values with must not call another, without end.
    let mut builtins = caller.data_mut().talk().builtins.take().ok_or(Misbehaved::Protocol(NOT_NOW))?;
    let answer = call_builtin(&mut caller, &mut builtins, number, values).await?;
    caller.data_mut().talk().builtins = Some(builtins);
    Ok(answer)
}

async fn call_builtin<const N: usize>(
    caller: &mut Caller<'_, State>,
    builtins: &mut Builtins,
    number: i32,
    values: [u32; N],
) -> wasmtime::Result<u32> {
    let builtin = builtins.served.get(&number).ok_or(Misbehaved::Protocol(NO_BUILTIN))?;
    if builtin.arity() != N {
        return Err(Misbehaved::Protocol(OTHER_ARITY).into());
    }
    let mut texts = [0; N];
    for (text, value) in texts.iter_mut().zip(values) {
        *text = within(caller, "opa_value_dump", value).await?;
    }
    // They stay where they are: a policy must not make the host hold more than it may have itself.
    let memory = memory_of(caller)?;
    let mut arguments: [&[u8]; N] = [&[]; N];
    for (argument, at) in arguments.iter_mut().zip(texts) {
        *argument = text(memory.data(&*caller), at)?;
    }
    let answer = builtin.call(&arguments, &mut builtins.work).inspect_err(|exhausted| {
        caller.data().output.log(Level::Warn, &exhausted.to_string());
    })?;
    // What it took is not seen by the clock that interrupts the guest.
    if Instant::now() >= caller.data().deadline {
        return Err(DeadlineReached.into());
    }
    let Some(answer) = answer else { return Ok(0) };
    let length = u32::try_from(answer.len()).map_err(|_| Misbehaved::Protocol(TOO_LARGE))?;
    // The guest may take its time.
    if !caller.data_mut().memory.hold(answer.len()) {
        return Err(Misbehaved::Protocol(TOO_LARGE).into());
    }
    let at = within(caller, "opa_malloc", length).await?;
    put(memory.data_mut(&mut *caller), at, &answer)?;
    caller.data_mut().memory.release(answer.len());
    drop(answer);
    match within(caller, "opa_value_parse", (at, length)).await? {
        0 => Err(Misbehaved::Protocol(UNREAD).into()),
        value => Ok(value),
    }
}

/// Calls a function of the guest that is calling the host.
async fn within<P: WasmParams + Sync, R: WasmResults + Sync>(
    caller: &mut Caller<'_, State>,
    name: &str,
    parameters: P,
) -> wasmtime::Result<R> {
    let function = caller.get_export(name).and_then(Extern::into_func);
    let function = function.ok_or(Misbehaved::Protocol(NO_FUNCTION))?.typed::<P, R>(&mut *caller)?;
    function.call_async(&mut *caller, parameters).await
}

async fn call<P: WasmParams + Sync, R: WasmResults + Sync>(
    store: &mut Store<State>,
    instance: &Instance,
    name: &str,
    parameters: P,
) -> wasmtime::Result<R> {
    instance.get_typed_func::<P, R>(&mut *store, name)?.call_async(&mut *store, parameters).await
}

/// Reads the policy's data, a JSON object, once.
pub(super) async fn initialise(store: &mut Store<State>, instance: &Instance, data: &str) -> wasmtime::Result<()> {
    let (at, length) = give(store, instance, data.as_bytes()).await?;
    let value: u32 = call(store, instance, "opa_value_parse", (at, length)).await?;
    if value == 0 {
        return Err(Misbehaved::Protocol(UNREAD).into());
    }
    let heap: u32 = call(store, instance, "opa_heap_ptr_get", ()).await?;
    for (name, number) in [(DATA, value), (HEAP, heap)] {
        let global = instance.get_global(&mut *store, name).ok_or(Misbehaved::Protocol(NO_GLOBAL))?;
        global.set(&mut *store, Val::I32(number.cast_signed()))?;
    }
    Ok(())
}

/// What it tells of itself. It is not asked about reviews afterwards.
pub(in crate::engine) async fn describe(store: &mut Store<State>, instance: &Instance) -> wasmtime::Result<Rego> {
    let builtins = numbers(store, instance, "builtins").await?;
    let mut entrypoints: Vec<_> = numbers(store, instance, "entrypoints").await?.into_iter().collect();
    entrypoints.sort_by_key(|(_, number)| *number);
    Ok(Rego { builtins, entrypoints: entrypoints.into_iter().map(|(name, _)| name).collect() })
}

async fn numbers(store: &mut Store<State>, instance: &Instance, name: &str) -> wasmtime::Result<BTreeMap<String, i32>> {
    let value: u32 = call(store, instance, name, ()).await?;
    let at: u32 = call(store, instance, "opa_json_dump", value).await?;
    let json = answer(store, instance, at, MAX_NUMBERS)?;
    serde_json::from_slice(&json)
        .map_err(|error| wasmtime::format_err!("its function {name} does not give numbers by names: {error}"))
}

/// What the entrypoint answers to the input: a JSON array, of one object where it is defined.
pub(super) async fn ask(store: &mut Store<State>, instance: &Instance, builtins: Builtins) -> Reply<Vec<u8>> {
    let talk = store.data_mut().talk();
    let (input, most) = (std::mem::take(&mut talk.input), talk.most);
    let data = kept(store, instance, DATA)?;
    let heap = kept(store, instance, HEAP)?;
    // Nothing of the last review is left on it.
    call::<_, ()>(store, instance, "opa_heap_ptr_set", heap).await?;
    let (at, length) = give(store, instance, &input).await?;
    drop(input);
    store.data_mut().talk().builtins = Some(builtins);
    let at = if instance.get_func(&mut *store, "opa_eval").is_some() {
        let heap: u32 = call(store, instance, "opa_heap_ptr_get", ()).await?;
        let json = 0_u32;
        call(store, instance, "opa_eval", (0_u32, ENTRYPOINT, data, at, length, heap, json)).await?
    } else {
        evaluate_in_steps(store, instance, data, (at, length)).await?
    };
    store.data_mut().talk().builtins = None;
    Ok(Ok(answer(store, instance, at, most)?))
}

/// As before version 1.2, where the entrypoint is 0 unless another one is named.
async fn evaluate_in_steps(
    store: &mut Store<State>,
    instance: &Instance,
    data: u32,
    input: (u32, u32),
) -> wasmtime::Result<u32> {
    let input: u32 = call(store, instance, "opa_value_parse", input).await?;
    let context: u32 = call(store, instance, "opa_eval_ctx_new", ()).await?;
    call::<_, ()>(store, instance, "opa_eval_ctx_set_data", (context, data)).await?;
    call::<_, ()>(store, instance, "opa_eval_ctx_set_input", (context, input)).await?;
    call::<_, i32>(store, instance, "eval", context).await?;
    let result: u32 = call(store, instance, "opa_eval_ctx_get_result", context).await?;
    call(store, instance, "opa_json_dump", result).await
}

/// Puts bytes where the guest has room for them.
async fn give(store: &mut Store<State>, instance: &Instance, bytes: &[u8]) -> wasmtime::Result<(u32, u32)> {
    let length = u32::try_from(bytes.len()).map_err(|_| Misbehaved::Protocol(TOO_LARGE))?;
    let at = call(store, instance, "opa_malloc", length).await?;
    let memory = memory(store, instance)?;
    put(memory.data_mut(&mut *store), at, bytes)?;
    Ok((at, length))
}

fn kept(store: &mut Store<State>, instance: &Instance, name: &str) -> Result<u32, Misbehaved> {
    let value = instance.get_global(&mut *store, name).map(|it| it.get(&mut *store));
    value.and_then(|it| it.i32()).map(i32::cast_unsigned).ok_or(Misbehaved::Protocol(NO_GLOBAL))
}

/// A text of at most so many bytes.
fn answer(store: &mut Store<State>, instance: &Instance, at: u32, most: usize) -> wasmtime::Result<Vec<u8>> {
    let memory = memory(store, instance)?;
    let text = text(memory.data(&*store), at)?;
    if text.len() > most {
        return Err(TooLarge { length: text.len(), most }.into());
    }
    Ok(text.to_vec())
}

/// The globals that are added to a module: where its data lies, and the end of its heap with nothing else on it.
pub(in crate::engine) const DATA: &str = "verdict: data";
pub(in crate::engine) const HEAP: &str = "verdict: heap";
/// What is asked: Kubewarden's choice.
const ENTRYPOINT: i32 = 0;
/// Bytes of what a module tells of itself.
const MAX_NUMBERS: usize = 256 << 10;
const NOT_NOW: &str = "it calls a builtin function when it is not asked about a review, or from within another one";
const NO_BUILTIN: &str = "it calls a builtin function by a number that it has no name for";
const OTHER_ARITY: &str = "it calls a builtin function with more or fewer arguments than that one takes";
const TOO_LARGE: &str = "what it is given is too large for it";
const UNREAD: &str = "it cannot read what it is given";
const NO_FUNCTION: &str = "it lacks a function of OPA's ABI";
const NO_GLOBAL: &str = "it lacks the globals that the host adds";
