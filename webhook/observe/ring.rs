//! The last decisions, in memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::DecisionEvent;

/// As many of the last decisions as fit.
pub(super) struct Ring {
    /// Bytes that they may take together.
    room: usize,
    kept: Mutex<Kept>,
}

struct Kept {
    decisions: VecDeque<(u64, Arc<DecisionEvent>)>,
    bytes: usize,
    /// The number of the next one.
    next: u64,
}

/// Which of them are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The last so many.
    pub limit: usize,
    /// Only those in which this policy was asked.
    pub policy: Option<String>,
    /// Only those in which somebody denied, or else only the others.
    pub denied: Option<bool>,
    /// Only those after the one of this number.
    pub after: u64,
}

impl Ring {
    pub(super) fn new(room: usize) -> Self {
        // Numbers go on where a server is started again, so that whoever follows misses nothing.
        let next = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros();
        let next = u64::try_from(next).unwrap_or(1);
        Self { room, kept: Mutex::new(Kept { decisions: VecDeque::new(), bytes: 0, next }) }
    }

    /// Bytes that it can take; a page that shows them all may take as much again.
    pub(super) fn most(&self) -> usize {
        2 * self.room
    }

    pub(super) fn push(&self, event: Arc<DecisionEvent>) {
        let size = event.size();
        if size > self.room {
            return;
        }
        let mut gone = Vec::new();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let number = kept.next;
        kept.next += 1;
        kept.bytes += size;
        kept.decisions.push_back((number, event));
        while kept.bytes > self.room
            && let Some((_, oldest)) = kept.decisions.pop_front()
        {
            kept.bytes -= oldest.size();
            gone.push(oldest);
        }
        // Freed when nobody waits for the others.
        drop(kept);
    }

    /// In the order in which they ended, each with its number.
    pub(super) fn last(&self, wanted: &Wanted) -> Vec<(u64, Arc<DecisionEvent>)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_wanted = |(number, event): &&(u64, Arc<DecisionEvent>)| {
            *number > wanted.after
                && wanted.denied.is_none_or(|it| it == event.is_denied())
                && wanted.policy.as_ref().is_none_or(|name| event.policies.iter().any(|it| it.name == *name))
        };
        let mut last: Vec<_> = kept.decisions.iter().rev().filter(is_wanted).take(wanted.limit).cloned().collect();
        last.reverse();
        last
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::{About, Verdict};

    fn event(words: &str) -> Arc<DecisionEvent> {
        Arc::new(DecisionEvent {
            id: "1".into(),
            trace: None,
            began: SystemTime::now(),
            took: Duration::ZERO,
            route: "validate",
            asked: None,
            about: About::default(),
            verdict: Verdict::Refused(500, words.to_owned()),
            policies: Vec::new(),
            set: None,
            erased: Vec::new(),
        })
    }

    #[test]
    fn the_oldest_go_when_there_is_no_room() {
        let one = event("words").size();
        let ring = Ring::new(10 * one);
        for _ in 0..1000 {
            ring.push(event("words"));
        }
        let all = |ring: &Ring| ring.last(&Wanted { limit: usize::MAX, ..Wanted::default() });
        let kept = all(&ring);
        assert_eq!(kept.len(), 10);
        assert!(kept.windows(2).all(|it| it[0].0 + 1 == it[1].0), "the last, in order");
        // What does not fit at all pushes nothing out.
        ring.push(event(&"x".repeat(10 * one)));
        assert_eq!(all(&ring).len(), 10);
        ring.push(event(&"x".repeat(4 * one)));
        assert!(all(&ring).len() < 7);
        assert!(ring.kept.lock().unwrap().bytes <= 10 * one);
        let last = ring.last(&Wanted { limit: 2, after: kept[9].0, ..Wanted::default() });
        assert_eq!(last.len(), 1);
    }
}
