//! What the integration tests stand on, as far as it serves here.

#[allow(dead_code, unreachable_pub, reason = "the tests need more of it")]
#[allow(clippy::expect_used, clippy::panic, reason = "without processes nothing can be measured")]
#[allow(clippy::needless_pass_by_value, reason = "as in the tests")]
#[path = "../../tests/support/processes.rs"]
pub(crate) mod processes;

#[allow(dead_code, unreachable_pub, reason = "the tests need more of it")]
#[allow(clippy::expect_used, clippy::panic, reason = "without fixtures nothing can be measured")]
#[path = "../../tests/support/fixtures.rs"]
pub(crate) mod fixtures;

#[allow(dead_code, unreachable_pub, reason = "the tests need more of it")]
#[allow(clippy::expect_used, clippy::panic, reason = "without modules nothing can be measured")]
#[path = "../../tests/support/go_module.rs"]
pub(crate) mod go_module;

#[allow(dead_code, unreachable_pub, reason = "the tests need more of it")]
#[allow(clippy::expect_used, clippy::panic, reason = "without modules nothing can be measured")]
#[path = "../../tests/support/rego.rs"]
pub(crate) mod rego;

use std::{
    thread,
    time::{Duration, Instant},
};

/// Asks until the answer is `Ok`, but no longer than `limit`; then gives the last answer.
pub(crate) fn within<T, E>(limit: Duration, mut ask: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let deadline = Instant::now() + limit;
    loop {
        match ask() {
            Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            answer => return answer,
        }
    }
}
