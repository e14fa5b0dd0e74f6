//! `semver.compare` and `semver.is_valid`: semantic versions as OPA reads them, with a `v` before them if need be.

use std::cmp::Ordering;

use super::{Fault, Function, Outcome, function, value::Value, work::Work};

pub(super) const FUNCTIONS: &[Function] =
    &[function("semver.compare", 2, compare), function("semver.is_valid", 1, is_valid)];

fn compare(arguments: &[Value], work: &mut Work) -> Outcome {
    let [one, other] = arguments else { return Err(Fault::Undefined) };
    let (one, other) = (one.text()?, other.text()?);
    work.steps(2 * (one.len() + other.len()))?;
    let (Some(one), Some(other)) = (Version::parse(one), Version::parse(other)) else { return Err(Fault::Undefined) };
    Ok(Value::int(one.compare(&other) as i64))
}

fn is_valid(arguments: &[Value], work: &mut Work) -> Outcome {
    let [Value::String(text)] = arguments else { return Ok(Value::Bool(false)) };
    work.steps(2 * text.len())?;
    Ok(Value::Bool(Version::parse(text).is_some()))
}

struct Version<'a> {
    numbers: [i64; 3],
    /// Empty: none.
    pre_release: &'a str,
}

impl<'a> Version<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, metadata) = cut(text, '+');
        let (text, pre_release) = cut(text, '-');
        let named = |it: &&str| {
            it.split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-'))
        };
        let without_leading_zero = |it: &str| it.len() < 2 || !it.starts_with('0') || !is_number(it);
        if metadata.is_some_and(|it| !named(&it))
            || pre_release.is_some_and(|it| !named(&it) || !it.split('.').all(without_leading_zero))
        {
            return None;
        }
        let mut parts = text.split('.');
        let mut number = || parts.next().filter(|it| is_number(it) && without_leading_zero(it))?.parse().ok();
        let numbers = [number()?, number()?, number()?];
        parts.next().is_none().then_some(Self { numbers, pre_release: pre_release.unwrap_or("") })
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (self.pre_release, other.pre_release) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (one, other) => one.split('.').map(Identifier::of).cmp(other.split('.').map(Identifier::of)),
        })
    }
}

/// Of a pre-release; numbers come before words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    /// One that does not fit is the greatest that does, as Go reads it.
    Number(i64),
    Word(&'a str),
}

impl<'a> Identifier<'a> {
    fn of(text: &'a str) -> Self {
        if is_number(text) { Self::Number(text.parse().unwrap_or(i64::MAX)) } else { Self::Word(text) }
    }
}

fn cut(text: &str, sign: char) -> (&str, Option<&str>) {
    text.split_once(sign).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit())
}
