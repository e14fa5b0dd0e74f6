//! A guest's memory, by pointers and lengths that it chose.

use wasmtime::{Caller, Extern, Instance, Memory, Store};

use super::super::state::State;
use crate::component::protocol::MEMORY;

/// A module broke its protocol. The words are for the operator.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine::run) enum Misbehaved {
    #[error("it gave a pointer and a length ({pointer:#x}, {length}) that are not within its memory")]
    OutOfBounds { pointer: u32, length: u32 },
    #[error("it has no memory of the name \"{MEMORY}\"")]
    NoMemory,
    #[error("{0}")]
    Protocol(&'static str),
}

/// The guest's answer has more bytes than it may.
#[derive(Debug, thiserror::Error)]
#[error("it has {length} bytes, more than {most}")]
pub(in crate::engine::run) struct TooLarge {
    pub(super) length: usize,
    pub(super) most: usize,
}

pub(super) fn memory_of(caller: &mut Caller<'_, State>) -> Result<Memory, Misbehaved> {
    caller.get_export(MEMORY).and_then(Extern::into_memory).ok_or(Misbehaved::NoMemory)
}

pub(super) fn memory(store: &mut Store<State>, instance: &Instance) -> Result<Memory, Misbehaved> {
    instance.get_memory(store, MEMORY).ok_or(Misbehaved::NoMemory)
}

/// What lies there.
pub(super) fn slice(data: &[u8], pointer: u32, length: u32) -> Result<&[u8], Misbehaved> {
    let end = (pointer as usize).checked_add(length as usize);
    end.and_then(|end| data.get(pointer as usize..end)).ok_or(Misbehaved::OutOfBounds { pointer, length })
}

/// Puts `bytes` there.
pub(super) fn put(data: &mut [u8], pointer: u32, bytes: &[u8]) -> Result<(), Misbehaved> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let end = (pointer as usize).checked_add(bytes.len());
    let place = end.and_then(|end| data.get_mut(pointer as usize..end));
    place.ok_or(Misbehaved::OutOfBounds { pointer, length })?.copy_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_beyond_the_memory_is_touched() {
        let mut data = [1, 2, 3, 4];
        assert_eq!(slice(&data, 1, 2).unwrap(), [2, 3]);
        assert_eq!(slice(&data, 4, 0).unwrap(), [0_u8; 0]);
        for (pointer, length) in [(0, 5), (4, 1), (5, 0), (u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX)] {
            assert!(slice(&data, pointer, length).is_err(), "{pointer} {length}");
        }
        put(&mut data, 2, &[9, 9]).unwrap();
        assert!(put(&mut data, 3, &[7, 7]).is_err() && put(&mut data, u32::MAX, &[7]).is_err());
        assert_eq!(data, [1, 2, 9, 9]);
    }
}
