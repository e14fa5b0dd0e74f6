//! The first document of a text. The others only have to be YAML.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle, Tag, YamlVersion};

use super::scalar::Scalar;
use crate::rego::{
    Fault, Outcome, encoding,
    parse::MAX_DEPTH,
    value::Value,
    work::{Exhausted, Work},
};

pub(super) fn document(text: &str, work: &mut Work) -> Outcome {
    work.steps(text.len() * STEPS_A_BYTE)?;
    // An end without a document.
    let first =
        text.lines().map(|it| it.trim_end_matches([' ', '\t'])).find(|it| !it.is_empty() && !it.starts_with('#'));
    if first.is_some_and(|it| it.strip_prefix("...").is_some_and(|it| it.is_empty() || it.starts_with([' ', '\t']))) {
        return Err(Fault::Undefined);
    }
    let options = granit_parser::options! { flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader { parser, text, in_flow: Vec::new(), anchors: HashMap::new(), work };
    let mut first = None;
    loop {
        match reader.next()? {
            // yaml.v3 knows only this version.
            Event::DocumentStart(_, Some(version)) if version != YamlVersion::new(1, 1) => {
                return Err(Fault::Undefined);
            }
            // Behind an end that was written.
            Event::DocumentStart(false, _) if first.is_some() => return Err(Fault::Undefined),
            Event::DocumentStart(..) if first.is_none() => {
                let event = reader.next()?;
                first = Some(reader.value(event)?);
            }
            Event::StreamEnd => return Ok(first.unwrap_or(Value::Null)),
            _ => {}
        }
    }
}

struct Reader<'t, 'w> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    /// For each collection that is open, whether it is written in brackets.
    in_flow: Vec<bool>,
    /// None: it is not complete, so that it may not hold itself.
    anchors: HashMap<usize, Option<Node>>,
    work: &'w mut Work,
}

#[derive(Clone)]
struct Node {
    /// None: JSON has no such value.
    value: Option<Value>,
    /// What it is as a key.
    key: Option<Box<str>>,
}

impl<'t> Reader<'t, '_> {
    fn next(&mut self) -> Result<Event<'t>, Fault> {
        loop {
            let Some(Ok((event, span))) = self.parser.next() else { return Err(Fault::Undefined) };
            match event {
                Event::Comment(..) => continue,
                Event::SequenceStart(style, ..) | Event::MappingStart(style, ..) => {
                    self.no_tab_before(&span)?;
                    self.in_flow.push(style == StructureStyle::Flow);
                }
                Event::SequenceEnd | Event::MappingEnd => drop(self.in_flow.pop()),
                Event::Scalar(text, ScalarStyle::Literal | ScalarStyle::Folded, anchor, tag)
                    if text.ends_with('\n') && self.is_cut(&span) =>
                {
                    // To yaml.v3 the last line ends where the text ends.
                    let text = Cow::Owned(text[..text.len() - 1].to_owned());
                    return Ok(Event::Scalar(text, ScalarStyle::Literal, anchor, tag));
                }
                Event::Scalar(..) | Event::Alias(_) => self.no_tab_before(&span)?,
                _ => {}
            }
            return Ok(event);
        }
    }

    /// Whether the text ends within the last line of a scalar.
    fn is_cut(&self, span: &Span) -> bool {
        let is_last = span.end.byte_offset().is_some_and(|it| it >= self.text.len());
        is_last && !self.text.trim_end_matches(' ').ends_with('\n')
    }

    /// Tabs are no indentation, neither at the beginning of a line nor behind `-`, `?` and `:`.
    fn no_tab_before(&self, span: &Span) -> Result<(), Fault> {
        if self.in_flow.last() == Some(&true) {
            return Ok(());
        }
        let before = span.start.byte_offset().and_then(|it| self.text.get(..it)).unwrap_or("");
        let indentation = before.bytes().rev().take_while(|it| b" \t-?:".contains(it));
        let (mut length, mut tabs) = (0, false);
        for letter in indentation {
            length += 1;
            tabs |= letter == b'\t';
        }
        let is_all = matches!(before[..before.len() - length].bytes().next_back(), None | Some(b'\n' | b'\r'));
        if tabs && is_all { Err(Fault::Undefined) } else { Ok(()) }
    }

    fn value(&mut self, event: Event<'t>) -> Outcome {
        self.node(event)?.value.ok_or(Fault::Undefined)
    }

    /// Recursion is bounded by the parser's options.
    fn node(&mut self, event: Event<'t>) -> Result<Node, Fault> {
        self.work.bytes(size_of::<Node>())?;
        let (anchor, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.work.bytes(2 * text.len())?;
                (anchor, self.scalar(&text, style, tag.as_deref())?)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.anchors.insert(anchor, None);
                let mut values = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => values.push(self.value(event)?),
                    }
                }
                (anchor, Node { value: Some(Value::Array(values)), key: None })
            }
            Event::MappingStart(_, anchor, _) => {
                self.anchors.insert(anchor, None);
                (anchor, Node { value: Some(self.mapping()?), key: None })
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).and_then(Option::as_ref).ok_or(Fault::Undefined)?;
                if self.in_flow.len() + node.weigh(self.work)? > MAX_DEPTH {
                    return Err(Fault::Undefined);
                }
                return Ok(node.clone());
            }
            _ => return Err(Fault::Undefined),
        };
        if anchor > 0 {
            node.weigh(self.work)?;
            self.anchors.insert(anchor, Some(node.clone()));
        }
        Ok(node)
    }

    /// Behind its start. The last of equal keys counts.
    fn mapping(&mut self) -> Outcome {
        let mut object = BTreeMap::new();
        let mut merged = Vec::new();
        loop {
            let event = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            if matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if *text == "<<") {
                let event = self.next()?;
                let is_list = matches!(event, Event::SequenceStart(..));
                match self.value(event)? {
                    Value::Array(values) if is_list => merged.extend(values),
                    other => merged.push(other),
                }
                continue;
            }
            let key = self.node(event)?.key.ok_or(Fault::Undefined)?;
            let event = self.next()?;
            let value = self.value(event)?;
            object.insert(Value::String(key), value);
        }
        // What the mapping says itself counts more, and of what is merged the first.
        for other in merged {
            let Value::Object(other) = other else { return Err(Fault::Undefined) };
            for (key, value) in other {
                object.entry(key).or_insert(value);
            }
        }
        Ok(Value::Object(object))
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Node, Fault> {
        let quoted = style != ScalarStyle::Plain;
        let resolved = if quoted { Scalar::Text } else { Scalar::of(text) };
        let tag = tag.map(|it| [it.handle(), it.suffix()].concat()).filter(|it| it != "!");
        let scalar = match tag.as_deref().map(|it| it.strip_prefix(CORE).unwrap_or("")) {
            None => resolved,
            Some("binary") => {
                let plain: Vec<u8> = text.bytes().filter(|it| !b"\r\n".contains(it)).collect();
                let bytes = STANDARD.decode(plain).map_err(|_| Fault::Undefined)?;
                let text = encoding::readable(bytes, self.work)?;
                return Ok(Node { value: Some(Value::String(text.clone())), key: Some(text) });
            }
            Some(tag @ ("null" | "bool" | "int" | "float")) => match (tag, Scalar::of(text)) {
                ("null", it @ Scalar::Null)
                | ("bool", it @ Scalar::Bool(_))
                | ("int", it @ Scalar::Int(_))
                | ("float", it @ Scalar::Float(_)) => it,
                ("float", Scalar::Int(number)) => Scalar::Float(number as f64),
                _ => return Err(Fault::Undefined),
            },
            Some(_) => Scalar::Text,
        };
        Ok(Node { value: scalar.value(text), key: scalar.key(text).map(Into::into) })
    }
}

impl Node {
    /// Charges for a copy. How deep it is.
    fn weigh(&self, work: &mut Work) -> Result<usize, Exhausted> {
        work.bytes(self.key.as_ref().map_or(0, |it| it.len()))?;
        self.value.as_ref().map_or(Ok(1), |it| it.weigh(work))
    }
}

/// Before the names of YAML's own tags.
const CORE: &str = "tag:yaml.org,2002:";
/// To find the parts of a document.
const STEPS_A_BYTE: usize = 16;
