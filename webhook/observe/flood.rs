//! Lines of the log that callers or policies can provoke: so many of each kind are written, the others are counted, and the counts are told.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tracing::warn;

use super::Metrics;

/// How often one kind of line of one policy may be written.
pub(crate) struct Quota {
    /// Empty: it is no policy's.
    policy: Arc<str>,
    line: &'static str,
    rate: Flow,
    state: Mutex<State>,
}

/// How many lines come through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    /// At once.
    burst: u32,
    /// One more after each of these.
    every: Duration,
}

struct State {
    left: u32,
    /// When `left` was last added to.
    filled: Instant,
    /// Hashes of words that were written not long ago, and when.
    said: Vec<(u64, Instant)>,
    left_out: u64,
}

impl Flow {
    /// What says that something is wrong: once, then once a minute.
    pub(crate) const FAILURE: Self = Self { burst: 1, every: AGAIN };
    /// What says so in words of its own: ten at once, ten each minute.
    pub(crate) const FAILURES: Self = Self { burst: 10, every: Duration::from_secs(6) };
    /// What tells of single reviews, or comes from a policy: a thousand at once, a hundred each second.
    pub(crate) const WORDS: Self = Self { burst: 1000, every: Duration::from_millis(10) };
}

impl Quota {
    /// Of the lines that begin with `line`.
    pub(crate) fn new(policy: &str, line: &'static str, rate: Flow) -> Arc<Self> {
        let state = State { left: rate.burst, filled: Instant::now(), said: Vec::new(), left_out: 0 };
        Arc::new(Self { policy: policy.into(), line, rate, state: Mutex::new(state) })
    }

    /// Of no policy: what tells that something is wrong with the server.
    pub(crate) fn of_server(line: &'static str) -> Arc<Self> {
        Self::new("", line, Flow::FAILURE)
    }

    /// Whether one more may be written now; else it is counted.
    pub(crate) fn takes(self: &Arc<Self>) -> bool {
        self.takes_at(Instant::now())
    }

    /// As [`Self::takes`], where lines of other words are not held up by one that is always the same: that comes once a minute.
    pub(crate) fn takes_words(self: &Arc<Self>, words: &str) -> bool {
        self.takes_words_at(words, Instant::now())
    }

    fn takes_at(self: &Arc<Self>, now: Instant) -> bool {
        let mut state = self.state();
        let takes = state.takes(self.rate, now);
        self.counted(takes, state)
    }

    fn takes_words_at(self: &Arc<Self>, words: &str, now: Instant) -> bool {
        let mut hasher = DefaultHasher::new();
        words.hash(&mut hasher);
        let hash = hasher.finish();
        let mut state = self.state();
        // No more than come through in a minute.
        state.said.retain(|(_, at)| now.saturating_duration_since(*at) < AGAIN);
        let takes = !state.said.iter().any(|(it, _)| *it == hash) && state.takes(self.rate, now);
        if takes {
            state.said.push((hash, now));
        }
        self.counted(takes, state)
    }

    fn counted(self: &Arc<Self>, takes: bool, mut state: MutexGuard<'_, State>) -> bool {
        if takes {
            return true;
        }
        state.left_out += 1;
        if state.left_out == 1 {
            drop(state);
            waiting().push(Arc::clone(self));
        }
        false
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn takes(&mut self, rate: Flow, now: Instant) -> bool {
        let periods = now.saturating_duration_since(self.filled).as_nanos() / rate.every.as_nanos().max(1);
        if periods > 0 {
            let more = u32::try_from(periods).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(more).min(rate.burst);
            self.filled = now;
        }
        let takes = self.left > 0;
        self.left -= u32::from(takes);
        takes
    }
}

/// Tells now and then, for ever.
pub async fn tell_left_out(metrics: Arc<Metrics>) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        tell(&metrics);
    }
}

/// Says and counts what was left out since the last time.
fn tell(metrics: &Metrics) {
    let quotas = mem::take(&mut *waiting());
    for quota in quotas {
        let left_out = mem::take(&mut quota.state().left_out);
        metrics.lines_left_out(&quota.policy, quota.line, left_out);
        let policy = Some(&*quota.policy).filter(|it| !it.is_empty());
        warn!(policy, line = quota.line, left_out, "lines of the log were left out");
    }
}

/// Those that left something out: each at most once, so no more than there are kinds of lines.
fn waiting() -> MutexGuard<'static, Vec<Arc<Quota>>> {
    static WAITING: Mutex<Vec<Arc<Quota>>> = Mutex::new(Vec::new());
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When the same may be written once more.
const AGAIN: Duration = Duration::from_secs(60);
/// How often what was left out is told.
const TELL_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_written_the_others_are_counted_until_there_is_room_again() {
        let quota = Quota::new("left-out", "a policy failed", Flow::FAILURE);
        let begin = Instant::now();
        assert!(quota.takes_at(begin));
        for _ in 0..1000 {
            assert!(!quota.takes_at(begin + Duration::from_secs(59)));
        }
        assert_eq!(quota.state().left_out, 1000);
        let metrics = Metrics::new();
        tell(&metrics);
        assert_eq!(quota.state().left_out, 0);
        let line = "verdict_log_lines_left_out_total{line=\"a policy failed\",policy=\"left-out\"} 1000";
        assert!(metrics.text().contains(line), "{}", metrics.text());
        assert!(quota.takes_at(begin + Duration::from_secs(61)) && !quota.takes_at(begin + Duration::from_secs(61)));
    }

    #[test]
    fn words_that_are_always_the_same_hold_up_no_others() {
        let quota = Quota::new("words", "guest_error", Flow::FAILURES);
        let begin = Instant::now();
        assert!(quota.takes_words_at("trap", begin));
        for _ in 0..1000 {
            assert!(!quota.takes_words_at("trap", begin + Duration::from_secs(1)));
        }
        assert!(quota.takes_words_at("no labels", begin + Duration::from_secs(1)));
        // Nor are others endless.
        let others = |at| (0..1000).filter(|it| quota.takes_words_at(&format!("{it}"), begin + at)).count();
        assert_eq!([Duration::from_secs(1), Duration::from_secs(7), Duration::from_secs(55)].map(others), [8, 1, 8]);
        assert!(quota.takes_words_at("trap", begin + Duration::from_secs(61)));
    }

    #[test]
    fn however_long_nothing_was_said_no_more_than_a_burst_comes_at_once() {
        let quota = Quota::new("burst", "guest", Flow::WORDS);
        let later = Instant::now() + Duration::from_secs(3600);
        assert_eq!((0..5000).filter(|_| quota.takes_at(later)).count(), 1000);
        assert_eq!((0..5000).filter(|_| quota.takes_at(later + Duration::from_secs(1))).count(), 100);
    }
}
