//! The checked expression: names are resolved to slots and functions, macros to loops, patterns are compiled.

use super::{
    cost::Cost,
    functions::Call,
    value::{Key, Value},
};

pub(super) enum Expr {
    Literal(Value),
    /// The slot of a loop's variable, counted from the outermost.
    Local(usize, Base),
    Root(Root, Base),
    /// `.field` and, optional, `.?field`.
    Select {
        operand: Box<Expr>,
        field: Key,
        optional: bool,
        base: Base,
    },
    /// `[index]` and, optional, `[?index]`.
    Index {
        operand: Box<Expr>,
        index: Box<Expr>,
        optional: bool,
        base: Base,
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
        cost: Cost,
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

/// Kubernetes charges 1 for a variable with all its fields and indexes together, beside 1 for each of those; but not
/// where it is the branch of a condition, the index of another or the argument of `has`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    Charged,
    Free,
}

#[derive(Clone, Copy)]
pub(super) enum Root {
    Request,
    Object,
    OldObject,
    /// `namespaceObject`, which webhooks never get.
    Null,
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
    /// What the sorting costs, of a list of the keys.
    SortBy(Cost),
}

impl Expr {
    /// Whether it is a variable with or without fields, or a condition: fields behind it extend it.
    pub(super) fn is_attribute(&self) -> bool {
        matches!(
            self,
            Self::Local(..)
                | Self::Root(..)
                | Self::Select { .. }
                | Self::Index { .. }
                | Self::Has { .. }
                | Self::If(_)
        )
    }
}
