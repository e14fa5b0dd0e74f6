//! What belongs together, found by a number: thousands of requests ask for it, again and again.

use std::{
    collections::HashMap,
    hash::Hash,
    ops::{Index, IndexMut},
};

use slab::Slab;

/// One sum for each key that somebody uses.
pub(super) struct Sums<K> {
    numbers: HashMap<K, usize>,
    sums: Slab<(K, Sum)>,
}

/// What all requests of one caller, or of one connection, come to.
#[derive(Default)]
pub(super) struct Sum {
    /// Bytes.
    pub(super) held: i64,
    /// Requests that wait for room.
    pub(super) waiting: i64,
    requests: usize,
}

impl<K> Default for Sums<K> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), sums: Slab::new() }
    }
}

impl<K: Copy + Eq + Hash> Sums<K> {
    /// One more request; gives the number of its sum, which is good until as many have left.
    pub(super) fn enter(&mut self, key: K) -> usize {
        let number = *self.numbers.entry(key).or_insert_with(|| self.sums.insert((key, Sum::default())));
        self[number].requests += 1;
        number
    }

    pub(super) fn leave(&mut self, number: usize) {
        self[number].requests -= 1;
        if self[number].requests == 0 {
            let (key, _) = self.sums.remove(number);
            self.numbers.remove(&key);
        }
    }
}

impl<K> Index<usize> for Sums<K> {
    type Output = Sum;

    fn index(&self, number: usize) -> &Sum {
        &self.sums[number].1
    }
}

impl<K> IndexMut<usize> for Sums<K> {
    fn index_mut(&mut self, number: usize) -> &mut Sum {
        &mut self.sums[number].1
    }
}
