//! Regular expressions in RE2's syntax, as Go reads it, run by the `regex` crate: linear in the text.
//!
//! Constant patterns are compiled at load; others cost a good part of the budget each.

use regex::RegexBuilder;

use super::{Function, function};
use crate::cel::{
    budget::{Budget, Fault, Outcome},
    value::Value,
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
        Self::compile(pattern, CONSTANT_SIZE).map_err(|reason| format!("bad regular expression: {reason}"))
    }

    fn compile(pattern: &str, size: usize) -> Result<Self, ::regex::Error> {
        let regex = RegexBuilder::new(&translate(pattern)).size_limit(size).nest_limit(50).build()?;
        Ok(Self { regex, source: pattern.into() })
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

/// From RE2's syntax to the `regex` crate's where they differ: `\d`, `\w`, `\s` and `\b` are ASCII, `\Q…\E` is literal,
/// and within classes `[`, `&&`, `~~` and `--` mean themselves.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut letters = pattern.chars().peekable();
    // Some(position in the class) while inside of one.
    let mut class: Option<usize> = None;
    while let Some(letter) = letters.next() {
        if letter == '\\' {
            let escaped = letters.next();
            match (escaped, class.is_some()) {
                (Some('Q'), false) => {
                    let rest: String = letters.clone().collect();
                    let literal = rest.split("\\E").next().unwrap_or_default();
                    out.push_str(&::regex::escape(literal));
                    for _ in literal.chars().chain("\\E".chars()) {
                        letters.next();
                    }
                }
                (Some('d'), true) => out.push_str("0-9"),
                (Some('w'), true) => out.push_str("0-9A-Za-z_"),
                (Some('s'), true) => out.push_str("\\t\\n\\f\\r\\x20"),
                (Some('d'), false) => out.push_str("[0-9]"),
                (Some('w'), false) => out.push_str("[0-9A-Za-z_]"),
                (Some('s'), false) => out.push_str("[\\t\\n\\f\\r\\x20]"),
                (Some('D'), _) => out.push_str("[^0-9]"),
                (Some('W'), _) => out.push_str("[^0-9A-Za-z_]"),
                (Some('S'), _) => out.push_str("[^\\t\\n\\f\\r\\x20]"),
                (Some('b'), false) => out.push_str("(?-u:\\b)"),
                (Some('B'), false) => out.push_str("(?-u:\\B)"),
                (Some(other), _) => out.extend(['\\', other]),
                (None, _) => out.push('\\'),
            }
            class = class.map(|at| at + 1);
            continue;
        }
        match (&mut class, letter) {
            (None, '[') => {
                class = Some(0);
                out.push('[');
                if letters.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
            }
            (None, letter) => out.push(letter),
            (Some(at), ']') if *at > 0 => {
                class = None;
                out.push(']');
            }
            (Some(at), '[') if letters.peek() == Some(&':') => {
                out.push('[');
                for letter in letters.by_ref() {
                    out.push(letter);
                    if letter == ']' {
                        break;
                    }
                }
                *at += 1;
            }
            (Some(at), letter) => {
                let doubled = letter == '-' && letters.peek() == Some(&'-');
                if matches!(letter, '[' | ']' | '&' | '~') || doubled {
                    out.push('\\');
                }
                out.push(letter);
                *at += 1;
            }
        }
    }
    out
}

const CONSTANT_SIZE: usize = 1024 * 1024;
const VARIABLE_SIZE: usize = 64 * 1024;
const MAX_VARIABLE_LENGTH: usize = 1024;
const STEPS_TO_COMPILE: usize = 20_000;
