//! JSON text as a value, of which only a part is built: the rest of the text is skipped.
//!
//! Not through `serde_json::Value`: that builds everything, and takes maps with one of its two private keys for a number
//! or for more text. Memory is taken from a [`Share`] before it is used, time is looked at, and depth is bounded.

use std::{collections::HashSet, fmt, sync::Arc, time::Instant};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::{
    memory::{Lack, Share},
    reads::Part,
    sought::Sought,
    value::{Key, Map, Value},
    variables::convert,
};

/// What was read of one document.
pub struct Document {
    pub(super) value: Value,
    /// Bytes of its share.
    bytes: usize,
}

/// Why a document was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// It takes more than one review may have, or nests too deeply; in these words.
    Limit(&'static str),
    /// Others have the memory now: see [`Share::fill`].
    Memory,
    /// It was not done in time.
    Time,
    /// It is not JSON; words without anything of it.
    Malformed(String),
}

impl Document {
    /// Reads `part` of `text`, until `end`.
    ///
    /// # Errors
    /// It could not; then it holds nothing of its share.
    pub fn read(text: &str, part: &Part, share: &mut Share, end: Instant) -> Result<Self, Unread> {
        let before = share.used();
        let mut reader = Reader { share, keys: HashSet::new(), end, until_clock: 0, wrong: None };
        let mut json = serde_json::Deserializer::from_str(text);
        let place = Place { reader: &mut reader, sought: Sought::one(part), depth: 0 };
        let read = place.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
        let (wrong, bytes) = (reader.wrong.take(), share.used() - before);
        read.map(|value| Self { value, bytes }).map_err(|error| {
            share.give_back(bytes);
            wrong.unwrap_or_else(|| Unread::Malformed(format!("line {} column {}", error.line(), error.column())))
        })
    }

    /// The whole of `json`.
    ///
    /// # Errors
    /// The share is too small.
    pub fn of(json: Json, share: &mut Share) -> Result<Self, Unread> {
        let bytes = size(&json);
        share.take(bytes).map_err(Unread::from)?;
        Ok(Self { value: convert(json), bytes })
    }

    /// The text at a path of fields, that was added to the [`Part`] that was read. None: there is none.
    ///
    /// # Errors
    /// Something on the way is no map, or the value no text.
    pub fn text(&self, path: &[&str]) -> Result<Option<&str>, NotText> {
        let mut value = &self.value;
        for name in path {
            value = match value {
                Value::Map(map) => match map.get(&Key::String(Arc::from(*name))) {
                    Some(value) => value,
                    None => return Ok(None),
                },
                _ => return Err(NotText),
            };
            if matches!(value, Value::Null) {
                return Ok(None);
            }
        }
        match value {
            Value::String(text) => Ok(Some(text)),
            _ => Err(NotText),
        }
    }

    /// Drops it; its memory is its review's again.
    pub fn forget(self, share: &mut Share) {
        share.give_back(self.bytes);
    }
}

impl From<Lack> for Unread {
    fn from(lack: Lack) -> Self {
        match lack {
            Lack::Own => Self::Limit(TOO_LARGE),
            Lack::Common => Self::Memory,
        }
    }
}

/// See [`Document::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotText;

struct Reader<'a> {
    share: &'a mut Share,
    /// Keys that come again share their text.
    keys: HashSet<Arc<str>>,
    end: Instant,
    /// Values until the clock is looked at again.
    until_clock: usize,
    /// What serde's errors cannot carry.
    wrong: Option<Unread>,
}

impl Reader<'_> {
    fn take<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        self.share.take(bytes).map_err(|lack| self.stop(lack.into()))
    }

    fn look_at_clock<E: Error>(&mut self) -> Result<(), E> {
        match self.until_clock.checked_sub(1) {
            Some(left) => self.until_clock = left,
            None if Instant::now() >= self.end => return Err(self.stop(Unread::Time)),
            None => self.until_clock = VALUES_PER_LOOK,
        }
        Ok(())
    }

    fn stop<E: Error>(&mut self, wrong: Unread) -> E {
        self.wrong = Some(wrong);
        E::custom("stopped")
    }

    fn key<E: Error>(&mut self, key: &str) -> Result<Arc<str>, E> {
        if let Some(known) = self.keys.get(key) {
            return Ok(Arc::clone(known));
        }
        self.take(key.len() + TEXT)?;
        let key: Arc<str> = key.into();
        if key.len() <= MAX_SHARED_KEY && self.keys.len() < MAX_SHARED_KEYS {
            self.keys.insert(Arc::clone(&key));
        }
        Ok(key)
    }
}

/// A value in the text.
struct Place<'r, 'a, 'p> {
    reader: &'r mut Reader<'a>,
    sought: Sought<'p>,
    /// Maps and lists around it.
    depth: usize,
}

impl<'a, 'p> Place<'_, 'a, 'p> {
    fn inside(&mut self, sought: Sought<'p>) -> Place<'_, 'a, 'p> {
        Place { reader: self.reader, sought, depth: self.depth + 1 }
    }

    fn check_depth<E: Error>(&mut self) -> Result<(), E> {
        if self.depth < MAX_DEPTH { Ok(()) } else { Err(self.reader.stop(Unread::Limit(TOO_DEEP))) }
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_, '_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.reader.look_at_clock()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_, '_, '_> {
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

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    /// As Kubernetes' unstructured objects: int64 where it fits, else a double.
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Double(value as f64), Value::Int))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.reader.take(value.len() + TEXT)?;
        Ok(Value::string(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut list = Vec::new();
        if let Some(sought) = self.sought.items() {
            self.reader.take(CONTAINER)?;
            loop {
                // Twice, since the list is copied when its length is known.
                self.reader.take(2 * size_of::<Value>())?;
                match items.next_element_seed(self.inside(sought.clone()))? {
                    Some(item) => list.push(item),
                    None => break,
                }
            }
        } else if self.sought.keys() {
            self.reader.take(CONTAINER)?;
            while items.next_element::<IgnoredAny>()?.is_some() {
                self.reader.look_at_clock()?;
                self.reader.take(2 * size_of::<Value>())?;
                list.push(Value::Null);
            }
        } else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(Value::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let mut entries = Vec::new();
        while let Some(named) = fields.next_key_seed(Name(&mut self))? {
            let entry = match named {
                Named::Unread => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
                Named::Key(key) => {
                    fields.next_value::<IgnoredAny>()?;
                    (key, Value::Null)
                }
                Named::Read(key, sought) => (key, fields.next_value_seed(self.inside(sought))?),
                Named::Number => {
                    let sought = self.sought.field(NUMBER);
                    let read = sought.is_some();
                    let own = match fields.next_value_seed(Field(self.inside(sought.unwrap_or_default())))? {
                        Written::Number(number) => return Ok(number),
                        Written::Own(value) => value,
                    };
                    if !read && !self.sought.keys() {
                        continue;
                    }
                    (self.reader.key(NUMBER)?, if read { own } else { Value::Null })
                }
            };
            self.reader.take(ENTRY)?;
            entries.push(entry);
        }
        self.reader.take(CONTAINER)?;
        let entries = entries.into_iter().map(|(key, value)| (Key::String(key), value));
        Ok(Value::Map(Arc::new(entries.collect::<Map>())))
    }
}

/// The name of a field decides what becomes of its value.
struct Name<'s, 'r, 'a, 'p>(&'s mut Place<'r, 'a, 'p>);

enum Named<'p> {
    /// By this name serde_json announces a number; it may be a user's own field all the same.
    Number,
    Unread,
    /// Only that it is there.
    Key(Arc<str>),
    Read(Arc<str>, Sought<'p>),
}

impl<'de, 'p> DeserializeSeed<'de> for Name<'_, '_, '_, 'p> {
    type Value = Named<'p>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Named<'p>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'p> Visitor<'_> for Name<'_, '_, '_, 'p> {
    type Value = Named<'p>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Named<'p>, E> {
        if name == NUMBER {
            return Ok(Named::Number);
        }
        Ok(match self.0.sought.field(name) {
            Some(sought) => Named::Read(self.0.reader.key(name)?, sought),
            None if self.0.sought.keys() => Named::Key(self.0.reader.key(name)?),
            None => Named::Unread,
        })
    }
}

/// What comes under the name by which serde_json announces a number: an owned string only if it is one.
struct Field<'r, 'a, 'p>(Place<'r, 'a, 'p>);

enum Written {
    Number(Value),
    Own(Value),
}

impl<'de> DeserializeSeed<'de> for Field<'_, '_, '_> {
    type Value = Written;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        self.0.reader.look_at_clock()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field<'_, '_, '_> {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    /// Beyond a double's range: infinity.
    fn visit_string<E: Error>(self, number: String) -> Result<Written, E> {
        let value = match number.parse() {
            Ok(whole) => Value::Int(whole),
            Err(_) => Value::Double(number.parse().map_err(E::custom)?),
        };
        Ok(Written::Number(value))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Written, E> {
        self.0.visit_bool(value).map(Written::Own)
    }

    fn visit_unit<E: Error>(self) -> Result<Written, E> {
        self.0.visit_unit().map(Written::Own)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Written, E> {
        self.0.visit_i64(value).map(Written::Own)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Written, E> {
        self.0.visit_u64(value).map(Written::Own)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Written, E> {
        self.0.visit_str(value).map(Written::Own)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Written, A::Error> {
        self.0.visit_seq(items).map(Written::Own)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Written, A::Error> {
        self.0.visit_map(fields).map(Written::Own)
    }
}

/// Bytes that it takes as a value.
fn size(json: &Json) -> usize {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => size_of::<Value>(),
        Json::String(text) => text.len() + TEXT,
        Json::Array(items) => items.iter().fold(CONTAINER, |sum, it| sum + 2 * size_of::<Value>() + size(it)),
        Json::Object(fields) => {
            fields.iter().fold(CONTAINER, |sum, (name, it)| sum + ENTRY + name.len() + TEXT + size(it))
        }
    }
}

const NUMBER: &str = "$serde_json::private::Number";
/// Levels of maps and lists that are read: what runs on them recurses. serde_json refuses one more.
const MAX_DEPTH: usize = 126;
const VALUES_PER_LOOK: usize = 500;
/// Bytes of a list or map, without what is in it.
const CONTAINER: usize = 64;
/// Bytes of a text, without the text.
const TEXT: usize = 32;
/// Bytes of an entry of a map: in the map, and while it is collected.
const ENTRY: usize = 3 * (size_of::<Key>() + size_of::<Value>());
/// Bytes of a key that is kept to be shared, and how many are.
const MAX_SHARED_KEY: usize = 64;
const MAX_SHARED_KEYS: usize = 1_000;
const TOO_LARGE: &str = "what the conditions read of the object takes too much memory";
const TOO_DEEP: &str = "the object nests too deeply to be read";
