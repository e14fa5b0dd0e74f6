//! waPC: the guest fetches the operation and its payload, and leaves its answer or its error; in between it may call the host.

use wasmtime::{Caller, Instance, Linker, Store};

use super::{
    super::{question::Reply, state::State},
    Asked, calls,
    guest::{Misbehaved, TooLarge, memory_of, put, slice},
};

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker
        .func_wrap("wapc", "__guest_request", |mut caller: Caller<'_, State>, operation: u32, payload: u32| {
            let memory = memory_of(&mut caller)?;
            let (data, state) = memory.data_and_store_mut(&mut caller);
            let talk = state.talk();
            put(data, operation, talk.operation.as_bytes())?;
            put(data, payload, &talk.input)?;
            Ok::<_, wasmtime::Error>(())
        })?
        .func_wrap("wapc", "__guest_response", |mut caller: Caller<'_, State>, at: u32, length: u32| {
            let most = caller.data_mut().talk().most;
            if length as usize > most {
                return Err(wasmtime::Error::from(TooLarge { length: length as usize, most }));
            }
            let answer = copied(&mut caller, at, length)?;
            caller.data_mut().talk().answer = Some(answer);
            Ok(())
        })?
        .func_wrap("wapc", "__guest_error", |mut caller: Caller<'_, State>, at: u32, length: u32| {
            // Cut, since it is for people.
            let error = copied(&mut caller, at, length.min(MAX_ERROR))?;
            caller.data_mut().talk().error = Some(error);
            Ok::<_, wasmtime::Error>(())
        })?
        .func_wrap_async("wapc", "__host_call", |mut caller: Caller<'_, State>, parameters: calls::Parameters| {
            Box::new(async move {
                let answered = calls::answer(&mut caller, parameters).await?;
                let succeeded = answered.is_ok();
                caller.data_mut().talk().host = answered;
                Ok::<_, wasmtime::Error>(i32::from(succeeded))
            })
        })?
        .func_wrap("wapc", "__host_response_len", |mut caller: Caller<'_, State>| {
            length(caller.data_mut().talk().host.as_deref().unwrap_or_default())
        })?
        .func_wrap("wapc", "__host_error_len", |mut caller: Caller<'_, State>| {
            length(caller.data_mut().talk().host.as_deref().err().map_or(&[], Vec::as_slice))
        })?
        .func_wrap("wapc", "__host_response", |mut caller: Caller<'_, State>, at: u32| {
            let memory = memory_of(&mut caller)?;
            let (data, state) = memory.data_and_store_mut(&mut caller);
            put(data, at, state.talk().host.as_deref().unwrap_or_default())?;
            Ok::<_, wasmtime::Error>(())
        })?
        .func_wrap("wapc", "__host_error", |mut caller: Caller<'_, State>, at: u32| {
            let memory = memory_of(&mut caller)?;
            let (data, state) = memory.data_and_store_mut(&mut caller);
            put(data, at, state.talk().host.as_deref().err().map_or(&[], Vec::as_slice))?;
            Ok::<_, wasmtime::Error>(())
        })?
        .func_wrap("wapc", "__console_log", |mut caller: Caller<'_, State>, at: u32, length: u32| {
            let words = copied(&mut caller, at, length.min(MAX_ERROR))?;
            let output = &caller.data().output;
            output.print(&words);
            output.print(b"\n");
            Ok::<_, wasmtime::Error>(())
        })?;
    Ok(())
}

pub(super) async fn ask(store: &mut Store<State>, instance: &Instance) -> Reply<Vec<u8>> {
    let talk = store.data_mut().talk();
    let length = |bytes: usize| u32::try_from(bytes).map_err(|_| Misbehaved::Protocol("the input is too large for it"));
    let lengths = (length(talk.operation.len())?, length(talk.input.len())?);
    let guest_call = instance.get_typed_func::<(u32, u32), i32>(&mut *store, "__guest_call")?;
    let answered = guest_call.call_async(&mut *store, lengths).await?;
    let talk = store.data_mut().talk();
    // It may hold a token.
    talk.input = Vec::new();
    Ok(match (answered, talk.answer.take(), talk.error.take()) {
        (1, answer, _) => Ok(answer.unwrap_or_default()),
        (_, _, Some(error)) => Err(String::from_utf8_lossy(&error).into_owned()),
        (_, _, None) => Err("it failed without a word".to_owned()),
    })
}

/// Any operation, with the event as its payload and any text as its answer.
pub(in crate::engine::run) async fn handle_event(asked: Asked<'_>, event: &str) -> Reply<String> {
    let operation = asked.operation.ok_or_else(|| wasmtime::format_err!("no operation is declared"))?;
    let input = event.as_bytes().to_vec();
    let answer = match asked.module.ask(asked.store, asked.instance, operation, input, MAX_ANSWER).await? {
        Ok(answer) => answer,
        Err(words) => return Ok(Err(words)),
    };
    String::from_utf8(answer).map(Ok).map_err(|_| wasmtime::format_err!("it is not UTF-8"))
}

fn copied(caller: &mut Caller<'_, State>, at: u32, length: u32) -> Result<Vec<u8>, Misbehaved> {
    let memory = memory_of(caller)?;
    Ok(slice(memory.data(&*caller), at, length)?.to_vec())
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Bytes of a guest's error.
const MAX_ERROR: u32 = 16 << 10;
/// Bytes of an answer to an event.
const MAX_ANSWER: usize = 4 << 20;
