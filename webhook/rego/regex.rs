//! `regex`: patterns in Go's syntax, run by the `regex` crate in the time of the text. What is compiled is kept for the
//! review.

use ::regex::{Captures, Regex, RegexBuilder};

use super::{
    Fault, Function, Outcome, function,
    value::Value,
    work::{Exhausted, Out, Work},
};
use crate::go;

pub(super) const FUNCTIONS: &[Function] = &[
    function("regex.find_n", 3, find_n),
    function("regex.replace", 3, replace),
    function("regex.split", 2, split),
    function("regex.template_match", 4, template_match),
];

/// A pattern, and what it costs to use it.
pub(super) struct Pattern {
    regex: Regex,
    /// Of its groups.
    names: Vec<Option<String>>,
    /// For each byte of a text.
    steps: usize,
}

impl Pattern {
    fn compile(pattern: &str, work: &mut Work) -> Result<Self, Fault> {
        work.steps(pattern.len())?;
        let (translated, names) = go::regex::translate_with_names(pattern).map_err(|_| Fault::Undefined)?;
        // The smaller what comes out, the less it costs to get it and to use it: in the worst case each byte of a text
        // meets all of it.
        let mut size = SMALLEST;
        while size <= LARGEST {
            // Compiling ends where the size is reached.
            work.steps(size + STEPS_TO_COMPILE)?;
            match RegexBuilder::new(&translated).size_limit(size).dfa_size_limit(DFA_SIZE).build() {
                Ok(regex) => return Ok(Self { regex, names, steps: size / BYTES_MET_A_STEP }),
                Err(::regex::Error::CompiledTooBig(_)) => size *= 2,
                Err(_) => return Err(Fault::Undefined),
            }
        }
        Err(Fault::Undefined)
    }

    /// Of a search through `length` bytes.
    fn charge(&self, length: usize, work: &mut Work) -> Result<(), Exhausted> {
        work.steps((length + 1).saturating_mul(self.steps))
    }
}

/// Runs `with` one of the compiled patterns of the review.
fn compiled<T>(
    pattern: &str,
    work: &mut Work,
    with: impl FnOnce(&Pattern, &mut Work) -> Result<T, Fault>,
) -> Result<T, Fault> {
    work.steps(pattern.len() / 8 + 10)?;
    let (key, compiled) = match work.patterns.remove_entry(pattern) {
        Some(found) => found,
        None => (pattern.into(), Pattern::compile(pattern, work)?),
    };
    let result = with(&compiled, work);
    if work.patterns.len() < MAX_PATTERNS {
        work.patterns.insert(key, compiled);
    }
    result
}

/// What a search gives for each match: a search may look far beyond its match, and the next one looks again.
fn each<'t>(
    pattern: &Pattern,
    text: &'t str,
    most: usize,
    work: &mut Work,
    mut with: impl FnMut(&Captures<'t>, &mut Work) -> Result<(), Fault>,
) -> Result<(), Fault> {
    pattern.charge(text.len(), work)?;
    for found in pattern.regex.captures_iter(text).take(most) {
        let start = found.get(0).map_or(0, |it| it.start());
        pattern.charge((text.len() - start) / MATCHES_A_SCAN, work)?;
        with(&found, work)?;
    }
    Ok(())
}

/// As many matches as the number says; all if it is negative.
fn find_n(arguments: &[Value], work: &mut Work) -> Outcome {
    let [pattern, text, most] = arguments else { return Err(Fault::Undefined) };
    let (pattern, text, most) = (pattern.text()?, text.text()?, most.integer()?);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    compiled(pattern, work, |pattern, work| {
        let mut matches = Vec::new();
        each(pattern, text, most, work, |found, work| {
            work.bytes(size_of::<Value>() + found[0].len())?;
            matches.push(Value::string(&found[0]));
            Ok(())
        })?;
        Ok(Value::Array(matches))
    })
}

/// What lies between the matches.
fn split(arguments: &[Value], work: &mut Work) -> Outcome {
    let [pattern, text] = arguments else { return Err(Fault::Undefined) };
    let (pattern, text) = (pattern.text()?, text.text()?);
    let is_empty = pattern.is_empty();
    compiled(pattern, work, |pattern, work| {
        let mut parts = Vec::new();
        if text.is_empty() && !is_empty {
            return Ok(Value::Array(vec![Value::string("")]));
        }
        let mut add = |part: &str, work: &mut Work| -> Result<(), Fault> {
            work.bytes(size_of::<Value>() + part.len())?;
            parts.push(Value::string(part));
            Ok(())
        };
        let (mut begin, mut end) = (0, 0);
        each(pattern, text, usize::MAX, work, |found, work| {
            let Some(found) = found.get(0) else { return Ok(()) };
            end = found.start();
            // Nothing is before an empty match at the beginning.
            if found.end() > 0 {
                add(&text[begin..end], work)?;
            }
            begin = found.end();
            Ok(())
        })?;
        if end < text.len() {
            add(&text[begin..], work)?;
        }
        Ok(Value::Array(parts))
    })
}

fn replace(arguments: &[Value], work: &mut Work) -> Outcome {
    let [text, pattern, template] = arguments else { return Err(Fault::Undefined) };
    let (text, pattern, template) = (text.text()?, pattern.text()?, template.text()?);
    compiled(pattern, work, |pattern, work| {
        let mut replaced = String::new();
        let mut end = 0;
        each(pattern, text, usize::MAX, work, |found, work| {
            let Some(whole) = found.get(0) else { return Ok(()) };
            work.bytes(whole.start() - end)?;
            replaced.push_str(&text[end..whole.start()]);
            end = whole.end();
            let mut out = Out::new(work);
            expand(template, found, &pattern.names, &mut out)?;
            replaced.push_str(&out.finish());
            Ok(())
        })?;
        work.bytes(text.len() - end)?;
        replaced.push_str(&text[end..]);
        Ok(Value::string(replaced))
    })
}

/// As Go's `Regexp.Expand`: `$1`, `$name`, `${name}`, `$$`. Groups that are not there are empty.
fn expand(template: &str, found: &Captures, names: &[Option<String>], out: &mut Out) -> Result<(), Exhausted> {
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('$') {
        out.work.steps(2)?;
        out.push(before)?;
        rest = behind;
        if let Some(behind) = rest.strip_prefix('$') {
            out.push("$")?;
            rest = behind;
            continue;
        }
        let Some((name, behind)) = group(rest) else {
            out.push("$")?;
            continue;
        };
        rest = behind;
        let is_number = name.bytes().all(|it| it.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
        let group = match name.parse() {
            Ok(number) if is_number => found.get(number),
            // The first of those that have the name and took part.
            _ => {
                let named =
                    |(at, it): (usize, &Option<String>)| if it.as_deref() == Some(name) { found.get(at) } else { None };
                out.work.steps(names.len())?;
                names.iter().enumerate().find_map(named)
            }
        };
        out.push(group.map_or("", |it| it.as_str()))?;
    }
    out.push(rest)
}

/// The name of a group, and what is behind it.
fn group(text: &str) -> Option<(&str, &str)> {
    let braced = text.strip_prefix('{');
    let text = braced.unwrap_or(text);
    let end = text.find(|letter: char| letter != '_' && !letter.is_alphanumeric()).unwrap_or(text.len());
    let (name, behind) = text.split_at(end);
    let behind = if braced.is_some() { behind.strip_prefix('}')? } else { behind };
    (!name.is_empty()).then_some((name, behind))
}

/// A text with patterns between two delimiters, against a whole text.
fn template_match(arguments: &[Value], work: &mut Work) -> Outcome {
    let [template, text, start, end] = arguments else { return Err(Fault::Undefined) };
    let (template, text) = (template.text()?, text.text()?);
    let (&[start], &[end]) = (start.text()?.as_bytes(), end.text()?.as_bytes()) else { return Err(Fault::Undefined) };
    work.bytes(4 * template.len())?;
    let (mut pattern, mut plain, mut level, mut begin) = (String::from("^"), 0, 0_usize, 0);
    for (at, letter) in template.bytes().enumerate() {
        if letter == start {
            level += 1;
            if level == 1 {
                begin = at;
            }
        } else if letter == end {
            level = level.checked_sub(1).ok_or(Fault::Undefined)?;
            if level == 0 {
                // Each must be one by itself.
                let part = &template[begin + 1..at];
                compiled(&format!("^{part}$"), work, |_, _| Ok(()))?;
                quote_meta(&template[plain..begin], &mut pattern);
                pattern.extend(["(", part, ")"]);
                plain = at + 1;
            }
        }
    }
    if level != 0 {
        return Err(Fault::Undefined);
    }
    quote_meta(&template[plain..], &mut pattern);
    pattern.push('$');
    compiled(&pattern, work, |pattern, work| {
        pattern.charge(text.len(), work)?;
        Ok(Value::Bool(pattern.regex.is_match(text)))
    })
}

/// As Go's `regexp.QuoteMeta`.
fn quote_meta(text: &str, out: &mut String) {
    for letter in text.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
}

/// Bytes of a compiled pattern: one such as `[a-z]+`, and the largest that is let through.
const SMALLEST: usize = 512;
const LARGEST: usize = 1 << 20;
/// Of the lazy automaton of each.
const DFA_SIZE: usize = 256 << 10;
const STEPS_TO_COMPILE: usize = 1000;
/// Of a compiled pattern, for each byte of a text.
const BYTES_MET_A_STEP: usize = 64;
/// After how many matches a search has, as it is assumed, looked at the whole rest of a text once more.
const MATCHES_A_SCAN: usize = 16;
/// That are kept.
const MAX_PATTERNS: usize = 32;
