//! The functions that expressions may call: one table per library. A row has the signatures, as Kubernetes declares
//! them, and the code behind all of them.
//!
//! `list(A).slice(int, int) -> list(A)` is called on a list; `sets.contains(list(A), list(A)) -> bool` is not: what is
//! before the last dot is no type. Code answers `Fault::Overload` if the types of its arguments are not its own: rows
//! share names. It charges the budget for what it reads and builds before it does so.

use std::{collections::HashMap, sync::LazyLock};

use super::{
    budget::{Budget, Fault, Outcome},
    types::{Type, split},
    value::Value,
};

pub(super) mod convert;
pub(super) mod format;
pub(super) mod lists;
pub(super) mod net;
pub(super) mod operators;
pub(super) mod optional;
pub(super) mod print;
pub(super) mod quantity;
pub(super) mod regex;
pub(super) mod semver;
pub(super) mod sets;
pub(super) mod strings;
pub(super) mod time;
pub(super) mod url;

pub(super) type Call = fn(&[Value], &mut Budget) -> Outcome;

/// A row of a library's table.
pub(super) struct Function {
    signatures: &'static [&'static str],
    call: Call,
}

/// One signature of a function.
pub(super) struct Overload {
    pub(super) name: &'static str,
    /// Whether it is called on a target.
    pub(super) member: bool,
    /// With the target, if it is called on one.
    pub(super) arguments: Vec<Type>,
    pub(super) result: Type,
    pub(super) call: Call,
}

/// Those of this name that are called on a target, or those that are not, in the order of the tables; empty: none.
pub(super) fn overloads(name: &str, member: bool) -> &'static [Overload] {
    let [global, members] = &*TABLE;
    (if member { members } else { global }).get(name).map_or(&[], |overloads| overloads)
}

/// For what the interpreter does itself, because it does not evaluate all arguments, or not as a call.
const fn special(signatures: &'static [&'static str]) -> Function {
    Function { signatures, call: |_, _| Err(Fault::Overload) }
}

const fn function(signatures: &'static [&'static str], call: Call) -> Function {
    Function { signatures, call }
}

/// By name: those that are not called on a target, and those that are.
type Table = [HashMap<&'static str, Vec<Overload>>; 2];

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table::default();
    for Function { signatures, call } in LIBRARIES.iter().copied().flatten() {
        for signature in *signatures {
            // A test reads all of them: a slip of the pen shows there.
            if let Some(overload) = parse(signature, *call) {
                table[usize::from(overload.member)].entry(overload.name).or_default().push(overload);
            }
        }
    }
    table
});

/// None: it cannot be read.
fn parse(signature: &'static str, call: Call) -> Option<Overload> {
    let (head, result) = signature.split_once(" -> ")?;
    let head = head.strip_suffix(')')?;
    let mut depth = 0_usize;
    let open = head.char_indices().rev().find(|(_, letter)| {
        match letter {
            ')' => depth += 1,
            '(' if depth == 0 => return true,
            '(' => depth -= 1,
            _ => {}
        }
        false
    })?;
    let (name, list) = (&head[..open.0], &head[open.0 + 1..]);
    let (target, name) = match name.rsplit_once('.').map(|(target, name)| (Type::parse(target), name)) {
        Some((Some(target), name)) => (Some(target), name),
        _ => (None, name),
    };
    let member = target.is_some();
    let arguments = target.map(Some).into_iter().chain(split(list).into_iter().map(Type::parse));
    let arguments = arguments.collect::<Option<_>>()?;
    Some(Overload { name, member, arguments, result: Type::parse(result)?, call })
}

const LIBRARIES: [&[Function]; 14] = [
    operators::FUNCTIONS,
    convert::FUNCTIONS,
    strings::FUNCTIONS,
    print::FUNCTIONS,
    lists::FUNCTIONS,
    sets::FUNCTIONS,
    regex::FUNCTIONS,
    time::FUNCTIONS,
    optional::FUNCTIONS,
    net::FUNCTIONS,
    url::FUNCTIONS,
    quantity::FUNCTIONS,
    semver::FUNCTIONS,
    format::FUNCTIONS,
];

#[cfg(test)]
mod tests {
    use super::{super::budget::failed, *};

    #[test]
    fn every_signature_can_be_read() {
        for signature in LIBRARIES.iter().copied().flatten().flat_map(|function| function.signatures) {
            let overload = parse(signature, |_, _| failed("only its signature is read")).expect(signature);
            let arguments: Vec<String> = overload.arguments.iter().map(ToString::to_string).collect();
            let (target, arguments) = arguments.split_at(usize::from(overload.member));
            let dot = if overload.member { "." } else { "" };
            let printed =
                format!("{}{dot}{}({}) -> {}", target.concat(), overload.name, arguments.join(", "), overload.result);
            assert_eq!(printed, *signature);
        }
    }
}
