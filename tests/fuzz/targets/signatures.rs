#![no_main]

#[path = "../holds.rs"]
mod holds;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holds::signatures(bytes));
