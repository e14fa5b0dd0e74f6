//! The contract's imports, one small impl each. All of them are plain functions: nothing to hold, nothing to leak.

use std::{
    sync::LazyLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

use super::{
    bindings::{
        self,
        verdict::{admission::admission, guest_runtime::guest_runtime, host, policy::types},
    },
    output::Level,
    state::State,
};

/// Everything that a policy may import: the contract's interfaces, and WASI 0.2 with nothing behind it.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    bindings::Everything::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}

impl host::log::Host for State {
    fn write(&mut self, level: host::log::Level, message: String) {
        let level = match level {
            host::log::Level::Trace => Level::Trace,
            host::log::Level::Debug => Level::Debug,
            host::log::Level::Info => Level::Info,
            host::log::Level::Warn => Level::Warn,
            host::log::Level::Error => Level::Error,
        };
        self.output.log(level, &message);
    }
}

impl host::audit_log::Host for State {
    fn write(&mut self, key: String, value: String) {
        self.output.audit(&key, &value);
    }
}

impl host::review::Host for State {
    fn raw(&mut self) -> String {
        self.raw.to_string()
    }
}

impl guest_runtime::Host for State {
    fn output(&mut self, fd: u32, word: u64, length: u32) {
        let word = word.to_le_bytes();
        let bytes = word.get(..length as usize).unwrap_or(&word);
        match fd {
            1 => self.output.print(bytes),
            2 => self.output.print_error(bytes),
            _ => {}
        }
    }

    fn wall_clock(&mut self) -> u64 {
        // A clock after 2554 is not worth an error to a guest.
        u64::try_from(self.wall.now().as_nanos()).unwrap_or(u64::MAX)
    }

    fn monotonic_clock(&mut self) -> u64 {
        Monotonic.now()
    }

    fn random(&mut self) -> u64 {
        rand::random()
    }

    fn environment_count(&mut self) -> u32 {
        // One zero byte ends each variable.
        let count = self.environment().iter().filter(|byte| **byte == 0).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    fn environment_bytes(&mut self) -> u32 {
        u32::try_from(self.environment().len()).unwrap_or(u32::MAX)
    }

    fn environment_word(&mut self, index: u32) -> u64 {
        let mut word = [0; 8];
        let rest = (index as usize).checked_mul(8).and_then(|begin| self.environment().get(begin..));
        for (byte, value) in word.iter_mut().zip(rest.unwrap_or_default()) {
            *byte = *value;
        }
        u64::from_le_bytes(word)
    }

    /// The deadline of the call drops it.
    async fn sleep(&mut self, nanoseconds: u64) {
        tokio::time::sleep(Duration::from_nanos(nanoseconds)).await;
    }

    fn out_of_stack(&mut self) {
        self.out_of_stack = true;
    }

    fn exit(&mut self, status: u32) {
        self.output.print_error(format!("the policy ended itself with status {status}\n").as_bytes());
    }
}

impl types::Host for State {}
impl admission::Host for State {}

/// The wall clock of guests: this machine's, or one that stands still where a review says what time it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Wall(pub(super) Option<SystemTime>);

impl Wall {
    pub(super) fn time(self) -> SystemTime {
        self.0.unwrap_or_else(SystemTime::now)
    }
}

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        // A clock before 1970 is not worth an error to a guest.
        self.time().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// The monotonic clock of guests. It begins at 1970, so that an instant which a snapshot holds lies in the past of
/// every later process too, unless the machine's clock is set back meanwhile.
pub(super) struct Monotonic;

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        static START: LazyLock<(Instant, Duration)> =
            LazyLock::new(|| (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()));
        u64::try_from((START.1 + START.0.elapsed()).as_nanos()).unwrap_or(u64::MAX)
    }
}
