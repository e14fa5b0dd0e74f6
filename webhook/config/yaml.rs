//! From text to trees: documents, values and the line of each.
//!
//! Owns what YAML may cost (size, nesting, aliases) and where readers of YAML disagree. Knows nothing of policies.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use serde_saphyr::{DuplicateKeyPolicy, Location, NonFiniteFloatPolicy, Options, Spanned, UserMessageFormatter};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Line of the file, counted from one; [`NO_LINE`] of what is in no file.
    pub(crate) line: u64,
    pub(crate) value: Value,
}

/// A value without its tag or style.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; no key twice.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// What is there already as a value, and has no lines. None: it is larger or nested deeper than a document may be.
    pub(crate) fn of(value: &serde_json::Value) -> Option<Self> {
        Self::bounded(value, MAX_DEPTH, &mut MAX_NODES.clone())
    }

    /// Recursion is bounded by `depth`.
    fn bounded(value: &serde_json::Value, depth: usize, left: &mut usize) -> Option<Self> {
        let deeper = depth.checked_sub(1)?;
        *left = left.checked_sub(1)?;
        let value = match value {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => Value::Number(number.clone()),
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(items) => {
                Value::List(items.iter().map(|it| Self::bounded(it, deeper, left)).collect::<Option<_>>()?)
            }
            serde_json::Value::Object(fields) => {
                let fields = fields.iter().map(|(key, it)| Some((key.clone(), Self::bounded(it, deeper, left)?)));
                Value::Map(fields.collect::<Option<_>>()?)
            }
        };
        Some(Self { line: NO_LINE, value })
    }

    /// The same as JSON. Depth is bounded since the tree's is.
    pub(crate) fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), value.json())).collect(),
        }
    }
}

/// Why a document is not a tree.
pub(crate) struct Problem {
    /// Line of the file.
    pub(crate) line: u64,
    pub(crate) message: String,
}

/// Every document of `text` that is not empty, each by itself, so that one that is broken hides no other.
pub(crate) fn documents(text: &str) -> Vec<Result<Node, Vec<Problem>>> {
    // YAML reads both line ends as one; the parser would count some of them twice.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    split(&text)
        .into_iter()
        .filter_map(|(lines_before, text)| {
            let parsed = serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options());
            let mut reader = Reader { text, lines_before, problems: Vec::new() };
            match parsed {
                Ok(raw) => {
                    let node = reader.node(raw);
                    if !reader.problems.is_empty() {
                        return Some(Err(reader.problems));
                    }
                    (!matches!(node.value, Value::Null)).then_some(Ok(node))
                }
                Err(error) => Some(Err(vec![reader.refusal(&error)])),
            }
        })
        .collect()
}

/// Documents as the number of lines before each and its text. `---` and `...` at the beginning of a line end a
/// document wherever they stand, even inside quotes (YAML 1.2.2, 9.1.2).
fn split(text: &str) -> Vec<(u64, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut first_line) = (0, 0);
    let (mut offset, mut line_number) = (0, 0);
    for line in text.split_inclusive('\n') {
        let opens = is_marker(line, "---");
        let closes = is_marker(line, "...");
        if opens || closes {
            documents.push((first_line, &text[start..offset]));
            // A document may begin on the line of its `---`, but not on that of a `...`.
            (start, first_line) = if opens { (offset, line_number) } else { (offset + line.len(), line_number + 1) };
        }
        offset += line.len();
        line_number += 1;
    }
    documents.push((first_line, &text[start..]));
    documents.retain(|(_, text)| !is_blank(text));
    documents
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether a document says nothing: comments and the directives before its `---`.
fn is_blank(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#') || line.starts_with('%'))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            // Aliases are paid for each time they are used.
            max_nodes: MAX_NODES,
            max_total_scalar_bytes: 8 << 20,
            max_aliases: 1_000,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: 64,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        reject_unsupported_tags: true,
        with_snippet: false,
    }
}

/// As serde-saphyr gives it.
enum Raw {
    Null,
    Bool(bool),
    Number(Number),
    /// A number beyond 64 bits or with a fraction: its own text says more than an f64.
    Float(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(String, Spanned<Raw>)>),
}

/// Turns what was parsed into nodes, with the text at hand.
struct Reader<'t> {
    text: &'t str,
    lines_before: u64,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// Recursion is bounded by the budget's `max_depth`.
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let line = self.line(raw.referenced);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => {
                let written = self.written(raw.defined).unwrap_or_default();
                if !["true", "false"].iter().any(|word| written.eq_ignore_ascii_case(word)) {
                    // kubectl takes `yes` as true, YAML 1.2 as text.
                    self.problems.push(Problem {
                        line,
                        message: format!("readers of YAML disagree about {written}: write {value}, or quote it"),
                    });
                }
                Value::Bool(value)
            }
            Raw::Number(number) => Value::Number(number),
            Raw::Float(float) => {
                let written = self.written(raw.defined);
                let exact = written.and_then(|text| serde_json::from_str(text).ok());
                match exact.or_else(|| Number::from_f64(float)) {
                    Some(number) => Value::Number(number),
                    None => Value::Null,
                }
            }
            Raw::Text(text) => Value::Text(text),
            Raw::List(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => Value::Map(entries.into_iter().map(|(key, value)| (key, self.node(value))).collect()),
        };
        Node { line, value }
    }

    fn refusal(&self, error: &serde_saphyr::Error) -> Problem {
        let message = match error.without_snippet() {
            serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
                format!("the key {key:?} is listed twice")
            }
            serde_saphyr::Error::Budget { breach, .. } => {
                format!("the document is too large or too deep: {breach:?}")
            }
            _ => error.render_with_formatter(&UserMessageFormatter),
        };
        let location = error.location();
        Problem {
            line: location.map_or(self.lines_before + 1, |location| self.line(location)),
            message: match location {
                // The renderer counts lines from the beginning of the document.
                Some(location) => {
                    let place = format!(" at line {}, column {}", location.line(), location.column());
                    let column = format!(" at column {}", location.column());
                    message.replace(&place, &column)
                }
                None => message,
            },
        }
    }

    fn line(&self, location: Location) -> u64 {
        self.lines_before + location.line().max(1)
    }

    fn written(&self, location: Location) -> Option<&str> {
        let span = location.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let length = usize::try_from(span.byte_len()?).ok()?;
        Some(self.text.get(start..start.checked_add(length)?)?.trim())
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.into()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

/// Of what is in no file.
pub(crate) const NO_LINE: u64 = 0;
/// Values of one document.
const MAX_NODES: usize = 100_000;
/// Values in values.
const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        let mut all = documents(text);
        assert_eq!(all.len(), 1);
        all.remove(0).unwrap_or_else(|problems| panic!("{}", problems[0].message))
    }

    fn field<'n>(node: &'n Node, name: &str) -> &'n Node {
        let Value::Map(entries) = &node.value else { panic!("{node:?}") };
        &entries.iter().find(|(key, _)| key == name).unwrap().1
    }

    #[test]
    fn numbers_keep_their_digits() {
        let text =
            "a: 123456789012345678901234567890\nb: 1.10\nc: -5\nd: 18446744073709551615\ne: 0x10\nf: .5\ng: 1e400\n";
        let (good, _) = text.split_at(text.find("g:").unwrap());
        let node = one(good);
        let written = |name| match &field(&node, name).value {
            Value::Number(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(written("a"), "123456789012345678901234567890");
        assert_eq!(written("b"), "1.10");
        assert_eq!(written("c"), "-5");
        assert_eq!(written("d"), "18446744073709551615");
        assert_eq!(written("e"), "16");
        assert_eq!(written("f"), "0.5");
        assert!(documents(text)[0].is_err());
    }

    #[test]
    fn documents_are_found_with_their_lines() {
        let text = "\u{feff}# only words\n%YAML 1.2\n---\na: 1\n---\n# nothing\n--- # also nothing\n~\n---\r\nb: |\r\n  x\r\n...\nc: 2\n";
        let nodes: Vec<Node> = documents(text).into_iter().map(|node| node.ok().unwrap()).collect();
        assert_eq!(nodes.len(), 3);
        assert_eq!(field(&nodes[0], "a").line, 4);
        // A block's text begins on the line after its `|`.
        assert_eq!(field(&nodes[1], "b").line, 11);
        assert_eq!(field(&nodes[2], "c").line, 13);
    }

    #[test]
    fn a_broken_document_hides_no_other() {
        let results = documents("a: [1\n---\nb: 1\nb: 2\n---\nc: 3\n");
        let problem = |index: usize| &results[index].as_ref().err().unwrap()[0];
        assert!(problem(0).line <= 2, "{}", problem(0).line);
        assert_eq!((problem(1).line, &*problem(1).message), (4, "the key \"b\" is listed twice"));
        assert!(results[2].is_ok());
    }

    #[test]
    fn what_readers_disagree_about_is_refused() {
        let results = documents("a: yes\nb: \"yes\"\nc: True\nd: {e: [off]}\n");
        let problems = results[0].as_ref().err().unwrap();
        assert_eq!(problems.len(), 2);
        assert_eq!(problems[0].line, 1);
        assert!(problems[0].message.contains("about yes: write true"), "{}", problems[0].message);
        assert!(problems[1].message.contains("about off: write false"), "{}", problems[1].message);
    }

    #[test]
    fn bombs_do_not_go_off() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let alias = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", [&*alias; 10].join(", "));
        }
        let results = documents(&bomb);
        let message = &results[0].as_ref().err().unwrap()[0].message;
        assert!(message.contains("too large or too complex"), "{message}");
        assert!(documents(&"[".repeat(100_000))[0].is_err());
        assert!(documents(&"a:\n ".repeat(5))[0].is_err());
    }

    #[test]
    fn json_is_yaml() {
        let node = one("{\n\t\"a\": {\"b\": [1, null, \"x\\u00e4\\/\"]}\n}\n");
        assert!(matches!(&field(&node, "a").value, Value::Map(_)));
    }
}
