//! Which changes are of a provider's own making: one that answers each of them with another one would never end.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard},
};

use tokio::sync::Notify;

/// What providers wrote, all of them together: two of them can also chase each other.
#[derive(Default)]
pub(super) struct Loops {
    written: Mutex<Written>,
    settled: Notify,
}

#[derive(Default)]
struct Written {
    /// By uid and version of what was written: in the how manieth change that one follows from another. Of what was deleted without its version.
    depths: HashMap<(String, String), u32>,
    order: VecDeque<(String, String)>,
    /// What is being written.
    going: HashMap<Target, usize>,
}

/// An object, in whatever version of its API: group, kind, namespace, name.
pub(super) type Target = (String, String, String, String);

/// Something that is being written.
pub(super) struct Writing<'a> {
    loops: &'a Loops,
    target: Target,
}

impl Loops {
    /// Begins to write `target`; its changes wait until that ends.
    pub(super) fn begin(&self, target: Target) -> Writing<'_> {
        *self.locked().going.entry(target.clone()).or_default() += 1;
        Writing { loops: self, target }
    }

    /// Until nobody writes `target`: only then it can be told who made a change of it.
    pub(super) async fn settled(&self, target: &Target) {
        loop {
            let settled = self.settled.notified();
            if !self.locked().going.contains_key(target) {
                return;
            }
            settled.await;
        }
    }

    /// The how manieth a change is of those that follow one from another; 0: somebody else made it.
    pub(super) fn depth(&self, uid: &str, version: &str) -> u32 {
        let written = self.locked();
        let of = |version: &str| written.depths.get(&(uid.to_owned(), version.to_owned())).copied().unwrap_or_default();
        of(version).max(of(""))
    }

    /// This was written; an empty version: it is being deleted.
    pub(super) fn wrote(&self, uid: &str, version: &str, depth: u32) {
        let mut written = self.locked();
        let key = (uid.to_owned(), version.to_owned());
        if written.depths.insert(key.clone(), depth).is_none() {
            written.order.push_back(key);
        }
        while written.order.len() > MOST {
            if let Some(oldest) = written.order.pop_front() {
                written.depths.remove(&oldest);
            }
        }
    }

    /// Nothing follows from what was written until now: of what is retold, whoever wrote it is another one by now.
    pub(super) fn forget(&self) {
        let mut written = self.locked();
        written.depths.clear();
        written.order.clear();
    }

    fn locked(&self) -> MutexGuard<'_, Written> {
        // A poisoned lock only says that another thread panicked: the maps are whole.
        self.written.lock().unwrap_or_else(|it| it.into_inner())
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut written = self.loops.locked();
        if let Some(count) = written.going.get_mut(&self.target) {
            *count -= 1;
            if *count == 0 {
                written.going.remove(&self.target);
            }
        }
        drop(written);
        self.loops.settled.notify_waiters();
    }
}

/// What of it is kept.
const MOST: usize = 10_000;
/// A provider whose changes follow one from another so often is paused.
pub(super) const DEEPEST: u32 = 16;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_change_of_what_is_being_written_waits_for_the_end_of_that() {
        let loops = Loops::default();
        let target = || (String::new(), "Pod".to_owned(), "a".to_owned(), "b".to_owned());
        let writing = loops.begin(target());
        assert!(timeout(Duration::from_millis(20), loops.settled(&target())).await.is_err());
        loops.wrote("u", "5", 3);
        let end = async {
            tokio::task::yield_now().await;
            drop(writing);
        };
        let target = target();
        let (settled, ()) = tokio::join!(timeout(Duration::from_secs(10), loops.settled(&target)), end);
        settled.unwrap();
        assert_eq!([loops.depth("u", "5"), loops.depth("u", "6"), loops.depth("v", "5")], [3, 0, 0]);
        loops.wrote("u", "", 4);
        assert_eq!(loops.depth("u", "6"), 4);
        for version in 0..MOST {
            loops.wrote("w", &version.to_string(), 1);
        }
        assert_eq!(loops.depth("u", "5"), 0, "it was forgotten");
    }
}
