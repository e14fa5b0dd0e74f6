//! Compiled code from bytes or a file: the one place where this crate trusts bytes without checking what they do.

use std::path::Path;

use wasmtime::{Engine, component::Component};

/// A component from code that [`super::prepare`] made, in this process or in a child of it.
#[allow(unsafe_code, reason = "wasmtime runs compiled code as it stands; ours came from our own compiler")]
pub(super) fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are the compiler's own output, in memory of this process ever since.
    unsafe { Component::deserialize(engine, code) }
}

/// A component mapped from `path`, whose pages are shared by all processes that map it.
#[allow(unsafe_code, reason = "wasmtime runs compiled code as it stands; the cache lets only us and root write it")]
pub(super) fn map(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the caller checked that nobody but this user and root can write the file or its folders, that its
    // checksum holds, and entries are replaced by rename and never written to.
    unsafe { Component::deserialize_file(engine, path) }
}
