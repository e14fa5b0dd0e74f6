//! Rego's text of a value: JSON, with sets such as `{1, 2}` and `set()`, and keys of any type.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Fault,
    number::Number,
    value::Value,
    work::{Exhausted, Work},
};

/// Err: no value, nested deeper than [`MAX_DEPTH`], not UTF-8; or more work than there is.
pub(super) fn value(text: &[u8], work: &mut Work) -> Result<Value, Fault> {
    // Checked in any case, whatever is then charged for its parts.
    work.steps(text.len() / 32)?;
    let text = std::str::from_utf8(text).map_err(|_| Fault::Undefined)?;
    let mut parser = Parser { rest: text, work };
    let value = parser.value(MAX_DEPTH)?;
    parser.space();
    if parser.rest.is_empty() { Ok(value) } else { Err(Fault::Undefined) }
}

struct Parser<'t, 'w> {
    rest: &'t str,
    work: &'w mut Work,
}

impl Parser<'_, '_> {
    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Undefined)?;
        self.work.bytes(size_of::<Value>())?;
        self.work.steps(STEPS_A_VALUE)?;
        self.space();
        for (word, value) in [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))] {
            if self.take(word) {
                return Ok(value);
            }
        }
        match self.rest.as_bytes().first() {
            Some(b'"') => self.string().map(Value::String),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.braces(depth),
            Some(b's') => self.empty_set(),
            Some(b'-' | b'.' | b'0'..=b'9') => self.number(),
            _ => Err(Fault::Undefined),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Fault> {
        self.expect("[")?;
        let mut values = Vec::new();
        if self.takes("]") {
            return Ok(Value::Array(values));
        }
        loop {
            values.push(self.value(depth)?);
            if self.takes("]") {
                return Ok(Value::Array(values));
            }
            self.expect(",")?;
        }
    }

    /// An object or a set.
    fn braces(&mut self, depth: usize) -> Result<Value, Fault> {
        self.expect("{")?;
        if self.takes("}") {
            return Ok(Value::Object(BTreeMap::new()));
        }
        // However little is in it.
        self.work.bytes(BYTES_OF_A_NODE)?;
        let first = self.value(depth)?;
        if self.takes(":") {
            let mut object = BTreeMap::from([(first, self.value(depth)?)]);
            while !self.takes("}") {
                self.expect(",")?;
                let (key, length) = self.measured(depth)?;
                self.expect(":")?;
                let value = self.value(depth)?;
                self.sorted(&key, length, object.len())?;
                object.insert(key, value);
            }
            return Ok(Value::Object(object));
        }
        let mut set = BTreeSet::from([first]);
        while !self.takes("}") {
            self.expect(",")?;
            let (value, length) = self.measured(depth)?;
            self.sorted(&value, length, set.len())?;
            set.insert(value);
        }
        Ok(Value::Set(set))
    }

    /// With the length of its text.
    fn measured(&mut self, depth: usize) -> Result<(Value, usize), Fault> {
        let before = self.rest.len();
        let value = self.value(depth)?;
        Ok((value, before - self.rest.len()))
    }

    /// Putting a value, whose text has this length, in its place among so many others.
    fn sorted(&mut self, value: &Value, length: usize, others: usize) -> Result<(), Exhausted> {
        let comparisons = others.checked_ilog2().unwrap_or(0) as usize + 1;
        let steps = match value {
            // Digit by digit.
            Value::Number(Number::Text(_)) => length + STEPS_A_VALUE,
            _ => length / BYTES_COMPARED_A_STEP + 2,
        };
        self.work.steps(comparisons * steps)
    }

    fn empty_set(&mut self) -> Result<Value, Fault> {
        self.expect("set(")?;
        self.expect(")")?;
        Ok(Value::Set(BTreeSet::new()))
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let end = self.rest.bytes().position(|it| !matches!(it, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.work.bytes(text.len())?;
        self.work.steps(text.len())?;
        self.rest = rest;
        Number::parse(text).map(Value::Number).ok_or(Fault::Undefined)
    }

    fn string(&mut self) -> Result<Box<str>, Fault> {
        self.expect("\"")?;
        let mut out = String::new();
        loop {
            let end = self.rest.find(['"', '\\']).ok_or(Fault::Undefined)?;
            let (plain, rest) = self.rest.split_at(end);
            self.work.bytes(plain.len() + 1)?;
            out.push_str(plain);
            self.rest = &rest[1..];
            if rest.starts_with('"') {
                return Ok(out.into());
            }
            out.push(self.escape()?);
        }
    }

    /// Behind the backslash.
    fn escape(&mut self) -> Result<char, Fault> {
        let letter = self.rest.bytes().next().ok_or(Fault::Undefined)?;
        let meant = match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.rest = &self.rest[1..];
                return self.unit();
            }
            _ => return Err(Fault::Undefined),
        };
        self.rest = &self.rest[1..];
        Ok(meant)
    }

    /// Four hexadecimal digits, or twice those. A lone half of a pair is U+FFFD.
    fn unit(&mut self) -> Result<char, Fault> {
        let first = self.hexadecimal()?;
        let mut units = vec![first];
        if (0xd800..0xdc00).contains(&first) && self.rest.starts_with("\\u") {
            let before = self.rest;
            self.rest = &self.rest[2..];
            let second = self.hexadecimal()?;
            if (0xdc00..0xe000).contains(&second) {
                units.push(second);
            } else {
                self.rest = before;
            }
        }
        Ok(char::decode_utf16(units).next().and_then(Result::ok).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hexadecimal(&mut self) -> Result<u16, Fault> {
        let (digits, rest) = self.rest.split_at_checked(4).ok_or(Fault::Undefined)?;
        self.rest = rest;
        if digits.starts_with('+') {
            return Err(Fault::Undefined);
        }
        u16::from_str_radix(digits, 16).map_err(|_| Fault::Undefined)
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, word: &str) -> bool {
        self.rest.strip_prefix(word).inspect(|rest| self.rest = rest).is_some()
    }

    /// Behind spaces.
    fn takes(&mut self, sign: &str) -> bool {
        self.space();
        self.take(sign)
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.takes(sign) { Ok(()) } else { Err(Fault::Undefined) }
    }
}

/// Everything that walks a value calls itself as often, on the stack of a guest.
pub(super) const MAX_DEPTH: usize = 128;
const STEPS_A_VALUE: usize = 8;
/// Of a map or set: it has room for eleven entries.
const BYTES_OF_A_NODE: usize = 11 * 2 * size_of::<Value>();
const BYTES_COMPARED_A_STEP: usize = 8;
