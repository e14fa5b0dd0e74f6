//! RFC 6902 and RFC 7386, applied so that no change can cost more than it should: an object must not grow by copying, must
//! not become deeper than a reader takes, and no patch may spend its time on moving the items of long arrays.

use std::borrow::Cow;

use json_patch::jsonptr::{Pointer, PointerBuf};

use super::{
    Invalid, MAX_DEPTH, MAX_OBJECT, MAX_OPERATIONS, PatchError, PatchText, Stuck, TooLarge, Work, WrongOperation,
    node::{Fields, Node, Size},
    numbers,
};

/// Applies a JSON Patch to `object`, which is of no use after an error.
pub(super) fn apply<'t>(object: &mut Node<'t>, patch: Node<'t>, work: &mut Work) -> Result<(), PatchError> {
    let Node::Array(operations) = patch else {
        return Err(Invalid::NoArray.into());
    };
    if operations.len() > MAX_OPERATIONS {
        return Err(TooLarge::Operations.into());
    }
    let Size { values, .. } = object.size();
    let mut budget = Budget { bytes: MAX_OBJECT, values: values + MAX_OPERATIONS, shifted: MAX_SHIFTED };
    for (index, operation) in operations.into_iter().enumerate() {
        let operation = Operation::read(operation).map_err(|wrong| Invalid::Operation { index, wrong })?;
        let path = shown(&operation.path);
        operation.apply(object, &mut budget, work).map_err(|error| match error {
            Stopped::Stuck(stuck) => Invalid::DoesNotApply { index, path, stuck }.into(),
            Stopped::Refused(error) => error,
        })?;
    }
    Ok(())
}

/// Applies a JSON Merge Patch.
pub(super) fn merge<'t>(object: &mut Node<'t>, patch: Node<'t>, work: &mut Work) -> Result<(), PatchError> {
    work.pay(1)?;
    let Node::Object(patch) = patch else {
        *object = patch;
        return Ok(());
    };
    if !matches!(object, Node::Object(_)) {
        *object = Node::Object(Fields::default());
    }
    let Node::Object(fields) = object else { return Ok(()) };
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    for (key, value) in patch.into_iter() {
        match (fields.get_mut(&key), value) {
            (_, Node::Null) => removed.push(key),
            (Some(field), value) => merge(field, value, work)?,
            (None, value) => {
                let mut field = Node::Null;
                merge(&mut field, value, work)?;
                added.push((key, field));
            }
        }
    }
    work.pay(fields.len())?;
    fields.change(&removed, added);
    Ok(())
}

struct Operation<'t> {
    path: PointerBuf,
    kind: Kind<'t>,
}

enum Kind<'t> {
    Add(Node<'t>),
    Remove,
    Replace(Node<'t>),
    Move(PointerBuf),
    Copy(PointerBuf),
    Test(Node<'t>),
}

/// Why an operation was not applied.
enum Stopped {
    /// It does not fit the object.
    Stuck(Stuck),
    /// It costs too much.
    Refused(PatchError),
}

impl<E: Into<PatchError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

impl<'t> Operation<'t> {
    fn read(operation: Node<'t>) -> Result<Self, WrongOperation> {
        let Node::Object(mut fields) = operation else { return Err(WrongOperation::NoObject) };
        let Some(Node::Text(op)) = fields.remove("op") else { return Err(WrongOperation::NoOp) };
        let mut pointer = |name| match fields.remove(name) {
            Some(Node::Text(text)) => PointerBuf::parse(text.into_owned()).ok(),
            _ => None,
        };
        let path = pointer("path").ok_or(WrongOperation::Path)?;
        let kind = match &*op {
            "remove" => Kind::Remove,
            "move" => Kind::Move(pointer("from").ok_or(WrongOperation::From)?),
            "copy" => Kind::Copy(pointer("from").ok_or(WrongOperation::From)?),
            "add" | "replace" | "test" => {
                let value = fields.remove("value").ok_or(WrongOperation::Value)?;
                match &*op {
                    "add" => Kind::Add(value),
                    "replace" => Kind::Replace(value),
                    _ => Kind::Test(value),
                }
            }
            _ => return Err(WrongOperation::UnknownOp),
        };
        Ok(Self { path, kind })
    }

    fn apply(self, object: &mut Node<'t>, budget: &mut Budget, work: &mut Work) -> Result<(), Stopped> {
        let Self { path, kind } = self;
        work.pay(1 + path.count().min(MAX_DEPTH))?;
        match kind {
            Kind::Add(value) => {
                fits(&path, value.size())?;
                budget.add(object, &path, value)
            }
            Kind::Remove => budget.remove(object, &path).map(drop),
            Kind::Replace(value) => {
                fits(&path, value.size())?;
                *find_mut(object, &path).ok_or(NOT_THERE)? = value;
                Ok(())
            }
            Kind::Copy(from) => {
                let source = find(object, &from).ok_or(NOTHING_AT_FROM)?;
                let size = source.size();
                work.pay(size.values)?;
                budget.copy(size)?;
                fits(&path, size)?;
                let copied = source.clone();
                budget.add(object, &path, copied)
            }
            Kind::Move(from) => {
                if path != from && path.starts_with(&from) {
                    return Err(Stopped::Stuck(Stuck::IntoItself));
                }
                let size = find(object, &from).ok_or(NOTHING_AT_FROM)?.size();
                work.pay(size.values)?;
                fits(&path, size)?;
                if path == from {
                    return Ok(());
                }
                let moved = budget.remove(object, &from)?;
                budget.add(object, &path, moved)
            }
            // RFC 6902 compares numbers by value.
            Kind::Test(value) => match find(object, &path) {
                Some(found) if numbers::equal(found, &value, work)? => Ok(()),
                Some(_) => Err(Stopped::Stuck(Stuck::Test)),
                None => Err(NOT_THERE),
            },
        }
    }
}

fn fits(path: &Pointer, value: Size) -> Result<(), TooLarge> {
    if path.count() + value.depth <= MAX_DEPTH {
        return Ok(());
    }
    Err(TooLarge::Depth(PatchText::Changed))
}

fn find<'n, 't>(object: &'n Node<'t>, path: &Pointer) -> Option<&'n Node<'t>> {
    path.tokens().try_fold(object, |node, token| match node {
        Node::Array(items) => items.get(index(&token.decoded())?),
        Node::Object(fields) => fields.get(&token.decoded()),
        _ => None,
    })
}

fn find_mut<'n, 't>(object: &'n mut Node<'t>, path: &Pointer) -> Option<&'n mut Node<'t>> {
    path.tokens().try_fold(object, |node, token| match node {
        Node::Array(items) => items.get_mut(index(&token.decoded())?),
        Node::Object(fields) => fields.get_mut(&token.decoded()),
        _ => None,
    })
}

/// RFC 6901: digits, without zeros that lead.
fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || (!token.starts_with('0') && token.bytes().all(|it| it.is_ascii_digit()));
    if canonical { token.parse().ok() } else { None }
}

/// What one patch may still spend.
struct Budget {
    /// Of what is copied.
    bytes: usize,
    values: usize,
    /// Items of arrays and fields of objects that make room or close up.
    shifted: usize,
}

impl Budget {
    fn copy(&mut self, size: Size) -> Result<(), TooLarge> {
        self.bytes = self.bytes.checked_sub(size.bytes).ok_or(TooLarge::Bytes(PatchText::Changed))?;
        self.values = self.values.checked_sub(size.values).ok_or(TooLarge::Copies)?;
        Ok(())
    }

    fn shift(&mut self, count: usize) -> Result<(), TooLarge> {
        self.shifted = self.shifted.checked_sub(count).ok_or(TooLarge::Shifts)?;
        Ok(())
    }

    fn add<'t>(&mut self, object: &mut Node<'t>, path: &Pointer, value: Node<'t>) -> Result<(), Stopped> {
        let Some((parent, last)) = path.split_back() else {
            *object = value;
            return Ok(());
        };
        match find_mut(object, parent).ok_or(NOT_THERE)? {
            Node::Array(items) => {
                let last = last.decoded();
                let at = if last == "-" { items.len() } else { index(&last).ok_or(NOT_THERE)? };
                let behind = items.len().checked_sub(at).ok_or(NOT_THERE)?;
                self.shift(behind)?;
                items.insert(at, value);
            }
            Node::Object(fields) => {
                self.shift(fields.behind(&last.decoded()))?;
                fields.insert(Cow::Owned(last.decoded().into_owned()), value);
            }
            _ => return Err(NOT_THERE),
        }
        Ok(())
    }

    fn remove<'t>(&mut self, object: &mut Node<'t>, path: &Pointer) -> Result<Node<'t>, Stopped> {
        let (parent, last) = path.split_back().ok_or(NOT_THERE)?;
        match find_mut(object, parent).ok_or(NOT_THERE)? {
            Node::Array(items) => {
                let at = index(&last.decoded()).filter(|at| *at < items.len()).ok_or(NOT_THERE)?;
                self.shift(items.len() - at)?;
                Ok(items.remove(at))
            }
            Node::Object(fields) => {
                self.shift(fields.behind(&last.decoded()))?;
                fields.remove(&last.decoded()).ok_or(NOT_THERE)
            }
            _ => Err(NOT_THERE),
        }
    }
}

/// At most 200 characters of a path, escaped.
fn shown(path: &Pointer) -> String {
    const SHOWN: usize = 200;
    let text = path.as_str();
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
    }
}

const NOT_THERE: Stopped = Stopped::Stuck(Stuck::NotThere);
const NOTHING_AT_FROM: Stopped = Stopped::Stuck(Stuck::NothingAtFrom);
/// Some tenths of a second of moving memory.
const MAX_SHIFTED: usize = 1 << 26;
