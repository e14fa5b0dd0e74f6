//! JSON text as a tree, within bounds.
//!
//! Not `Value`'s own `Deserialize`: with `arbitrary_precision` and `raw_value` that takes an object with one of two
//! magic keys for a number or for more JSON text, so that a user could change what others see, or nest beyond every limit.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{MAX_OBJECT, PatchError};

/// Reads one document that a user or a guest wrote; `name` says in errors which it is. Whoever looks into an object
/// reads it with this.
///
/// # Errors
/// It is not JSON, is longer than [`MAX_OBJECT`], has too many values, or nests deeper than [`super::MAX_DEPTH`] levels.
pub fn parse(text: &str, name: &str) -> Result<Value, PatchError> {
    if text.len() > MAX_OBJECT {
        return Err(PatchError(format!("the {name} is larger than {MAX_OBJECT} bytes")));
    }
    let left = Cell::new(MAX_WEIGHT);
    let mut reader = serde_json::Deserializer::from_str(text);
    Node(&left)
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| PatchError(format!("the {name} cannot be read: {error}")))
}

/// Roughly the bytes of its text, and the levels of arrays and objects in it.
pub(super) fn measure(value: &Value) -> (usize, usize) {
    let inside = |(size, depth): (usize, usize), (key, child): (usize, &Value)| {
        let (its, below) = measure(child);
        (size + key + its + 1, depth.max(below + 1))
    };
    match value {
        Value::Null | Value::Bool(_) => (5, 0),
        Value::Number(number) => (number.as_str().len(), 0),
        Value::String(text) => (text.len() + 2, 0),
        Value::Array(items) => items.iter().map(|item| (0, item)).fold((2, 1), inside),
        Value::Object(fields) => fields.iter().map(|(key, field)| (key.len() + 3, field)).fold((2, 1), inside),
    }
}

/// Reads one value and pays for it.
#[derive(Clone, Copy)]
struct Node<'a>(&'a Cell<usize>);

impl Node<'_> {
    fn pay<E: Error>(self, weight: usize) -> Result<(), E> {
        let left = self.0.get().checked_sub(weight).ok_or_else(|| E::custom("too many values"))?;
        self.0.set(left);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.pay(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            if object.is_empty() && key == NUMBER {
                match fields.next_value_seed(Field(self))? {
                    Written::Number(number) => return Ok(Value::Number(number)),
                    Written::Value(value) => object.insert(key, value),
                };
            } else {
                let value = fields.next_value_seed(self)?;
                object.insert(key, value);
            }
        }
        self.pay(OBJECT)?;
        Ok(Value::Object(object))
    }
}

/// What comes under the key by which serde_json announces a number: an owned string only if it is one.
struct Field<'a>(Node<'a>);

enum Written {
    Number(Number),
    Value(Value),
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = Written;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Written, E> {
        value.parse().map(Written::Number).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Written, E> {
        self.0.visit_str(value).map(Written::Value)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Written, E> {
        self.0.visit_bool(value).map(Written::Value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Written, E> {
        self.0.visit_u64(value).map(Written::Value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Written, E> {
        self.0.visit_i64(value).map(Written::Value)
    }

    fn visit_unit<E: Error>(self) -> Result<Written, E> {
        self.0.visit_unit().map(Written::Value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Written, A::Error> {
        self.0.visit_seq(items).map(Written::Value)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Written, A::Error> {
        self.0.visit_map(fields).map(Written::Value)
    }
}

const NUMBER: &str = "$serde_json::private::Number";
/// Some 64 bytes of memory each: a document takes at most about 256 MiB, whatever its text.
const MAX_WEIGHT: usize = 4_000_000;
/// What an object weighs beyond one value, since a map of one key takes as much memory as one of eleven.
const OBJECT: usize = 10;
