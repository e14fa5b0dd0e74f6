//! The real `verdict` binary: `serve` with mutual TLS, and its other commands run to their end.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::{
    eventually, http,
    pki::{Identity, Pki},
    processes::Process,
};

/// `verdict serve`, ready.
pub struct Verdict {
    pub process: Process,
    /// Where reviews are answered.
    pub https: SocketAddr,
    /// Where metrics are.
    pub admin: SocketAddr,
    /// The certificate that callers must present.
    pub client: Identity,
}

/// A command line of `verdict` without any environment.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verdict"));
    command.env_clear();
    command
}

/// Runs a command of `verdict` to its end; its stdout. Fails unless it succeeds.
#[track_caller]
pub fn run(args: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command().args(args).output().expect("verdict");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "verdict {args:?}: {status}\n{stderr}");
    String::from_utf8(stdout).expect("UTF-8")
}
