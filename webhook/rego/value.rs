//! Rego's values, in Rego's order.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Fault,
    number::Number,
    work::{Exhausted, Work},
};

/// The order of the cases is the order of the types.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    /// Where OPA has bytes that are not UTF-8, each of them is U+FFFD here, as in what it writes.
    String(Box<str>),
    Array(Vec<Value>),
    Object(BTreeMap<Value, Value>),
    Set(BTreeSet<Value>),
}

impl Value {
    pub(super) fn string(text: impl Into<Box<str>>) -> Self {
        Self::String(text.into())
    }

    pub(super) fn int(number: i64) -> Self {
        Self::Number(Number::Int(number))
    }

    pub(super) fn whole(number: i128) -> Self {
        match i64::try_from(number) {
            Ok(number) => Self::int(number),
            Err(_) => Self::Number(Number::Text(number.to_string().into())),
        }
    }

    /// Or undefined.
    pub(super) fn text(&self) -> Result<&str, Fault> {
        if let Self::String(text) = self { Ok(text) } else { Err(Fault::Undefined) }
    }

    /// Or undefined.
    pub(super) fn array(&self) -> Result<&[Self], Fault> {
        if let Self::Array(values) = self { Ok(values) } else { Err(Fault::Undefined) }
    }

    /// Or undefined. None: the number is no integer of 64 bits.
    pub(super) fn integer(&self) -> Result<i64, Fault> {
        if let Self::Number(number) = self { number.int().ok_or(Fault::Undefined) } else { Err(Fault::Undefined) }
    }

    /// A copy, paid for.
    pub(super) fn copied(&self, work: &mut Work) -> Result<Self, Exhausted> {
        self.weigh(work)?;
        Ok(self.clone())
    }

    /// Charges for a copy. How deep the value is: 1 without others in it.
    pub(super) fn weigh(&self, work: &mut Work) -> Result<usize, Exhausted> {
        work.bytes(size_of::<Self>())?;
        let deepest = match self {
            Self::Null | Self::Bool(_) | Self::Number(Number::Int(_)) => 0,
            Self::Number(Number::Text(text)) | Self::String(text) => {
                work.bytes(text.len())?;
                0
            }
            Self::Array(values) => deepest(values, work)?,
            Self::Set(values) => deepest(values, work)?,
            Self::Object(object) => deepest(object.keys(), work)?.max(deepest(object.values(), work)?),
        };
        Ok(deepest + 1)
    }
}

fn deepest<'v>(values: impl IntoIterator<Item = &'v Value>, work: &mut Work) -> Result<usize, Exhausted> {
    values.into_iter().try_fold(0, |deepest, value| value.weigh(work).map(|depth| deepest.max(depth)))
}
