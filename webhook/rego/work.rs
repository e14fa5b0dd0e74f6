//! What builtins may still do for one review. They run on the guest's thread, where no deadline interrupts them, so each
//! asks here before it works.

use std::{collections::HashMap, time::SystemTime};

use super::regex::Pattern;

/// What is left for the builtins of one review, and what they share within it.
pub struct Work {
    /// Each takes about ten nanoseconds.
    steps: usize,
    /// Bytes that values and texts may still take.
    bytes: usize,
    /// Nanoseconds since 1970.
    now: i64,
    /// By their text.
    pub(super) patterns: HashMap<Box<str>, Pattern>,
}

/// The policy has used up what its builtins may do for one review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its builtins did more for one review than they may")]
pub struct Exhausted;

impl Work {
    /// Some tens of milliseconds and 64 MiB. `now` is what `time.now_ns` gives, however late it is called.
    #[must_use]
    pub fn new(now: SystemTime) -> Self {
        Self::limited(now, STEPS, BYTES)
    }

    fn limited(now: SystemTime, steps: usize, bytes: usize) -> Self {
        let nanoseconds = match now.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |it| -it),
        };
        Self { steps, bytes, now: nanoseconds, patterns: HashMap::new() }
    }

    /// Nanoseconds since 1970.
    pub(super) fn now(&self) -> i64 {
        self.now
    }

    /// To be called before the work is done.
    pub(super) fn steps(&mut self, count: usize) -> Result<(), Exhausted> {
        self.steps = self.steps.checked_sub(count).ok_or(Exhausted)?;
        Ok(())
    }

    /// To be called before they are made: memory, and the time that it takes to write it.
    pub(super) fn bytes(&mut self, count: usize) -> Result<(), Exhausted> {
        self.bytes = self.bytes.checked_sub(count).ok_or(Exhausted)?;
        self.steps(count / BYTES_A_STEP + 1)
    }
}

/// A text that is charged as it grows.
pub(super) struct Out<'w> {
    text: String,
    pub(super) work: &'w mut Work,
}

impl<'w> Out<'w> {
    pub(super) fn new(work: &'w mut Work) -> Self {
        Self { text: String::new(), work }
    }

    pub(super) fn push(&mut self, text: &str) -> Result<(), Exhausted> {
        self.work.bytes(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    /// Of an ASCII letter.
    pub(super) fn fill(&mut self, letter: u8, count: usize) -> Result<(), Exhausted> {
        self.work.bytes(count)?;
        self.text.push_str(&char::from(letter).to_string().repeat(count));
        Ok(())
    }

    /// `most`: how many bytes `write` appends at most.
    pub(super) fn with(&mut self, most: usize, write: impl FnOnce(&mut String)) -> Result<(), Exhausted> {
        self.work.bytes(most)?;
        write(&mut self.text);
        Ok(())
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// As many as plain copying does in the time of a step.
const BYTES_A_STEP: usize = 8;
const STEPS: usize = 4_000_000;
const BYTES: usize = 64 << 20;
