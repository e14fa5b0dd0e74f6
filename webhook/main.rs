//! Parse, run, exit code.

use std::process::ExitCode;

/// A review makes some two hundred small allocations, many of them freed on another thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    verdict::cli::main()
}
