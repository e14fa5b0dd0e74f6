//! What bytes are: a component of the contract or a module of an older protocol, and what its author says of it.
//!
//! Knows neither how it is run nor what is declared about it.

pub(crate) mod contract;
pub mod kubewarden;
pub mod manifest;
pub mod protocol;
