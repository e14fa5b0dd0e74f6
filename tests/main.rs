//! The integration tests: one binary, a module per topic.

mod kube;
mod support;
