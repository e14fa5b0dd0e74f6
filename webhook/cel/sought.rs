//! Which parts of an expression's [`Part`]s a place in a document belongs to.

use super::reads::Part;

/// The parts that lead to one value: a field can be read by its own name and as one of all. Empty: only its type.
#[derive(Clone, Default)]
pub(super) struct Sought<'p> {
    first: Option<&'p Part>,
    more: Vec<&'p Part>,
}

impl<'p> Sought<'p> {
    pub(super) fn one(part: &'p Part) -> Self {
        Self { first: Some(part), more: Vec::new() }
    }

    fn parts(&self) -> impl Iterator<Item = &'p Part> {
        self.first.into_iter().chain(self.more.iter().copied())
    }

    fn of(mut parts: impl Iterator<Item = &'p Part>) -> Option<Self> {
        let first = parts.next()?;
        Some(Self { first: Some(first), more: parts.collect() })
    }

    fn whole(&self) -> Option<&'p Part> {
        self.parts().find(|it| it.whole)
    }

    pub(super) fn keys(&self) -> bool {
        self.parts().any(|it| it.keys)
    }

    pub(super) fn field(&self, name: &str) -> Option<Self> {
        match self.whole() {
            Some(whole) => Some(Self::one(whole)),
            None => Self::of(self.parts().flat_map(|it| [it.fields.get(name), it.values.as_deref()]).flatten()),
        }
    }

    pub(super) fn items(&self) -> Option<Self> {
        match self.whole() {
            Some(whole) => Some(Self::one(whole)),
            None => Self::of(self.parts().filter_map(|it| it.items.as_deref())),
        }
    }
}
