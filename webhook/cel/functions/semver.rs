//! Semantic versions. Build metadata plays no part in comparisons.

use std::sync::Arc;

use semver::Version;

use super::{Function, function};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(&["semver(string) -> kubernetes.Semver"], version),
    function(&["semver(string, bool) -> kubernetes.Semver"], version),
    function(&["isSemver(string) -> bool"], |args, budget| Ok(Value::Bool(parse(args, budget)?.is_some()))),
    function(&["isSemver(string, bool) -> bool"], |args, budget| Ok(Value::Bool(parse(args, budget)?.is_some()))),
    function(&["kubernetes.Semver.major() -> int"], |args, _| number(args, |version| version.major)),
    function(&["kubernetes.Semver.minor() -> int"], |args, _| number(args, |version| version.minor)),
    function(&["kubernetes.Semver.patch() -> int"], |args, _| number(args, |version| version.patch)),
    function(&["kubernetes.Semver.compareTo(kubernetes.Semver) -> int"], |args, _| {
        Ok(Value::Int(compare(args)? as i64))
    }),
    function(&["kubernetes.Semver.isLessThan(kubernetes.Semver) -> bool"], |args, _| {
        Ok(Value::Bool(compare(args)?.is_lt()))
    }),
    function(&["kubernetes.Semver.isGreaterThan(kubernetes.Semver) -> bool"], |args, _| {
        Ok(Value::Bool(compare(args)?.is_gt()))
    }),
];

fn version(args: &[Value], budget: &mut Budget) -> Outcome {
    match parse(args, budget)? {
        Some(version) => Ok(Value::Semver(Arc::new(version))),
        None => failed("semver(): not a semantic version"),
    }
}

fn parse(args: &[Value], budget: &mut Budget) -> Result<Option<Version>, Fault> {
    let (text, lenient) = match args {
        [Value::String(text)] => (text, false),
        [Value::String(text), Value::Bool(lenient)] => (text, *lenient),
        _ => return Err(Fault::Overload),
    };
    budget.bytes(2 * text.len())?;
    Ok(if lenient { Version::parse(&normalize(text)).ok() } else { Version::parse(text).ok() })
}

/// Without "v" and leading zeros, and with three numbers.
fn normalize(text: &str) -> String {
    let text = text.strip_prefix('v').unwrap_or(text);
    let (numbers, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let mut parts: Vec<&str> = numbers
        .splitn(3, '.')
        .map(|part| match part.trim_start_matches('0') {
            "" if !part.is_empty() => "0",
            part => part,
        })
        .collect();
    while parts.len() < 3 {
        parts.push("0");
    }
    format!("{}{rest}", parts.join("."))
}

fn number(args: &[Value], of: fn(&Version) -> u64) -> Outcome {
    match args {
        [Value::Semver(version)] => match i64::try_from(of(version)) {
            Ok(number) => Ok(Value::Int(number)),
            Err(_) => failed("a number of the version overflows"),
        },
        _ => Err(Fault::Overload),
    }
}

fn compare(args: &[Value]) -> Result<std::cmp::Ordering, Fault> {
    match args {
        [Value::Semver(one), Value::Semver(other)] => Ok(one.cmp_precedence(other)),
        _ => Err(Fault::Overload),
    }
}
