//! Requests never wait for each other in a circle: room is granted only where afterwards there is still an order in which all that have begun
//! can be read to their end, each with what is free and what those before it give back (Dijkstra's banker's algorithm).

use std::collections::BTreeMap;

/// The requests that are not yet whole.
#[derive(Default)]
pub(super) struct Unfinished {
    /// What each still needs, its number, and what it holds.
    by_need: BTreeMap<(i64, u64), i64>,
    /// All together.
    needs: i64,
    held: i64,
}

impl Unfinished {
    pub(super) fn add(&mut self, id: u64, needs: i64, held: i64) {
        self.by_need.insert((needs, id), held);
        self.needs += needs;
        self.held += held;
    }

    pub(super) fn remove(&mut self, id: u64, needs: i64) {
        if let Some(held) = self.by_need.remove(&(needs, id)) {
            self.needs -= needs;
            self.held -= held;
        }
    }

    /// Whether one of them, which still needs so much, may take so many bytes of what is free of `total`: all can still be read to their end
    /// then. What those hold that are whole comes back by itself.
    pub(super) fn safe(&self, id: u64, needs: i64, bytes: i64, total: i64) -> bool {
        let mut free = total - self.held - bytes;
        let needs_after = (needs - bytes).max(0);
        if free >= self.needs {
            return true;
        }
        // All could be before. So all can still, if there is an order in which this one comes to its end.
        for ((other_needs, other), held) in &self.by_need {
            if needs_after <= free || *other_needs > free {
                break;
            }
            if *other != id {
                free += held;
            }
        }
        needs_after <= free
    }

    /// Those that need least come first.
    pub(super) fn nearest_first(&self) -> impl Iterator<Item = u64> {
        self.by_need.keys().map(|(_, id)| *id)
    }
}
