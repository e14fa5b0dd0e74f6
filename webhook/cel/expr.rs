//! The checked expression: names are resolved to slots and functions, macros to loops, patterns are compiled.

use super::{
    functions::Call,
    value::{Key, Kind, Value},
};

pub(super) enum Expr {
    Literal(Value),
    /// The slot of a loop's variable, counted from the outermost.
    Local(usize),
    Root(Root),
    Select {
        operand: Box<Expr>,
        field: Key,
    },
    Has {
        operand: Box<Expr>,
        field: Key,
    },
    And(Box<[Expr]>),
    Or(Box<[Expr]>),
    If(Box<[Expr; 3]>),
    List(Box<[Element]>),
    Map(Box<[Entry]>),
    Call {
        name: &'static str,
        /// The type of its result, if that is always the same.
        gives: Option<Kind>,
        overloads: Box<[Call]>,
        arguments: Box<[Expr]>,
    },
    Loop(Box<Loop>),
    /// `or` and, with `unwrap`, `orValue`: the alternative is only run if there is no value.
    OrElse {
        target: Box<Expr>,
        alternative: Box<Expr>,
        unwrap: bool,
    },
    /// `optMap` and, flat, `optFlatMap`.
    MapOptional {
        target: Box<Expr>,
        body: Box<Expr>,
        flat: bool,
    },
}

#[derive(Clone, Copy)]
pub(super) enum Root {
    Request,
    Object,
    OldObject,
}

pub(super) struct Element {
    pub(super) value: Expr,
    pub(super) optional: bool,
}

pub(super) struct Entry {
    pub(super) key: Expr,
    pub(super) value: Expr,
    pub(super) optional: bool,
}

/// A comprehension. Its variables take the next one or two slots.
pub(super) struct Loop {
    pub(super) fold: Fold,
    pub(super) range: Expr,
    pub(super) two_variables: bool,
    /// Elements for which it is false are skipped.
    pub(super) filter: Option<Expr>,
    pub(super) body: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    All,
    Exists,
    ExistsOne,
    Filter,
    /// `map` and `transformList`.
    Collect,
    /// The same keys, other values.
    TransformMap,
    /// The bodies are maps of new entries.
    TransformMapEntry,
    SortBy,
}
