//! When two spellings are the same number. Many languages know only doubles and respell what they never touched.

use serde_json::{Number, Value};

/// Puts the spelling of `old` back wherever `new` has the same number in the same place. Items of arrays that became
/// longer or shorter keep their place as seen from the end if they are the same from there.
pub(super) fn restore(old: &Value, new: &mut Value) {
    match (old, new) {
        (Value::Number(old), Value::Number(new)) if same(old, new) => *new = old.clone(),
        (Value::Array(old), Value::Array(new)) => {
            let (_, tail) = common_ends(old, new, equal);
            let (old_end, new_end) = (old.len() - tail, new.len() - tail);
            for (old, new) in old[old_end..].iter().zip(&mut new[new_end..]) {
                restore(old, new);
            }
            for (old, new) in old[..old_end].iter().zip(&mut new[..new_end]) {
                restore(old, new);
            }
        }
        (Value::Object(old), Value::Object(new)) => {
            for (key, new) in new {
                if let Some(old) = old.get(key) {
                    restore(old, new);
                }
            }
        }
        _ => {}
    }
}

/// Equal but for the spelling of numbers.
pub(super) fn equal(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(old), Value::Number(new)) => same(old, new),
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| equal(old, new))
        }
        (Value::Object(old), Value::Object(new)) => {
            old.len() == new.len() && new.iter().all(|(key, new)| old.get(key).is_some_and(|old| equal(old, new)))
        }
        _ => old == new,
    }
}

/// How many items two arrays share at their beginning, and then at their end.
pub(super) fn common_ends(old: &[Value], new: &[Value], equal: fn(&Value, &Value) -> bool) -> (usize, usize) {
    let head = old.iter().zip(new).take_while(|(old, new)| equal(old, new)).count();
    let rest = old[head..].iter().rev().zip(new[head..].iter().rev());
    (head, rest.take_while(|(old, new)| equal(old, new)).count())
}

/// Two integers of 64 bits are compared as such. Anything else is the same if it is the same double, and if `new` is
/// spelt with no more digits than a double has: more can only come from somebody who knew them.
fn same(old: &Number, new: &Number) -> bool {
    let (old, new) = (old.as_str(), new.as_str());
    if old == new {
        return true;
    }
    if let (Some(old), Some(new)) = (integer(old), integer(new)) {
        return old == new;
    }
    match (old.parse::<f64>(), new.parse::<f64>()) {
        (Ok(value), Ok(other)) if value.is_finite() && value == other => {
            significant_digits(new) <= DOUBLE_DIGITS || new == format!("{value:.0}")
        }
        _ => false,
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
