//! When two spellings are the same number. Many languages know only doubles and respell what they never touched.

use std::borrow::Cow;

use super::{PatchError, Work, node::Node};

/// Puts the spelling of `old` back wherever `new` has the same number in the same place. Items of arrays that became
/// longer or shorter keep their place as seen from the end if they are the same from there.
///
/// Every value is looked at a few times, whatever the depth: items are compared only where an array became longer or
/// shorter, and what such a comparison finds equal, or comes to inside, has no such array above where it ends.
pub(super) fn restore<'t>(old: &Node<'t>, new: &mut Node<'t>, work: &mut Work) -> Result<(), PatchError> {
    work.pay(1)?;
    match (old, new) {
        (Node::Array(old), Node::Array(new)) => {
            let tail = if old.len() == new.len() { 0 } else { common_ends(old, new, same_value, work)?.1 };
            let (old_end, new_end) = (old.len() - tail, new.len() - tail);
            for (old, new) in old[old_end..].iter().zip(&mut new[new_end..]) {
                restore(old, new, work)?;
            }
            for (old, new) in old[..old_end].iter().zip(&mut new[..new_end]) {
                restore(old, new, work)?;
            }
        }
        (Node::Object(old), Node::Object(new)) => {
            for (key, new) in new.iter_mut() {
                if let Some(old) = old.get(key) {
                    restore(old, new, work)?;
                }
            }
        }
        (old, new) if *old != *new && same_value(old, new) => *new = old.clone(),
        _ => {}
    }
    Ok(())
}

/// Equal but for the spelling of numbers.
pub(super) fn equal(old: &Node<'_>, new: &Node<'_>, work: &mut Work) -> Result<bool, PatchError> {
    compare(old, new, same_value, work)
}

/// Equal in every way.
pub(super) fn identical(old: &Node<'_>, new: &Node<'_>, work: &mut Work) -> Result<bool, PatchError> {
    compare(old, new, |old, new| old == new, work)
}

/// Whether two values that are neither arrays nor objects are the same.
type SameLeaf = fn(&Node<'_>, &Node<'_>) -> bool;

fn compare(old: &Node<'_>, new: &Node<'_>, same: SameLeaf, work: &mut Work) -> Result<bool, PatchError> {
    work.pay(1)?;
    match (old, new) {
        (Node::Array(old), Node::Array(new)) => {
            if old.len() != new.len() {
                return Ok(false);
            }
            for (old, new) in old.iter().zip(new) {
                if !compare(old, new, same, work)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Node::Object(old), Node::Object(new)) => {
            if old.len() != new.len() {
                return Ok(false);
            }
            // Both are in the order of their keys.
            for ((key, old), (its, new)) in old.iter().zip(new.iter()) {
                if key != its || !compare(old, new, same, work)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(same(old, new)),
    }
}

/// How many items two arrays share at their beginning, and then at their end.
pub(super) fn common_ends(
    old: &[Node<'_>],
    new: &[Node<'_>],
    same: SameLeaf,
    work: &mut Work,
) -> Result<(usize, usize), PatchError> {
    let mut head = 0;
    while head < old.len().min(new.len()) && compare(&old[head], &new[head], same, work)? {
        head += 1;
    }
    let (old, new) = (&old[head..], &new[head..]);
    let mut tail = 0;
    while tail < old.len().min(new.len())
        && compare(&old[old.len() - 1 - tail], &new[new.len() - 1 - tail], same, work)?
    {
        tail += 1;
    }
    Ok((head, tail))
}

/// Two integers of 64 bits are compared as such. Any other number is the same if it is the same double, and if `new` is
/// spelt with no more digits than a double has: more can only come from somebody who knew them.
pub(super) fn same_value(old: &Node<'_>, new: &Node<'_>) -> bool {
    if let (Node::Integer(old), Node::Integer(new)) = (old, new) {
        return old == new;
    }
    let (Some(old), Some(new)) = (spelling(old), spelling(new)) else { return old == new };
    if old == new {
        return true;
    }
    if let (Some(old), Some(new)) = (integer(&old), integer(&new)) {
        return old == new;
    }
    match (old.parse::<f64>(), new.parse::<f64>()) {
        (Ok(value), Ok(other)) if value.is_finite() && value == other => {
            significant_digits(&new) <= DOUBLE_DIGITS || *new == format!("{value:.0}")
        }
        _ => false,
    }
}

fn spelling<'n>(node: &'n Node<'_>) -> Option<Cow<'n, str>> {
    match node {
        Node::Integer(number) => Some(Cow::Owned(number.to_string())),
        Node::Number(number) => Some(Cow::Borrowed(number)),
        _ => None,
    }
}

/// An integer that fits i64 or u64.
fn integer(text: &str) -> Option<i128> {
    let value = text.parse().ok()?;
    (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&value).then_some(value)
}

fn significant_digits(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_start_matches('0');
    // Zeros at the end only place the point.
    digits.trim_end_matches('0').len()
}

/// As many as tell any two doubles apart.
const DOUBLE_DIGITS: usize = 17;
