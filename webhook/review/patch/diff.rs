//! The difference of two objects as an RFC 6902 patch.
//!
//! json-patch has one too, but it compares arrays item by item, so that one new item at the front changes all, and it
//! repeats the path for each change, so that a long key above many values would make a patch of any size.

use serde_json::{Map, Value};

use super::{numbers::common_ends, tree::measure};

/// None when they are equal.
pub(super) fn between(old: &Value, new: &Value) -> Option<String> {
    let mut writer = Writer { path: String::new(), operations: String::new() };
    writer.value(old, new);
    (!writer.operations.is_empty()).then(|| format!("[{}]", writer.operations))
}

/// The patch as far as it is written, and the JSON Pointer of where it is.
struct Writer {
    path: String,
    operations: String,
}

/// The changes of one array or object became longer than writing it anew.
struct TooLong;

/// How much may be written for one array or object.
struct Limit<'a> {
    start: usize,
    whole: &'a Value,
    bytes: Option<usize>,
}

impl Writer {
    fn value(&mut self, old: &Value, new: &Value) {
        if old == new {
            return;
        }
        let mut limit = Limit { start: self.operations.len(), whole: new, bytes: None };
        let changes = match (old, new) {
            (Value::Object(old), Value::Object(new)) => self.object(old, new, &mut limit),
            (Value::Array(old), Value::Array(new)) => self.array(old, new, &mut limit),
            _ => Err(TooLong),
        };
        if let Err(TooLong) = changes {
            self.operations.truncate(limit.start);
            self.write("replace", Some(new));
        }
    }

    fn object(
        &mut self,
        old: &Map<String, Value>,
        new: &Map<String, Value>,
        limit: &mut Limit<'_>,
    ) -> Result<(), TooLong> {
        for key in old.keys().filter(|key| !new.contains_key(*key)) {
            self.at(key, |it| it.write("remove", None));
            self.check(limit)?;
        }
        for (key, new) in new {
            self.at(key, |it| match old.get(key) {
                Some(old) => it.value(old, new),
                None => it.write("add", Some(new)),
            });
            self.check(limit)?;
        }
        Ok(())
    }

    /// What both share at the ends stays; the rest is changed in place, and then cut or filled up.
    fn array(&mut self, old: &[Value], new: &[Value], limit: &mut Limit<'_>) -> Result<(), TooLong> {
        let (head, tail) = common_ends(old, new, |old, new| old == new);
        let (old_end, new_end) = (old.len() - tail, new.len() - tail);
        let both = old_end.min(new_end);
        for index in head..both {
            self.at(&index.to_string(), |it| it.value(&old[index], &new[index]));
            self.check(limit)?;
        }
        for index in (both..old_end).rev() {
            self.at(&index.to_string(), |it| it.write("remove", None));
            self.check(limit)?;
        }
        for (index, item) in new.iter().enumerate().take(new_end).skip(both) {
            self.at(&index.to_string(), |it| it.write("add", Some(item)));
            self.check(limit)?;
        }
        Ok(())
    }

    /// Does `inside` with `token` added to the path.
    fn at(&mut self, token: &str, inside: impl FnOnce(&mut Self)) {
        let end = self.path.len();
        self.path.push('/');
        for character in token.chars() {
            match character {
                '~' => self.path.push_str("~0"),
                '/' => self.path.push_str("~1"),
                other => self.path.push(other),
            }
        }
        inside(self);
        self.path.truncate(end);
    }

    fn write(&mut self, operation: &str, value: Option<&Value>) {
        let text = &mut self.operations;
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(r#"{"op":""#);
        text.push_str(operation);
        text.push_str(r#"","path":"#);
        text.push_str(&Value::from(self.path.as_str()).to_string());
        if let Some(value) = value {
            text.push_str(r#","value":"#);
            text.push_str(&value.to_string());
        }
        text.push('}');
    }

    /// The object itself is never written anew, since not every reader can replace the root.
    fn check(&self, limit: &mut Limit<'_>) -> Result<(), TooLong> {
        let written = self.operations.len() - limit.start;
        if self.path.is_empty() || written <= self.path.len() + SLACK {
            return Ok(());
        }
        let bytes = *limit.bytes.get_or_insert_with(|| measure(limit.whole).0);
        if written > self.path.len() + SLACK + bytes { Err(TooLong) } else { Ok(()) }
    }
}

/// Bytes that are always granted, so that a few changes stay as readable as they were meant.
const SLACK: usize = 1024;
