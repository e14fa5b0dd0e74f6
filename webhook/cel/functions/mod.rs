//! The functions that expressions may call: one table per library, each entry one name, style and number of arguments.
//!
//! A function charges the budget for what it reads and writes before it does so. It answers `Fault::Overload` if the
//! types of its arguments are not its own: several libraries share names.

use super::{
    budget::{Budget, Outcome},
    value::{Kind, Value},
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

pub(super) struct Function {
    pub(super) name: &'static str,
    /// Called on a target, which is its first argument.
    pub(super) member: bool,
    /// With the target.
    pub(super) arity: usize,
    /// The type of its result, if that is always the same.
    pub(super) gives: Option<Kind>,
    pub(super) call: Call,
}

pub(super) fn all() -> impl Iterator<Item = &'static Function> {
    LIBRARIES.iter().copied().flatten()
}

const fn global(name: &'static str, arity: usize, gives: Option<Kind>, call: Call) -> Function {
    Function { name, member: false, arity, gives, call }
}

const fn member(name: &'static str, arity: usize, gives: Option<Kind>, call: Call) -> Function {
    Function { name, member: true, arity, gives, call }
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
