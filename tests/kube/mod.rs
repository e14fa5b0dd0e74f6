//! Tests against a real kube-apiserver 1.36.3.

mod harness;
