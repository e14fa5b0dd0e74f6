//! What bytes are: the contract's names and versions, and what the author of a component says of it.
//!
//! Knows neither how a component is run nor what is declared about it.

pub(crate) mod contract;
pub mod manifest;
