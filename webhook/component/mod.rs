//! What bytes are: a component of the contract or a module of an older protocol, and what its author says of it.
//!
//! Knows neither how it is run nor what is declared about it.

pub(crate) mod contract;
pub mod kubewarden;
pub mod manifest;
pub(crate) mod opa;
pub mod protocol;
mod seen;

use self::manifest::Manifest;

/// What its author says of it: the manifest of a component, Kubewarden's metadata of a module.
///
/// # Errors
/// It is no Wasm that is known here, or what is said cannot be read; words for the operator.
pub fn of_author(bytes: &[u8]) -> Result<Option<Manifest>, String> {
    if protocol::is_component(bytes) {
        return manifest::embedded(bytes).map_err(|error| error.to_string());
    }
    let metadata = protocol::recognise(bytes).map_err(|error| error.to_string())?.metadata;
    Ok(metadata.map(|it| it.manifest()))
}
