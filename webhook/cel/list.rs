//! Lists. Two that are joined by `+` share their elements until somebody needs all of them in one row: joining costs 1 in
//! Kubernetes, however long they are.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::value::Value;

#[derive(Clone)]
pub(super) enum List {
    Row(Arc<[Value]>),
    Joined(Arc<Joined>),
}

pub(super) struct Joined {
    parts: [List; 2],
    length: usize,
    /// How many lists are below it at most: what dropping it recurses.
    depth: usize,
    /// All elements, once somebody needed them in one row.
    row: OnceLock<Box<[Value]>>,
    /// Bytes of such rows that live.
    rows: Arc<AtomicUsize>,
}

impl List {
    /// `rows` counts the bytes of rows that are made of joined lists. Where joined lists nest too deep it is a row at once.
    pub(super) fn join(one: &Self, other: &Self, rows: &Arc<AtomicUsize>) -> Self {
        let depth = one.depth().max(other.depth()) + 1;
        if depth > MAX_DEPTH {
            return one.iter().chain(other.iter()).cloned().collect();
        }
        let (parts, length) = ([one.clone(), other.clone()], one.len() + other.len());
        Self::Joined(Arc::new(Joined { parts, length, depth, row: OnceLock::new(), rows: Arc::clone(rows) }))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Row(row) => row.len(),
            Self::Joined(joined) => joined.length,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Without making a row.
    pub(super) fn at(&self, at: usize) -> Option<&Value> {
        match self {
            Self::Row(row) => row.get(at),
            Self::Joined(joined) => {
                let [one, other] = &joined.parts;
                if at < one.len() { one.at(at) } else { other.at(at - one.len()) }
            }
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Row(_) => 0,
            Self::Joined(joined) => joined.depth,
        }
    }

    fn collect_into(&self, row: &mut Vec<Value>) {
        match self {
            Self::Row(items) => row.extend_from_slice(items),
            Self::Joined(joined) => joined.parts.iter().for_each(|part| part.collect_into(row)),
        }
    }
}

/// All elements in one row, which a joined list keeps.
impl Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        match self {
            Self::Row(row) => row,
            Self::Joined(joined) => joined.row.get_or_init(|| {
                let mut row = Vec::with_capacity(joined.length);
                self.collect_into(&mut row);
                joined.rows.fetch_add(size_of_val(&row[..]), Ordering::Relaxed);
                row.into()
            }),
        }
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(row) = self.row.get() {
            self.rows.fetch_sub(size_of_val(&row[..]), Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for List {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a list of {}", self.len())
    }
}

impl<T: Into<Arc<[Value]>>> From<T> for List {
    fn from(items: T) -> Self {
        Self::Row(items.into())
    }
}

impl FromIterator<Value> for List {
    fn from_iter<T: IntoIterator<Item = Value>>(items: T) -> Self {
        Self::Row(items.into_iter().collect())
    }
}

const MAX_DEPTH: usize = 50;
