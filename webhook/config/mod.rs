//! Policies as YAML: `kind: Policy`, parsed once into values that need no further checks.

pub mod schema;
