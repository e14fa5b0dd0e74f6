//! Walks over JSON that was found to be valid before, and skips what is not wanted without another look at each byte.
//!
//! Of text that is no JSON it makes something or nothing, in time that grows with the text only.

use memchr::memchr;

/// At a place in a text.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// What stands between two brackets.
pub(super) struct Entries {
    end: u8,
    first: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What comes next but white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = self.rest();
        self.at += rest.iter().take_while(|it| matches!(it, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.rest().first().copied()
    }

    /// If this comes next, it is gone.
    pub(super) fn take(&mut self, expected: u8) -> Option<()> {
        (self.peek()? == expected).then(|| self.at += 1)
    }

    /// Entries of the list or map that begins here, which `end` ends.
    pub(super) fn entries(&mut self, end: u8) -> Entries {
        self.at += 1;
        Entries { end, first: true }
    }

    /// The next value, as it is spelled.
    pub(super) fn value(&mut self) -> Option<&'a str> {
        let first = self.peek()?;
        let begin = self.at;
        match first {
            b'"' => self.string()?,
            b'{' | b'[' => self.nested()?,
            _ => {
                let ends = |it: &u8| matches!(it, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
                self.at += self.rest().iter().take_while(|it| !ends(it)).count();
            }
        }
        self.text.get(begin..self.at).filter(|it| !it.is_empty())
    }

    /// Over the string that begins here.
    fn string(&mut self) -> Option<()> {
        let begin = self.at + 1;
        let mut end = begin;
        loop {
            end += memchr(b'"', self.text.as_bytes().get(end..)?)?;
            // A quote is part of the string if what is before it escapes it, and not itself escaped.
            let before = self.text.as_bytes().get(begin..end)?;
            let escapes = before.iter().rev().take_while(|it| **it == b'\\').count();
            end += 1;
            if escapes % 2 == 0 {
                self.at = end;
                return Some(());
            }
        }
    }

    /// Over the list or map that begins here.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.rest().first()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }
}

impl Entries {
    /// Whether there is one more, which `reader` is at then; None: neither that nor the end.
    pub(super) fn next(&mut self, reader: &mut Reader<'_>) -> Option<bool> {
        let first = std::mem::take(&mut self.first);
        let next = reader.peek()?;
        if next == self.end {
            reader.at += 1;
            return Some(false);
        }
        if !first {
            reader.take(b',')?;
            reader.peek()?;
        }
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn values_end_where_they_end() {
        for (text, value) in [
            (r#" "a\"b\\",1"#, r#""a\"b\\""#),
            (r#""\\\"" ]"#, r#""\\\"""#),
            ("1e5 , 2", "1e5"),
            ("true]", "true"),
            (r#"[[{"]":"}"}],[]],1"#, r#"[[{"]":"}"}],[]]"#),
            ("\"é\",", "\"é\""),
        ] {
            assert_eq!(Reader::new(text).value(), Some(value), "{text}");
        }
        for none in ["", " ", "\"", "\"\\\"", "[", "[1", "{\"a", ",", "]"] {
            assert_eq!(Reader::new(none).value(), None, "{none}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            r#"[a\\"\[\]{},: é\n]{0,6}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 30, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(r#"[a\\"]{0,3}"#, inner, 0..4)
                    .prop_map(|it| Value::Object(it.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn all_json_is_read_to_its_end(value in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(Reader::new(&text).value(), Some(&*text));
        }

        #[test]
        fn nothing_breaks_it(text in r#"([a\\"\[\]{},: é]|\\"){0,40}"#) {
            let mut reader = Reader::new(&text);
            let mut entries = reader.entries(b']');
            while let Some(true) = entries.next(&mut reader) {
                if reader.value().is_none() {
                    break;
                }
            }
        }
    }
}
