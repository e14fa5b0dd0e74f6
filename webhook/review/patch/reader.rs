//! JSON text read as a tree.
//!
//! Not as `Value` reads itself: with `arbitrary_precision` and `raw_value` that takes an object with one of two magic keys
//! for a number or for more JSON text, so that a user could change what others see, or nest beyond every limit.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::node::{Fields, Node};

/// Reads one document, and nothing behind it.
pub(super) fn read(text: &str) -> Result<Node<'_>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    Seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value))
}

/// A number as it is spelt.
fn number<'t>(text: &str) -> Node<'t> {
    match text.parse() {
        Ok(integer) if text != "-0" => Node::Integer(integer),
        _ => Node::Number(text.into()),
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Seed;

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'de>, E> {
        Ok(number(&value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Integer(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            array.push(item);
        }
        array.shrink_to_fit();
        Ok(Node::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Node<'de>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = fields.next_key_seed(Key)? {
            if pairs.is_empty() && key == NUMBER {
                match fields.next_value_seed(Announced)? {
                    Written::Number(text) => return Ok(number(&text)),
                    Written::Value(value) => pairs.push((key, value)),
                }
            } else {
                let value = fields.next_value_seed(self)?;
                pairs.push((key, value));
            }
        }
        Ok(Node::Object(Fields::from_pairs(pairs)))
    }
}

/// A key, borrowed where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

/// What comes under the key by which serde_json announces a number: an owned string only if it is one.
struct Announced;

enum Written<'t> {
    Number(String),
    Value(Node<'t>),
}

impl<'de> DeserializeSeed<'de> for Announced {
    type Value = Written<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Announced {
    type Value = Written<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Seed.expecting(f)
    }

    fn visit_string<E>(self, value: String) -> Result<Written<'de>, E> {
        Ok(Written::Number(value))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Written<'de>, E> {
        Seed.visit_borrowed_str(value).map(Written::Value)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Written<'de>, E> {
        Seed.visit_str(value).map(Written::Value)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Written<'de>, E> {
        Seed.visit_bool(value).map(Written::Value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Written<'de>, E> {
        Seed.visit_u64(value).map(Written::Value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Written<'de>, E> {
        Seed.visit_i64(value).map(Written::Value)
    }

    fn visit_unit<E: Error>(self) -> Result<Written<'de>, E> {
        Seed.visit_unit().map(Written::Value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Written<'de>, A::Error> {
        Seed.visit_seq(items).map(Written::Value)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Written<'de>, A::Error> {
        Seed.visit_map(fields).map(Written::Value)
    }
}

/// The key by which serde_json announces a number, whose text it does not give otherwise.
const NUMBER: &str = "$serde_json::private::Number";
