//! wasmtime, in two rooms: what makes a program of bytes and settings, and what runs it.

pub mod prepare;
pub mod run;
