//! The difference of two objects as an RFC 6902 patch.
//!
//! json-patch has one too, but it compares arrays item by item, so that one new item at the front changes all, and it
//! repeats the path for each change, so that a long key above many values would make a patch of any size.
//!
//! One walk over both: what changes is noted with its price, what is longer than writing a part anew is replaced by that,
//! and only what is left at the end is written. So every value is looked at a few times, whatever the depth.

use super::{
    PatchError, Work,
    node::{Fields, Node, quote},
    numbers::{common_ends, identical},
};

/// None when they are equal.
pub(super) fn between(old: &Node<'_>, new: &Node<'_>, work: &mut Work) -> Result<Option<String>, PatchError> {
    let mut plan = Plan { steps: Vec::new(), operations: Vec::new(), bytes: 0, work };
    plan.value(ROOT, old, new)?;
    if plan.operations.is_empty() {
        return Ok(None);
    }
    plan.written().map(Some)
}

/// What has to be written.
struct Plan<'n, 'w> {
    /// All places on the way to a change.
    steps: Vec<Step<'n>>,
    operations: Vec<Operation<'n>>,
    /// Of the operations, roughly.
    bytes: usize,
    work: &'w mut Work,
}

/// One token of a path, and where it leads from.
struct Step<'n> {
    parent: Option<usize>,
    token: Token<'n>,
}

#[derive(Clone, Copy)]
enum Token<'n> {
    Key(&'n str),
    Index(usize),
}

/// A place in both objects.
#[derive(Clone, Copy)]
struct Place {
    /// None: the object itself.
    step: Option<usize>,
    /// Of its path.
    bytes: usize,
}

#[derive(Clone, Copy)]
struct Operation<'n> {
    name: &'static str,
    step: Option<usize>,
    value: Option<&'n Node<'n>>,
}

/// How far a plan was.
struct Mark {
    steps: usize,
    operations: usize,
    bytes: usize,
}

impl<'n> Plan<'n, '_> {
    /// Notes what changes at `place`; the bytes of `new`.
    fn value(&mut self, place: Place, old: &'n Node<'n>, new: &'n Node<'n>) -> Result<usize, PatchError> {
        self.work.pay(1)?;
        let mark = self.mark();
        let bytes = match (old, new) {
            (Node::Object(old), Node::Object(new)) => self.object(place, old, new)?,
            (Node::Array(old), Node::Array(new)) => self.array(place, old, new)?,
            _ => {
                let bytes = self.measure(new)?;
                if !identical(old, new, self.work)? {
                    self.note("replace", place, Some((new, bytes)));
                }
                return Ok(bytes);
            }
        };
        // The object itself is never written anew, since not every reader can replace the root.
        if place.step.is_some() && self.bytes - mark.bytes > place.bytes + SLACK + bytes {
            self.back_to(&mark);
            self.note("replace", place, Some((new, bytes)));
        }
        Ok(bytes)
    }

    fn object(&mut self, place: Place, old: &'n Fields<'n>, new: &'n Fields<'n>) -> Result<usize, PatchError> {
        for (key, _) in old.iter() {
            self.work.pay(1)?;
            if new.get(key).is_none() {
                let place = self.enter(place, Token::Key(key));
                self.note("remove", place, None);
            }
        }
        let mut bytes = 2;
        for (key, new) in new.iter() {
            bytes += key.len() + 4 + self.at(place, Token::Key(key), old.get(key), new)?;
        }
        Ok(bytes)
    }

    /// What both share at the ends stays; the rest is changed in place, and then cut or filled up.
    fn array(&mut self, place: Place, old: &'n [Node<'n>], new: &'n [Node<'n>]) -> Result<usize, PatchError> {
        let (head, tail) =
            if old.len() == new.len() { (0, 0) } else { common_ends(old, new, |old, new| old == new, self.work)? };
        let (old_end, new_end) = (old.len() - tail, new.len() - tail);
        let both = old_end.min(new_end);
        let mut bytes = 2;
        for item in new[..head].iter().chain(&new[new_end..]) {
            bytes += 1 + self.measure(item)?;
        }
        for index in head..both {
            bytes += 1 + self.at(place, Token::Index(index), Some(&old[index]), &new[index])?;
        }
        for index in (both..old_end).rev() {
            let place = self.enter(place, Token::Index(index));
            self.note("remove", place, None);
        }
        for (index, item) in new.iter().enumerate().take(new_end).skip(both) {
            bytes += 1 + self.at(place, Token::Index(index), None, item)?;
        }
        Ok(bytes)
    }

    /// What changes one step below `place`; the bytes of `new`.
    fn at(
        &mut self,
        place: Place,
        token: Token<'n>,
        old: Option<&'n Node<'n>>,
        new: &'n Node<'n>,
    ) -> Result<usize, PatchError> {
        let mark = self.mark();
        let below = self.enter(place, token);
        let bytes = match old {
            Some(old) => self.value(below, old, new)?,
            None => {
                let bytes = self.measure(new)?;
                self.note("add", below, Some((new, bytes)));
                bytes
            }
        };
        if self.operations.len() == mark.operations {
            self.steps.truncate(mark.steps);
        }
        Ok(bytes)
    }

    fn enter(&mut self, place: Place, token: Token<'n>) -> Place {
        self.steps.push(Step { parent: place.step, token });
        let bytes = match token {
            Token::Key(key) => key.len() + 1,
            Token::Index(index) => index.checked_ilog10().unwrap_or_default() as usize + 2,
        };
        Place { step: Some(self.steps.len() - 1), bytes: place.bytes + bytes }
    }

    fn measure(&mut self, node: &Node<'_>) -> Result<usize, PatchError> {
        let size = node.size();
        self.work.pay(size.values)?;
        Ok(size.bytes)
    }

    fn note(&mut self, name: &'static str, place: Place, value: Option<(&'n Node<'n>, usize)>) {
        self.bytes += OPERATION + place.bytes + value.map_or(0, |(_, bytes)| bytes);
        self.operations.push(Operation { name, step: place.step, value: value.map(|(value, _)| value) });
    }

    fn mark(&self) -> Mark {
        Mark { steps: self.steps.len(), operations: self.operations.len(), bytes: self.bytes }
    }

    fn back_to(&mut self, mark: &Mark) {
        self.steps.truncate(mark.steps);
        self.operations.truncate(mark.operations);
        self.bytes = mark.bytes;
    }

    fn written(self) -> Result<String, PatchError> {
        let mut text = String::with_capacity(self.bytes);
        for (index, Operation { name, step, value }) in self.operations.iter().enumerate() {
            self.work.pay(1)?;
            text.push_str(if index == 0 { "[{\"op\":\"" } else { ",{\"op\":\"" });
            text.push_str(name);
            text.push_str("\",\"path\":");
            quote(&path(&self.steps, *step), &mut text);
            if let Some(value) = value {
                text.push_str(",\"value\":");
                value.write(&mut text);
            }
            text.push('}');
        }
        text.push(']');
        Ok(text)
    }
}

/// The JSON Pointer of a step.
fn path(steps: &[Step<'_>], step: Option<usize>) -> String {
    let mut tokens = Vec::new();
    let mut step = step;
    while let Some(Step { parent, token }) = step.and_then(|at| steps.get(at)) {
        tokens.push(token);
        step = *parent;
    }
    tokens.iter().rev().fold(String::new(), |mut path, token| {
        path.push('/');
        match token {
            Token::Key(key) => path.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Token::Index(index) => path.push_str(&index.to_string()),
        }
        path
    })
}

const ROOT: Place = Place { step: None, bytes: 0 };
/// Of an operation, without its path and value.
const OPERATION: usize = 34;
/// Bytes that are always granted, so that a few changes stay as readable as they were meant.
const SLACK: usize = 1024;
