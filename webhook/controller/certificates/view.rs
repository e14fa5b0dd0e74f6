//! What one process knows: what the Secret holds as far as it saw, since when, and what it presents.

use std::time::{Duration, Instant};

use super::{
    Moment, Published, Times,
    parts::Root,
    stored::{Content, Current},
};

/// Of one process. Pure: it is told what was seen, and when.
pub(super) struct View {
    pub(super) content: Content,
    seen: Instant,
    /// The last content that was taken: what this process presents, and what it writes again if the Secret is lost.
    memory: Option<Memory>,
}

/// What was presented, with the CAs that belonged to it.
#[derive(Clone)]
pub(super) struct Memory {
    pub(super) current: Current,
    pub(super) others: Vec<Root>,
}

impl View {
    pub(super) fn new(now: Moment) -> Self {
        Self { content: Content::Unknown, seen: now.steady, memory: None }
    }

    /// The Secret was read.
    pub(super) fn saw(&mut self, content: Content, now: Moment) {
        if content != self.content {
            self.content = content;
            self.seen = now.steady;
        }
    }

    /// Takes what the Secret holds, for it to be presented, unless somebody else put it there: that is kept away for a while, in which the leader
    /// makes it good. `published`: what a leader knows of the caBundle.
    pub(super) fn take(&mut self, published: Option<&Published>, now: Moment, times: &Times) {
        let Content::Whole(stored) = &self.content else { return };
        let Some(current) = &stored.current else { return };
        let follows = match &self.memory {
            None => true,
            Some(memory) => {
                stored.follows(&memory.current)
                    || published.is_some_and(|it| it.has(&current.authority.root))
                    || self.lasts(times.publication, now)
            }
        };
        if follows {
            self.memory = Some(Memory { current: current.clone(), others: stored.roots() });
        }
    }

    /// What this process presents.
    pub(super) fn presented(&self) -> Option<&Current> {
        self.memory.as_ref().map(|it| &it.current)
    }

    /// What this process remembers, unless kube-apiserver has forgotten it.
    pub(super) fn memory(&self, published: &Published) -> Option<&Memory> {
        self.memory.as_ref().filter(|it| published.allows(&it.current.authority.root))
    }

    /// The Secret has held the same for so long.
    pub(super) fn lasts(&self, wait: Duration, now: Moment) -> bool {
        now.since(self.seen) >= wait
    }
}
