//! Verdict answers kube-apiserver's TokenReview, SubjectAccessReview and AdmissionReview with sandboxed Wasm policies.
//!
//! A map of the modules; imports point one way, from the top of this list to its end:
//! - [`cli`]: one file per subcommand, the only place that prints and decides exit codes;
//! - [`server`]: HTTPS on an accept loop of our own; knows routes, limits and drain, never wasmtime;
//! - [`admin`]: the plain second listener: livez, readyz, metrics, the state of the policies;
//! - [`registration`]: what registers a server with a cluster, from its policies;
//! - [`metrics`]: what is counted, and the Prometheus registry;
//! - [`certs`]: development certificates;
//! - [`build`]: components from an author's sources: cargo, or go and an adapter of our own;
//! - [`cases`]: an author's cases: read, asked of the policy, compared, reported;
//! - [`config`]: flags and YAML, parsed once into values that need no further checks;
//! - [`policy`]: a loaded policy, what it matches, and how the answers of several fold to one verdict;
//! - [`loader`]: where components come from: bytes and digests;
//! - [`engine`]: wasmtime: compiled components, instances, limits, host imports;
//! - [`manifest`]: what an author says of a policy, in its component, and the schema of its settings;
//! - [`cel`]: match conditions: expressions with Kubernetes' functions, within a budget; knows nothing of policies;
//! - [`review`]: the three reviews on the wire, in both versions; serde only;
//! - [`text`]: one way to clean hostile text for a log, a terminal, a page, a header;
//! - [`turn`]: how long a task may keep its thread.

// Text goes to a terminal through `text`, which cleans it.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod admin;
pub mod build;
pub mod cases;
pub mod cel;
pub mod certs;
pub mod cli;
pub mod config;
pub mod engine;
pub mod loader;
pub mod manifest;
pub mod metrics;
pub mod policy;
pub mod registration;
pub mod review;
pub mod server;
pub mod text;
pub mod turn;
