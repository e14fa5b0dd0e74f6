//! Semantic versions. Build metadata plays no part in comparisons.

use std::sync::Arc;

use semver::Version;

use super::{Function, global, member};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::{Kind, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    global("semver", 1, Some(Kind::Semver), version),
    global("semver", 2, Some(Kind::Semver), version),
    global("isSemver", 1, Some(Kind::Bool), |args, budget| Ok(Value::Bool(parse(args, budget)?.is_some()))),
    global("isSemver", 2, Some(Kind::Bool), |args, budget| Ok(Value::Bool(parse(args, budget)?.is_some()))),
    member("major", 1, Some(Kind::Int), |args, _| number(args, |version| version.major)),
    member("minor", 1, Some(Kind::Int), |args, _| number(args, |version| version.minor)),
    member("patch", 1, Some(Kind::Int), |args, _| number(args, |version| version.patch)),
    member("compareTo", 2, Some(Kind::Int), |args, _| Ok(Value::Int(compare(args)? as i64))),
    member("isLessThan", 2, Some(Kind::Bool), |args, _| Ok(Value::Bool(compare(args)?.is_lt()))),
    member("isGreaterThan", 2, Some(Kind::Bool), |args, _| Ok(Value::Bool(compare(args)?.is_gt()))),
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
