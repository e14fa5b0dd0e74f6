//! What Rust's standard library asks of C's for output, exit, environment and clocks, on the contract's plain functions.
//!
//! Without it wasi-libc brings its own, with some twenty imports of streams and handles, and two more core instances
//! that every review has to be given. What is not here is still wasi-libc's, and imported only by policies that use it:
//! sleep, standard input, random numbers (a `HashMap` takes its seed from there).
//!
//! Each function replaces all that its object file in wasi-libc defines, so that no symbol can be defined twice.

#![allow(unsafe_code, reason = "the ABI of C")]

use std::{
    cell::RefCell,
    ffi::{CStr, CString, c_char, c_int, c_void},
    ptr, slice,
};

use crate::generated::runtime::verdict::guest_runtime::guest_runtime;

/// POSIX's, without its promises on how much is written: the host caps what it keeps.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize {
    if !matches!(fd, 1 | 2) {
        return failed(EBADF);
    }
    // SAFETY: the caller's promise; nothing may be at no address.
    let bytes = if count == 0 { &[] } else { unsafe { slice::from_raw_parts(bytes.cast::<u8>(), count) } };
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        guest_runtime::output(fd.cast_unsigned(), u64::from_le_bytes(word), chunk.len() as u32);
    }
    count.cast_signed()
}

#[unsafe(no_mangle)]
extern "C" fn _Exit(status: c_int) -> ! {
    guest_runtime::exit(status.cast_unsigned());
    core::arch::wasm32::unreachable()
}

#[unsafe(no_mangle)]
extern "C" fn _exit(status: c_int) -> ! {
    _Exit(status)
}

/// `clock` is the address of one of wasi-libc's two clocks.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: *const c_void, time: *mut Timespec) -> c_int {
    let nanoseconds = if clock == (&raw const _CLOCK_REALTIME).cast() {
        guest_runtime::wall_clock()
    } else if clock == (&raw const _CLOCK_MONOTONIC).cast() {
        guest_runtime::monotonic_clock()
    } else {
        return failed(EINVAL) as c_int;
    };
    let timespec = Timespec {
        seconds: (nanoseconds / 1_000_000_000).cast_signed(),
        nanoseconds: (nanoseconds % 1_000_000_000) as i32,
    };
    // SAFETY: the caller's promise.
    unsafe { time.write(timespec) };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn __clock_gettime(clock: *const c_void, time: *mut Timespec) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { clock_gettime(clock, time) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getenv(name: *const c_char) -> *const c_char {
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    Environment::with(|environment| {
        let variable = environment.position(name).map(|index| &environment.variables[index]);
        // SAFETY: the name and its `=` are within the variable.
        variable.map_or(ptr::null(), |it| unsafe { it.as_ptr().add(name.len() + 1) })
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn setenv(name: *const c_char, value: *const c_char, overwrite: c_int) -> c_int {
    // SAFETY: the caller's promise.
    let (name, value) = unsafe { (CStr::from_ptr(name).to_bytes(), CStr::from_ptr(value).to_bytes()) };
    let Ok(variable) = CString::new([name, b"=", value].concat()) else { return failed(EINVAL) as c_int };
    Environment::with(|environment| {
        match environment.position(name) {
            Some(_) if overwrite == 0 => return,
            Some(index) => environment.variables[index] = variable,
            None => environment.variables.push(variable),
        }
        environment.point();
    });
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unsetenv(name: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    Environment::with(|environment| {
        if let Some(index) = environment.position(name) {
            environment.variables.remove(index);
            environment.point();
        }
    });
    0
}

/// As long as nothing is set or unset, the pointers stay good.
#[unsafe(no_mangle)]
extern "C" fn __wasilibc_get_environ() -> *const *const c_char {
    Environment::with(|environment| environment.pointers.as_ptr())
}

/// The variables that the operator granted, and what the policy set since.
struct Environment {
    /// `NAME=value`.
    variables: Vec<CString>,
    /// Where each of them begins, and null.
    pointers: Vec<*const c_char>,
}

impl Environment {
    fn with<T>(use_it: impl FnOnce(&mut Self) -> T) -> T {
        thread_local! {
            static ENVIRONMENT: RefCell<Option<Environment>> = const { RefCell::new(None) };
        }
        ENVIRONMENT.with_borrow_mut(|it| use_it(it.get_or_insert_with(Self::granted)))
    }

    fn granted() -> Self {
        let len = guest_runtime::environment_bytes();
        let mut bytes: Vec<u8> =
            (0..len.div_ceil(8)).flat_map(|index| guest_runtime::environment_word(index).to_le_bytes()).collect();
        bytes.truncate(len as usize);
        let variables = bytes.split_inclusive(|byte| *byte == 0).filter_map(|it| CStr::from_bytes_with_nul(it).ok());
        let mut environment = Self { variables: variables.map(CStr::to_owned).collect(), pointers: Vec::new() };
        environment.point();
        environment
    }

    fn point(&mut self) {
        self.pointers = self.variables.iter().map(|it| it.as_ptr()).chain([ptr::null()]).collect();
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        let is_it =
            |variable: &CString| variable.to_bytes().strip_prefix(name).is_some_and(|rest| rest.starts_with(b"="));
        self.variables.iter().position(is_it)
    }
}

/// wasi-libc's `struct timespec` on wasm32.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i32,
}

unsafe extern "C" {
    static _CLOCK_REALTIME: c_int;
    static _CLOCK_MONOTONIC: c_int;
    static mut errno: c_int;
}

/// Says why in `errno`.
fn failed(reason: c_int) -> isize {
    // SAFETY: a component has one thread.
    unsafe { errno = reason };
    -1
}

const EBADF: c_int = 8;
const EINVAL: c_int = 28;

include!(concat!(env!("OUT_DIR"), "/seed.rs"));

/// What hash maps are seeded with.
#[allow(dead_code, reason = "only where the standard library's own import was found")]
fn random_pair() -> [u64; 2] {
    [guest_runtime::random(), guest_runtime::random()]
}
