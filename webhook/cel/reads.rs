//! Which parts of an object an expression reads, told before it runs, so that nothing else of its text is read.
//!
//! What a value is used for decides: a field, an element or a key leads to a part of it; whatever else looks into a value
//! reads the whole of it. An expression sees no difference between an object and what was read of it.

use std::collections::BTreeMap;

use super::{
    expr::{Expr, Fold, Loop, Root},
    value::{Key, Value},
};

/// A part of a document, and which of what is below it is read. That there is a value, its type, and scalars are always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Everything.
    pub(super) whole: bool,
    /// All keys of a map, the length of a list.
    pub(super) keys: bool,
    /// Fields of a map.
    pub(super) fields: BTreeMap<Box<str>, Part>,
    /// The elements of a list.
    pub(super) items: Option<Box<Part>>,
    /// The values of a map under any key.
    pub(super) values: Option<Box<Part>>,
}

/// What expressions read of a review. None: nothing at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Of `request`, which is read whole or not at all.
    pub request: bool,
    /// Of `object`.
    pub object: Option<Part>,
    /// Of `oldObject`.
    pub old_object: Option<Part>,
}

impl Reads {
    /// Adds what another expression reads.
    pub fn merge(&mut self, other: &Self) {
        self.request |= other.request;
        for (own, its) in [(&mut self.object, &other.object), (&mut self.old_object, &other.old_object)] {
            if let Some(its) = its {
                own.get_or_insert_default().merge(its);
            }
        }
    }
}

impl Part {
    /// Adds the value at a path of fields, if it is a scalar; its type, if it is not.
    pub fn add(&mut self, path: &[&str]) {
        path.iter().fold(self, |part, name| part.fields.entry((*name).into()).or_default());
    }

    fn merge(&mut self, other: &Self) {
        self.whole |= other.whole;
        self.keys |= other.keys;
        for (name, its) in &other.fields {
            self.fields.entry(name.clone()).or_default().merge(its);
        }
        for (own, its) in [(&mut self.items, &other.items), (&mut self.values, &other.values)] {
            if let Some(its) = its {
                own.get_or_insert_default().merge(its);
            }
        }
    }
}

/// What `expr` reads.
pub(super) fn of(expr: &Expr) -> Reads {
    let mut walk = Walk::default();
    walk.expr(expr);
    let part = |root: Option<usize>| {
        let all = || Part { whole: true, ..Part::default() };
        root.map(|root| if walk.nodes.len() > MAX_NODES { all() } else { walk.part(root) })
    };
    Reads { request: walk.request, object: part(walk.object), old_object: part(walk.old_object) }
}

#[derive(Default)]
struct Walk {
    nodes: Vec<Node>,
    request: bool,
    object: Option<usize>,
    old_object: Option<usize>,
    /// The variables of the loops around, by slot.
    locals: Vec<Origin>,
}

/// A [`Part`] in the making.
#[derive(Default)]
struct Node {
    whole: bool,
    keys: bool,
    fields: BTreeMap<Box<str>, usize>,
    items: Option<usize>,
    values: Option<usize>,
}

/// Where a value may come from. Nothing: it is new, or of the request.
#[derive(Clone, Default)]
struct Origin {
    nodes: Vec<usize>,
    /// The elements of a list or map that the expression makes.
    inside: Option<Box<Origin>>,
}

impl Walk {
    fn part(&self, node: usize) -> Part {
        let Some(node) = self.nodes.get(node) else { return Part::default() };
        let below = |node: Option<usize>| node.map(|it| Box::new(self.part(it)));
        Part {
            whole: node.whole,
            keys: node.keys,
            fields: node.fields.iter().map(|(name, it)| (name.clone(), self.part(*it))).collect(),
            items: below(node.items),
            values: below(node.values),
        }
    }

    fn expr(&mut self, expr: &Expr) -> Origin {
        match expr {
            Expr::Literal(_) => Origin::default(),
            Expr::Local(slot, _) => self.locals.get(*slot).cloned().unwrap_or_default(),
            Expr::Root(root, _) => self.root(*root),
            Expr::Select { operand, field, .. } | Expr::Has { operand, field } => {
                let operand = self.expr(operand);
                self.at(&operand, Some(field))
            }
            Expr::Index { operand, index, .. } => {
                let (operand, key) = (self.expr(operand), self.expr(index));
                self.whole(&key);
                self.at(&operand, constant(index).and_then(Key::of).as_ref())
            }
            Expr::And(terms) | Expr::Or(terms) => {
                for term in terms {
                    self.expr(term);
                }
                Origin::default()
            }
            Expr::If(parts) => {
                let [condition, yes, no] = &**parts;
                self.expr(condition);
                self.expr(yes).or(self.expr(no))
            }
            Expr::List(elements) => {
                let inside = elements.iter().fold(Origin::default(), |all, it| all.or(self.expr(&it.value)));
                inside.within()
            }
            Expr::Map(entries) => {
                let mut inside = Origin::default();
                for entry in entries {
                    let key = self.expr(&entry.key);
                    self.whole(&key);
                    inside = inside.or(self.expr(&entry.value));
                }
                inside.within()
            }
            Expr::Call { name, arguments, .. } => self.call(name, arguments),
            Expr::Loop(comprehension) => self.comprehension(comprehension),
            Expr::OrElse { target, alternative, .. } => self.expr(target).or(self.expr(alternative)),
            Expr::MapOptional { target, body, .. } => {
                let target = self.expr(target);
                self.with(vec![target], |walk| walk.expr(body))
            }
        }
    }

    fn root(&mut self, root: Root) -> Origin {
        let known = match root {
            Root::Request => {
                self.request = true;
                return Origin::default();
            }
            Root::Null => return Origin::default(),
            Root::Object => self.object,
            Root::OldObject => self.old_object,
        };
        let node = known.unwrap_or_else(|| self.node());
        match root {
            Root::Request | Root::Null => {}
            Root::Object => self.object = Some(node),
            Root::OldObject => self.old_object = Some(node),
        }
        Origin { nodes: vec![node], inside: None }
    }

    fn call(&mut self, name: &str, arguments: &[Expr]) -> Origin {
        let origins: Vec<Origin> = arguments.iter().map(|it| self.expr(it)).collect();
        match (name, &origins[..], arguments) {
            // A scalar equals no map and no list, whatever is in them; what it costs goes by their size.
            ("_==_" | "_!=_", [left, right], [one, other]) if is_scalar(one) || is_scalar(other) => {
                self.keys(left);
                self.keys(right);
                Origin::default()
            }
            ("@in", [wanted, range], [argument, _]) => {
                self.whole(wanted);
                match constant(argument).and_then(Key::of) {
                    Some(key @ Key::String(_)) => {
                        self.at(range, Some(&key));
                    }
                    _ => self.keys(range),
                }
                let items = self.items(range);
                self.whole(&items);
                Origin::default()
            }
            ("size", [argument], _) => {
                self.keys(argument);
                Origin::default()
            }
            ("_+_", [one, other], _) => {
                self.keys(one);
                self.keys(other);
                one.clone().or(other.clone())
            }
            ("!_" | "type" | "hasValue", [_], _) => Origin::default(),
            ("dyn" | "optional.of" | "value", [argument], _) => argument.clone(),
            ("optional.ofNonZeroValue", [argument], _) => {
                self.keys(argument);
                argument.clone()
            }
            _ => {
                for origin in &origins {
                    self.whole(origin);
                }
                Origin::default()
            }
        }
    }

    fn comprehension(&mut self, it: &Loop) -> Origin {
        let range = self.expr(&it.range);
        self.keys(&range);
        let variables = if it.two_variables {
            vec![Origin::default(), self.at(&range, None)]
        } else {
            // Of a map the keys.
            vec![self.items(&range)]
        };
        let element = variables.last().cloned().unwrap_or_default();
        let body = self.with(variables, |walk| {
            if let Some(filter) = &it.filter {
                walk.expr(filter);
            }
            walk.expr(&it.body)
        });
        match it.fold {
            Fold::All | Fold::Exists | Fold::ExistsOne => Origin::default(),
            Fold::Filter => element.within(),
            Fold::Collect | Fold::TransformMap => body.within(),
            Fold::TransformMapEntry => self.at(&body, None).within(),
            Fold::SortBy(_) => {
                self.whole(&body);
                element.within()
            }
        }
    }

    fn with(&mut self, variables: Vec<Origin>, work: impl FnOnce(&mut Self) -> Origin) -> Origin {
        let outside = self.locals.len();
        self.locals.extend(variables);
        let origin = work(self);
        self.locals.truncate(outside);
        origin
    }

    /// The value at `key`; None: any.
    fn at(&mut self, origin: &Origin, key: Option<&Key>) -> Origin {
        let mut found = origin.inside.as_deref().cloned().unwrap_or_default();
        for node in origin.nodes.iter().copied() {
            if !matches!(key, Some(Key::String(_))) {
                found.nodes.extend(self.below(node, |it| &mut it.items));
            }
            match key {
                Some(Key::String(name)) => {
                    let known = self.nodes.get(node).and_then(|it| it.fields.get(&**name).copied());
                    let child = known.or_else(|| {
                        let child = self.node();
                        self.nodes.get_mut(node)?.fields.insert((&**name).into(), child);
                        Some(child)
                    });
                    found.nodes.extend(child);
                }
                Some(_) => {}
                None => found.nodes.extend(self.below(node, |it| &mut it.values)),
            }
        }
        found.once()
    }

    /// The elements, if it is a list.
    fn items(&mut self, origin: &Origin) -> Origin {
        let mut found = origin.inside.as_deref().cloned().unwrap_or_default();
        for node in origin.nodes.iter().copied() {
            found.nodes.extend(self.below(node, |it| &mut it.items));
        }
        found.once()
    }

    fn below(&mut self, node: usize, of: fn(&mut Node) -> &mut Option<usize>) -> Option<usize> {
        if let Some(known) = *of(self.nodes.get_mut(node)?) {
            return Some(known);
        }
        let child = self.node();
        *of(self.nodes.get_mut(node)?) = Some(child);
        Some(child)
    }

    fn keys(&mut self, origin: &Origin) {
        for node in &origin.nodes {
            if let Some(node) = self.nodes.get_mut(*node) {
                node.keys = true;
            }
        }
    }

    fn whole(&mut self, origin: &Origin) {
        for node in &origin.nodes {
            if let Some(node) = self.nodes.get_mut(*node) {
                node.whole = true;
            }
        }
        if let Some(inside) = &origin.inside {
            self.whole(inside);
        }
    }

    /// Beyond the most, all share the last one: then everything is read anyway.
    fn node(&mut self) -> usize {
        if self.nodes.len() <= MAX_NODES {
            self.nodes.push(Node::default());
        }
        self.nodes.len() - 1
    }
}

impl Origin {
    fn or(mut self, other: Self) -> Self {
        self.nodes.extend(other.nodes);
        self.inside = match (self.inside, other.inside) {
            (Some(one), Some(other)) => Some(Box::new(one.or(*other))),
            (one, other) => one.or(other),
        };
        self.once()
    }

    /// Of a list or map with such elements.
    fn within(self) -> Self {
        Self { nodes: Vec::new(), inside: Some(Box::new(self)) }
    }

    fn once(mut self) -> Self {
        self.nodes.sort_unstable();
        self.nodes.dedup();
        self
    }
}

fn constant(expr: &Expr) -> Option<&Value> {
    match expr {
        Expr::Literal(value) => Some(value),
        _ => None,
    }
}

fn is_scalar(expr: &Expr) -> bool {
    constant(expr).is_some_and(|it| {
        matches!(
            it,
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::String(_)
        )
    })
}

/// Expressions that people write have some ten.
const MAX_NODES: usize = 1_000;
