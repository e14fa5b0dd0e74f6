//! The tests of the whole: real guests compiled from `policies/`, the real router, real TLS.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(
    unreachable_pub,
    clippy::needless_pass_by_value,
    reason = "nobody else sees them, and values read better in tests"
)]

mod support;

/// Who may use what the admin listener does not show to everybody.
mod admin;
/// Policies that say when to come again, and those that are plain functions.
mod answers;
/// Slow callers in great numbers.
mod attack;
/// As a new author would, from `verdict new` to the server.
mod author;
/// Bad callers over real TLS: every one gets its answer, and the server goes on.
mod callers;
/// `verdict test` with real components.
mod cases;
/// Expressions against Kubernetes' own code.
mod cel;
/// The command line as data: folders with files, commands and all that they print.
mod certificates;
/// The Helm chart.
mod chart;
/// Policies that share an entry of a webhook configuration.
mod classes;
/// What time it is in a case.
mod clock;
mod commands;
/// Match conditions on objects that users send.
mod conditions;
/// What a component says of itself and this server does not know.
mod contract;
/// What fails around the server: disks, threads, files, processes.
mod faults;
/// Text of guests that would be more than text in a log, on a terminal or in an answer.
mod forging;
/// What is only so in Go.
mod go;
/// What `verdict build` says to authors who write Go, and the templates in Go.
mod go_build;
/// A policy in Go that prints, panics and decodes large objects, for very many reviews.
mod go_endurance;
/// The examples in Go.
mod go_examples;
/// A policy in Go that answers every kind of review.
mod go_kinds;
/// Policies that decide together.
mod groups;
/// Guests' own unit tests, and every sample review through the router.
mod guests;
/// Policies whose components are in a registry.
mod images;
/// Components import what their manifests want.
mod imports;
/// No state crosses reviews, and what operators can choose about that.
mod isolation;
/// What is only so in JavaScript; and a host in JavaScript.
mod js;
/// What `verdict build` says to authors who write JavaScript.
mod js_build;
/// Who may ask what: names in certificates, bearer tokens, and how both are replaced.
mod known;
/// Lanes, and instances that rest: nothing idle holds what somebody waits for.
mod lanes;
/// What holds in every language alike: Rust, Go, JavaScript and Python.
mod languages;
/// What a policy says when it panics.
mod last_words;
/// Policies that misbehave: each gives a valid review with its own words, and the next is not affected.
mod misbehaving;
/// Core modules of older protocols.
mod modules;
/// Policies that belong to a namespace.
mod namespaced;
/// More than the server can do.
mod overload;
/// The built-in policy `pod-security` against the fixtures of Kubernetes.
mod pod_security;
/// Replicas in real Pods, of a whole small cluster.
mod pods;
/// What holds of any input.
mod properties;
/// What is only so in Python.
mod python;
/// What policies in Python take of packages.
mod python_packages;
/// Policies that are given a part of each object.
mod reads;
/// Refusals before the body was read, as curl and Go's client see them.
mod refusals;
/// Policies that are registered while the server runs.
mod registration;
/// The client of registries: what lies and fails, and a registry that others wrote.
mod registry;
/// What Rego's builtin functions give, compared with OPA's own code.
mod rego;
/// What a release holds.
mod release;
/// Files that change while the server answers.
mod reload;
/// The order of the rooms in `webhook/`.
mod rooms;
/// The declared objects as people and editors see them.
mod schemas;
/// What is told of reviews, and what never is.
mod seen;
/// Signatures between Verdict and cosign.
mod signatures;
mod signed;
/// What is registered and kept on disk.
mod state;
/// Where the machine swaps.
mod swap;
/// A guest that leaves something in every kind of state that core Wasm has.
mod tables;
/// What is measured, and what shells complete.
mod trying;
/// Types of SDKs and templates, as mypy and tsc see them.
mod types;

/// Against a real kube-apiserver.
mod kube;
