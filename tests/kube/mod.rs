//! Tests against a real kube-apiserver 1.36.3, with the real `verdict` binary behind mutual TLS.
//!
//! Most share one cluster ([`cluster`]); each keeps to namespaces and users of its own.

mod access;
mod cases;
mod causes;
mod certificates;
mod cluster;
mod controller;
mod declared;
mod disturbed;
mod drain;
mod entries;
mod events;
mod failures;
mod generated;
mod harness;
mod intruder;
mod k8s_wasm;
mod kubewarden;
mod labels;
mod legacy;
mod mutating;
mod registration;
mod scale;
mod tokens;
mod tries;
mod validating;
