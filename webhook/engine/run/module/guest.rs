//! A guest's memory, by pointers and lengths that it chose.

use std::ffi::CStr;

use wasmtime::{Caller, Extern, Instance, Memory, Store};

use super::super::state::State;
use crate::component::protocol::MEMORY;

/// A module broke its protocol. The words are for the operator.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine::run) enum Misbehaved {
    #[error("it gave a pointer and a length ({pointer:#x}, {length}) that are not within its memory")]
    OutOfBounds { pointer: u32, length: u32 },
    #[error("it gave a pointer ({pointer:#x}) to a text that does not end within its memory")]
    Endless { pointer: u32 },
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

/// What lies there up to a zero byte, without it.
pub(super) fn text(data: &[u8], pointer: u32) -> Result<&[u8], Misbehaved> {
    let rest = data.get(pointer as usize..).unwrap_or_default();
    CStr::from_bytes_until_nul(rest).map(CStr::to_bytes).map_err(|_| Misbehaved::Endless { pointer })
}

/// The same for people: cut, and whether or not it ends.
pub(super) fn words(data: &[u8], pointer: u32) -> Result<&[u8], Misbehaved> {
    let rest = data.get(pointer as usize..).ok_or(Misbehaved::OutOfBounds { pointer, length: 1 })?;
    let rest = &rest[..rest.len().min(MAX_WORDS)];
    Ok(CStr::from_bytes_until_nul(rest).map_or(rest, CStr::to_bytes))
}

/// Puts `bytes` there.
pub(super) fn put(data: &mut [u8], pointer: u32, bytes: &[u8]) -> Result<(), Misbehaved> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let end = (pointer as usize).checked_add(bytes.len());
    let place = end.and_then(|end| data.get_mut(pointer as usize..end));
    place.ok_or(Misbehaved::OutOfBounds { pointer, length })?.copy_from_slice(bytes);
    Ok(())
}

/// Bytes of what a guest says to people.
const MAX_WORDS: usize = 16 << 10;

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
        assert_eq!(text(b"ab\0cd", 1).unwrap(), b"b");
        assert!(text(b"ab\0cd", 3).is_err() && text(b"ab\0", 3).is_err() && text(b"ab\0", u32::MAX).is_err());
        assert_eq!((words(b"ab\0cd", 3).unwrap(), words(b"ab\0", 1).unwrap()), (&b"cd"[..], &b"b"[..]));
        assert_eq!(words(&vec![1; MAX_WORDS + 1], 0).unwrap().len(), MAX_WORDS);
        assert!(words(b"ab\0", 4).is_err() && words(b"ab\0", u32::MAX).is_err());
        put(&mut data, 2, &[9, 9]).unwrap();
        assert!(put(&mut data, 3, &[7, 7]).is_err() && put(&mut data, u32::MAX, &[7]).is_err());
        assert_eq!(data, [1, 2, 9, 9]);
    }
}
