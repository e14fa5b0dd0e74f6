//! What the tests stand on: real processes, real certificates, real sockets. Nothing in here decides what is right.

pub mod binaries;
pub mod collector;
pub mod control_plane;
pub mod corpus;
pub mod examples;
pub mod fixtures;
pub mod go_module;
pub mod helm;
pub mod host;
pub mod http;
pub mod kinds;
pub mod link;
pub mod node;
pub mod pki;
pub mod pods;
pub mod processes;
pub mod registry;
pub mod rego;
#[allow(dead_code, reason = "the soak needs more of it")]
pub mod replicas;
pub mod samples;
pub mod server;
pub mod verdict;

use std::{
    fmt::Display,
    thread,
    time::{Duration, Instant},
};

/// Asks until the answer is `Ok`, at most 60 seconds long; then fails with the last answer.
pub fn eventually<T, E: Display>(what: &str, ask: impl FnMut() -> Result<T, E>) -> T {
    within(Duration::from_secs(60), ask).unwrap_or_else(|last| panic!("never came true: {what}: {last}"))
}

/// Asks until the answer is `Ok`, but no longer than `limit`; then gives the last answer.
pub fn within<T, E>(limit: Duration, mut ask: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let deadline = Instant::now() + limit;
    loop {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(last) if Instant::now() >= deadline => return Err(last),
            Err(_) => thread::sleep(Duration::from_millis(25)),
        }
    }
}
