//! How a call into a guest ended: within its time, and whose fault it was when it failed.

use std::{
    fmt::{self, Write},
    future::poll_fn,
    pin::pin,
    task::Poll,
    time::Instant,
};

use tokio::time::timeout_at;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace, component::ResourceTableError};
use wasmtime_wasi::I32Exit;

use super::{
    module::{Aborted, Misbehaved, TooLarge},
    state::{MAX_RESOURCES, State},
};
use crate::{rego::Exhausted, spec::Failure, text::line};

/// Ends host calls too, which the epoch does not.
pub(in crate::engine) async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let mut work = pin!(work);
    // Most calls never wait: those need no timer.
    if let Poll::Ready(ended) = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await {
        return ended;
    }
    match timeout_at(deadline.into(), work).await {
        Ok(ended) => ended,
        Err(_) => Err(wasmtime::Error::new(DeadlineReached)),
    }
}

/// Whose fault a failed call was, and which limit it ran into.
pub(in crate::engine) fn classify<T>(ended: wasmtime::Result<T>, state: &State) -> Result<T, Failure> {
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
    } else if state.out_of_stack {
        Failure::Stack
    } else if state.talk.as_ref().is_some_and(|it| it.overflowed()) {
        Failure::Size("more than an answer may hold".to_owned())
    } else if let Some(too_large) = error.downcast_ref::<TooLarge>() {
        Failure::Size(too_large.to_string())
    } else if let Some(misbehaved) = error.downcast_ref::<Misbehaved>() {
        Failure::Answer(misbehaved.to_string())
    } else if let Some(Aborted(words)) = error.downcast_ref() {
        Failure::Trap(trapped(&format!("it gave up: {words}"), &error, state))
    } else if error.is::<Exhausted>() {
        Failure::Fuel
    } else if let Some(I32Exit(code)) = error.downcast_ref() {
        Failure::Trap(trapped(&format!("it ended itself with exit code {code}"), &error, state))
    } else if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        Failure::Size(format!("it holds more than {MAX_RESOURCES} handles"))
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        match trap {
            Trap::Interrupt => Failure::Timeout,
            // In Rust and C a guest's own stack ends where its memory begins.
            Trap::StackOverflow | Trap::MemoryOutOfBounds => Failure::Stack,
            Trap::OutOfFuel => Failure::Fuel,
            _ => Failure::Trap(trapped(&trap.to_string(), &error, state)),
        }
    } else if text().contains(FUEL_EXHAUSTED) {
        Failure::Size("more data than an answer may hold".to_owned())
    } else {
        Failure::Answer(shown(&text(), true))
    })
}

/// What the guest said last, what ended it, and in which functions, as far as they have names.
fn trapped(why: &str, error: &wasmtime::Error, state: &State) -> String {
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
    let names: Vec<String> = frames.iter().filter_map(|it| it.func_name()).map(readable).take(MAX_FRAMES).collect();
    let place = if names.is_empty() { String::new() } else { format!(" in {}", names.join(", called by ")) };
    match state.output.last_words() {
        words if words.is_empty() => format!("{why}{place}"),
        words => format!("{words} ({why}{place})"),
    }
}

/// A function's name as it stands in the sources, of Rust without hashes. A short name can stand for a very long one: what is beyond
/// [`MAX_NAME`] is never made.
fn readable(name: &str) -> String {
    // Linkers that make names readable leave the hash.
    let name = match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|it| it.is_ascii_hexdigit()) => path,
        _ => name,
    };
    let mut short = Short(String::new());
    // It ends early only where the name is too long.
    let _ = write!(short, "{:#}", rustc_demangle::demangle(name));
    short.0
}

/// Takes [`MAX_NAME`] bytes, and refuses the rest.
struct Short(String);

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_NAME - self.0.len();
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

/// The answer, if the guest had all that it asked for. What it says after a limit was used up, in its own error handling for
/// example, is no decision: whoever sends a large object could choose it.
pub(in crate::engine) fn replied<T>(ended: Result<Result<T, String>, Failure>, state: &State) -> Result<T, Failure> {
    let reply = ended?;
    if state.memory.was_refused() {
        return Err(Failure::Memory);
    }
    if state.out_of_stack {
        return Err(Failure::Stack);
    }
    reply.map_err(Failure::Guest)
}

/// Text of a guest for the operator's log: cleaned, and of bounded length. An authenticator's own words may hold the token.
pub(in crate::engine) fn shown(text: &str, keep: bool) -> String {
    if !keep {
        return "message withheld, since the policy sees tokens: set grants.log to show it".to_owned();
    }
    line(&text[..text.floor_char_boundary(MAX_SHOWN)])
}

/// The caller's or the policy's time is used up.
#[derive(Debug, thiserror::Error)]
#[error("the deadline is reached")]
pub(in crate::engine) struct DeadlineReached;

/// `init` accepted the settings at load, and not now.
#[derive(Debug, thiserror::Error)]
#[error("init refused the settings that it accepted at load")]
pub(in crate::engine) struct RefusedLater;

/// The only words of wasmtime's private error for this; a test holds them.
const FUEL_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";
const MAX_SHOWN: usize = 2 << 10;
/// Functions that are named of a trap.
const MAX_FRAMES: usize = 16;
/// Bytes of one function's name.
const MAX_NAME: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_functions_are_those_of_the_sources() {
        for (mangled, name) in [
            (
                "_RNvMs_Cse1aiszggr1x_21misbehaving_admissionNtB4_11Misbehaving9misbehave",
                "<misbehaving_admission::Misbehaving>::misbehave",
            ),
            ("_ZN4core9panicking9panic_fmt17h0123456789abcdefE", "core::panicking::panic_fmt"),
            ("core::panicking::panic_fmt::h0123456789abcdef", "core::panicking::panic_fmt"),
            ("main.(*Policy).Validate", "main.(*Policy).Validate"),
            ("verdict:admission/mutating@1.0.0#mutate", "verdict:admission/mutating@1.0.0#mutate"),
        ] {
            assert_eq!(readable(mangled), name);
        }
        let long = "ä".repeat(1000);
        assert_eq!(readable(&long), long[..MAX_NAME]);
    }
}
