//! JSON text as a tree that borrows from it, within bounds: some 32 bytes for an item of an array, 56 for a field.
//!
//! Not `Value`: its maps take ten times the memory for objects of one field.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Invalid, MAX_DEPTH, MAX_OBJECT, MAX_VALUES, PatchText, TooLarge, reader};

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'t> {
    Null,
    Bool(bool),
    /// A number that is spelt as Rust spells it.
    Integer(i64),
    /// Any other number, as it is spelt.
    Number(Box<str>),
    Text(Cow<'t, str>),
    Array(Vec<Node<'t>>),
    Object(Fields<'t>),
}

/// Fields of an object, by the order of their keys; each key once.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Fields<'t>(Vec<(Cow<'t, str>, Node<'t>)>);

/// How large a text or a tree is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Roughly, of its text.
    pub(super) bytes: usize,
    /// At most, where it is a text's.
    pub(super) values: usize,
    /// Of those, objects; only counted of a text.
    pub(super) objects: usize,
    /// Levels of arrays and objects.
    pub(super) depth: usize,
}

/// Looks whether a document that a user or a guest wrote may be read; `name` says in errors which it is.
pub(super) fn check(text: &str, name: PatchText) -> Result<Size, TooLarge> {
    let size = weigh(text);
    if size.bytes > MAX_OBJECT {
        Err(TooLarge::Bytes(name))
    } else if size.depth > MAX_DEPTH {
        Err(TooLarge::Depth(name))
    } else if size.values > MAX_VALUES {
        Err(TooLarge::Values(name))
    } else {
        Ok(size)
    }
}

/// Reads a document that was checked.
pub(super) fn read(text: &str, name: PatchText) -> Result<Node<'_>, Invalid> {
    reader::read(text).map_err(|error| Invalid::Unreadable { text: name, why: error.to_string() })
}

/// How large the tree of a text can become, without building it. Of what is no JSON it tells nothing but its length.
pub(super) fn weigh(text: &str) -> Size {
    let mut size = Size { bytes: text.len(), values: 1, ..Size::default() };
    let mut depth = 0_usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => _ = bytes.next(),
                        _ => {}
                    }
                }
            }
            b'[' | b'{' => {
                depth += 1;
                size.values += 1;
                size.objects += usize::from(byte == b'{');
                size.depth = size.depth.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => size.values += 1,
            _ => {}
        }
    }
    size
}

impl<'t> Node<'t> {
    pub(super) fn size(&self) -> Size {
        let leaf = |bytes| Size { bytes, values: 1, ..Size::default() };
        let inside = |all: Size, (key, its): (usize, Size)| Size {
            bytes: all.bytes + key + its.bytes + 1,
            values: all.values + its.values,
            depth: all.depth.max(its.depth + 1),
            ..all
        };
        let empty = Size { bytes: 2, values: 1, depth: 1, ..Size::default() };
        match self {
            Self::Null | Self::Bool(_) => leaf(5),
            Self::Integer(number) => leaf(number.checked_ilog10().map_or(2, |it| it as usize + 1)),
            Self::Number(number) => leaf(number.len()),
            Self::Text(text) => leaf(text.len() + 2),
            Self::Array(items) => items.iter().map(|it| (0, it.size())).fold(empty, inside),
            Self::Object(fields) => fields.iter().map(|(key, it)| (key.len() + 3, it.size())).fold(empty, inside),
        }
    }

    /// As serde_json holds it.
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Integer(number) => Value::from(number),
            // What was read as a number is one.
            Self::Number(number) => number.parse().map_or(Value::Null, Value::Number),
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Array(items) => Value::Array(items.into_iter().map(Self::into_value).collect()),
            Self::Object(fields) => {
                let fields = fields.0.into_iter().map(|(key, it)| (key.into_owned(), it.into_value()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }

    /// Its text behind what is in `out`.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Integer(number) => out.push_str(&number.to_string()),
            Self::Number(number) => out.push_str(number),
            Self::Text(text) => quote(text, out),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (index, (key, field)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    quote(key, out);
                    out.push(':');
                    field.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Text as JSON has it.
pub(super) fn quote(text: &str, out: &mut String) {
    // A string can always be written.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

impl<'t> Fields<'t> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Node<'t>)> {
        self.0.iter().map(|(key, field)| (&**key, field))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Node<'t>)> {
        self.0.iter_mut().map(|(key, field)| (&**key, field))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(it, _)| (**it).cmp(key))
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node<'t>> {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node<'t>> {
        self.find(key).ok().map(|at| &mut self.0[at].1)
    }

    /// How many fields make room or close up when `key` comes or goes.
    pub(super) fn behind(&self, key: &str) -> usize {
        let (Ok(at) | Err(at)) = self.find(key);
        self.0.len() - at
    }

    pub(super) fn insert(&mut self, key: Cow<'t, str>, field: Node<'t>) {
        match self.find(&key) {
            Ok(at) => self.0[at].1 = field,
            Err(at) => self.0.insert(at, (key, field)),
        }
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Node<'t>> {
        self.find(key).ok().map(|at| self.0.remove(at).1)
    }

    /// Takes out the fields of `removed`, which is in order, and adds fields of keys that are not there.
    pub(super) fn change(&mut self, removed: &[Cow<'t, str>], added: Vec<(Cow<'t, str>, Node<'t>)>) {
        self.0.retain(|(key, _)| removed.binary_search(key).is_err());
        self.0.extend(added);
        *self = Self::from_pairs(std::mem::take(&mut self.0));
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (Cow<'t, str>, Node<'t>)> {
        self.0.into_iter()
    }

    /// Of two fields of one key the later stays, as every reader has it.
    pub(super) fn from_pairs(mut pairs: Vec<(Cow<'t, str>, Node<'t>)>) -> Self {
        if !pairs.is_sorted_by(|(one, _), (other, _)| one < other) {
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
            pairs.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    std::mem::swap(later, earlier);
                }
                same
            });
        }
        pairs.shrink_to_fit();
        Self(pairs)
    }
}
