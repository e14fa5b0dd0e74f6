//! Verdict answers kube-apiserver's TokenReview, SubjectAccessReview and AdmissionReview with sandboxed Wasm policies.
//!
//! A map of the rooms; imports point one way, from the top of this list to its end, and `tests/rooms.rs`, which reads the
//! order here, fails on one that points up:
//! - [`cli`]: one file per subcommand, the only place that prints and decides exit codes;
//! - [`server`], [`admin`]: the two listeners, on an accept loop of our own; HTTPS for reviews, with routes, limits and
//!   drain; plain or TLS for livez, readyz, metrics and the state of the policies. Never see wasmtime;
//! - [`controller`]: a cluster as the source of policies, what is registered with it, and status; the only one that sees kube;
//! - [`registration`]: what registers a server with a cluster, from its policies;
//! - [`author`]: new, build, cases, docs: what only authors need;
//! - [`policy`]: a loaded policy, what it matches, and how the answers of several fold to one verdict;
//! - [`config`]: YAML, parsed once into values that need no further checks;
//! - [`engine::prepare`]: a program's identity, snapshot, compiler and cache: bytes and settings become a program;
//! - [`engine::run`]: instances, calls, limits, host imports: a program and a review become an outcome;
//! - [`component`]: what bytes are: the contract, and what an author says of a policy in its component;
//! - [`loader`]: where components come from: bytes and digests;
//! - [`signature`]: signatures of components by key, made, read and compared with what is required; no I/O;
//! - [`observe`]: what operators see: metrics, decisions, traces;
//! - [`cel`]: match conditions: expressions with Kubernetes' functions, within a budget; knows nothing of policies;
//! - [`rego`]: the builtin functions that Rego policies call on their host, within a budget; knows nothing of Wasm;
//! - [`review`]: the three reviews on the wire, in both versions; serde only;
//! - [`spec`]: the declared objects, interfaces, limits, grants and outcomes as values; knows nothing;
//! - [`certs`]: development certificates;
//! - [`go`]: what Go's library makes of texts: regular expressions, times, quotes;
//! - [`text`]: one way to clean hostile text for a log, a terminal, a page, a header;
//! - [`turn`]: how long a task may keep its thread.

// What is printed goes through `cli/terminal.rs`, which cleans it.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod admin;
pub mod author;
pub mod cel;
pub mod certs;
pub mod cli;
pub mod component;
pub mod config;
pub mod controller;
pub mod engine;
mod go;
pub mod loader;
pub mod observe;
pub mod policy;
pub mod registration;
pub mod rego;
pub mod review;
pub mod server;
pub mod signature;
pub mod spec;
pub mod text;
pub mod turn;
