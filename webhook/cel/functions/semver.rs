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
    Ok(if lenient { normalize(text).and_then(|text| strict(&text)) } else { strict(text) })
}

/// Without "v" and leading zeros, and with three numbers. None: numbers are missing before a dash or plus sign.
fn normalize(text: &str) -> Option<String> {
    let mut parts: Vec<String> = text
        .strip_prefix('v')
        .unwrap_or(text)
        .splitn(3, '.')
        .map(|part| match part.trim_start_matches('0') {
            short if part.len() > 1 && !short.starts_with(|digit: char| digit.is_ascii_digit()) => format!("0{short}"),
            short if part.len() > 1 => short.to_owned(),
            _ => part.to_owned(),
        })
        .collect();
    if parts.len() < 3 && parts.last().is_some_and(|part| part.contains(['+', '-'])) {
        return None;
    }
    parts.resize(3, "0".to_owned());
    Some(parts.join("."))
}

/// Numbers of the pre-release fit 64 bits, as in Go's library.
fn strict(text: &str) -> Option<Version> {
    let version = Version::parse(text).ok()?;
    let fits = |part: &str| !part.bytes().all(|byte| byte.is_ascii_digit()) || part.parse::<u64>().is_ok();
    (version.pre.is_empty() || version.pre.split('.').all(fits)).then_some(version)
}

fn number(args: &[Value], of: fn(&Version) -> u64) -> Outcome {
    match args {
        // Kubernetes converts without looking: what is beyond an int64 is negative.
        [Value::Semver(version)] => Ok(Value::Int(of(version).cast_signed())),
        _ => Err(Fault::Overload),
    }
}

fn compare(args: &[Value]) -> Result<std::cmp::Ordering, Fault> {
    match args {
        [Value::Semver(one), Value::Semver(other)] => Ok(one.cmp_precedence(other)),
        _ => Err(Fault::Overload),
    }
}
