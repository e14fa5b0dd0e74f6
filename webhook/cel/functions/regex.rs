//! Regular expressions in RE2's syntax, as Go reads it, run by the `regex` crate: linear in the text.
//!
//! Constant patterns are compiled at load; others cost a good part of the budget each.

use ::regex::RegexBuilder;

use super::{Function, function};
use crate::{
    cel::{
        budget::{Budget, Fault, Outcome},
        value::Value,
    },
    go,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(&["matches(string, string) -> bool"], matches),
    function(&["string.matches(string) -> bool"], matches),
    function(&["string.find(string) -> string"], find),
    function(&["string.findAll(string) -> list(string)"], find_all),
    function(&["string.findAll(string, int) -> list(string)"], find_all),
];

pub(in crate::cel) struct Pattern {
    regex: ::regex::Regex,
    source: Box<str>,
}

impl Pattern {
    /// A pattern that the operator wrote. Err: words with what is wrong with it.
    pub(in crate::cel) fn constant(pattern: &str) -> Result<Self, String> {
        Self::compile(pattern, CONSTANT_SIZE)
    }

    fn compile(pattern: &str, size: usize) -> Result<Self, String> {
        let translated = go::regex::translate(pattern).map_err(|words| format!("bad regular expression: {words}"))?;
        match RegexBuilder::new(&translated).size_limit(size).build() {
            Ok(regex) => Ok(Self { regex, source: pattern.into() }),
            Err(::regex::Error::CompiledTooBig(_)) => Err("the regular expression is too large".to_owned()),
            Err(_) => Err("bad regular expression".to_owned()),
        }
    }

    /// As the operator wrote it.
    pub(in crate::cel) fn source(&self) -> &str {
        &self.source
    }

    /// The work is in the worst case the product of both lengths.
    fn charge(&self, text: &str, budget: &mut Budget) -> Result<(), Fault> {
        budget.charge((text.len() / 8 + 1).saturating_mul(self.source.len() / 8 + 1))
    }
}

fn with_pattern<T>(
    value: &Value,
    budget: &mut Budget,
    work: impl FnOnce(&Pattern, &mut Budget) -> Result<T, Fault>,
) -> Result<T, Fault> {
    match value {
        Value::Pattern(pattern) => work(pattern, budget),
        Value::String(pattern) => {
            budget.charge(STEPS_TO_COMPILE)?;
            budget.bytes(pattern.len())?;
            if pattern.len() > MAX_VARIABLE_LENGTH {
                return Err(Fault::Failed("a regular expression is too long".into()));
            }
            // The error would quote the pattern, which may come from the review.
            let compiled = Pattern::compile(pattern, VARIABLE_SIZE)
                .map_err(|_| Fault::Failed("bad or too large regular expression".into()))?;
            work(&compiled, budget)
        }
        _ => Err(Fault::Overload),
    }
}

fn matches(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::String(text), pattern] = args else { return Err(Fault::Overload) };
    with_pattern(pattern, budget, |pattern, budget| {
        pattern.charge(text, budget)?;
        Ok(Value::Bool(pattern.regex.is_match(text)))
    })
}

fn find(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::String(text), pattern] = args else { return Err(Fault::Overload) };
    with_pattern(pattern, budget, |pattern, budget| {
        pattern.charge(text, budget)?;
        Ok(Value::string(pattern.regex.find(text).map_or("", |found| found.as_str())))
    })
}

fn find_all(args: &[Value], budget: &mut Budget) -> Outcome {
    let (text, pattern, most) = match args {
        [Value::String(text), pattern] => (text, pattern, -1),
        [Value::String(text), pattern, Value::Int(most)] => (text, pattern, *most),
        _ => return Err(Fault::Overload),
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    with_pattern(pattern, budget, |pattern, budget| {
        let mut found = Vec::new();
        pattern.charge(text, budget)?;
        for part in pattern.regex.find_iter(text).take(most) {
            // A search may look far beyond its match, and the next one looks again.
            budget.bytes(text.len() - part.start())?;
            budget.memory(size_of::<Value>() + part.len())?;
            found.push(Value::string(part.as_str()));
        }
        Ok(Value::List(found.into()))
    })
}

/// Bytes of a compiled pattern.
const CONSTANT_SIZE: usize = 16 * 1024 * 1024;
const VARIABLE_SIZE: usize = 1024 * 1024;
const MAX_VARIABLE_LENGTH: usize = 16 * 1024;
const STEPS_TO_COMPILE: usize = 20_000;
