//! Compiled code from bytes or a file: the one place where this crate trusts bytes without checking what they do.

use std::{ops::Range, path::Path};

use rustix::mm::{Advice, madvise};
use wasmtime::{Engine, Module, Precompiled, component::Component};

use crate::engine::run::program::Code;

/// What [`super::prepare`] made, in this process or in a child of it.
#[allow(unsafe_code, reason = "wasmtime runs compiled code as it stands; ours came from our own compiler")]
pub(super) fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Code> {
    // SAFETY: the bytes are the compiler's own output, in memory of this process ever since.
    unsafe {
        match Engine::detect_precompiled(code) {
            Some(Precompiled::Module) => Module::deserialize(engine, code).map(Code::Module),
            _ => Component::deserialize(engine, code).map(Code::Component),
        }
    }
}

/// Code mapped from `path`, whose pages are shared by all processes that map it. None of them stays resident until a review
/// needs it.
#[allow(unsafe_code, reason = "wasmtime runs compiled code as it stands; the cache lets only us and root write it")]
pub(super) fn map(engine: &Engine, path: &Path) -> wasmtime::Result<Code> {
    // SAFETY: the caller checked that nobody but this user and root can write the file or its folders, that its
    // checksum holds, and entries are replaced by rename and never written to.
    let (code, Range { start, end }) = unsafe {
        match Engine::detect_precompiled_file(path)? {
            Some(Precompiled::Module) => {
                let module = Module::deserialize_file(engine, path)?;
                let range = module.image_range();
                (Code::Module(module), range)
            }
            _ => {
                let component = Component::deserialize_file(engine, path)?;
                let range = component.image_range();
                (Code::Component(component), range)
            }
        }
    };
    // The kernel maps much around the little that loading reads. Where it refuses, that only stays so.
    // SAFETY: a file mapping that wasmtime has not written to (it applies no relocations), so that every page comes
    // back from the file as it was.
    let _ = unsafe { madvise(start.cast_mut().cast(), end as usize - start as usize, Advice::LinuxDontNeed) };
    Ok(code)
}
