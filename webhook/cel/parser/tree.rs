//! The syntax tree, and what is wrong with a text that has none.

use crate::cel::value::Value;

/// A node and where it is: the offset in bytes of its operator, of the bracket of a call, of the dot of a field.
pub(in crate::cel) struct Node {
    pub(in crate::cel) at: usize,
    pub(in crate::cel) syntax: Syntax,
    /// How deep operators and calls nest below it, itself included.
    pub(super) depth: usize,
}

pub(in crate::cel) enum Syntax {
    Literal(Value),
    /// With its leading dot, if it has one.
    Identifier(String),
    Select {
        operand: Box<Node>,
        field: String,
    },
    /// Operators are named as in cel-go: `_+_`, `!_`, `_[_]`. `_&&_` and `_||_` have two arguments or more.
    Call {
        name: String,
        target: Option<Box<Node>>,
        arguments: Vec<Node>,
    },
    List(Vec<Element>),
    Map(Vec<Entry>),
}

pub(in crate::cel) struct Element {
    pub(in crate::cel) value: Node,
    pub(in crate::cel) optional: bool,
}

pub(in crate::cel) struct Entry {
    pub(in crate::cel) key: Node,
    pub(in crate::cel) value: Node,
    pub(in crate::cel) optional: bool,
}

/// What is wrong, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cel) struct Mistake {
    pub(in crate::cel) at: usize,
    pub(in crate::cel) words: String,
}

impl Mistake {
    pub(in crate::cel) fn new(at: usize, words: impl Into<String>) -> Self {
        Self { at, words: words.into() }
    }

    /// With its line and column in the text.
    pub(in crate::cel) fn told(&self, text: &str) -> String {
        let before = text.get(..self.at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}: {}", self.words)
    }
}

pub(super) fn leaf(at: usize, syntax: Syntax) -> Node {
    Node { at, depth: 0, syntax }
}

/// `a.b.c`, else None.
pub(in crate::cel) fn dotted(node: &Node) -> Option<String> {
    let mut parts = Vec::new();
    let mut node = node;
    loop {
        match &node.syntax {
            Syntax::Select { operand, field } => {
                parts.push(&**field);
                node = operand;
            }
            Syntax::Identifier(name) => {
                parts.push(name);
                parts.reverse();
                return Some(parts.join("."));
            }
            _ => return None,
        }
    }
}
