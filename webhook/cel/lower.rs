//! From the syntax tree to the checked expression, in one pass that does what cel-go's checker and planner do: every name
//! is resolved, every type compared, or the expression is refused with its position.
//!
//! Macros are resolved here, not expanded, so that they cannot multiply the tree.

use super::{
    Subject,
    expr::{Base, Expr},
    parser::{self, Mistake, Node, Syntax, dotted},
    reads::{self, Reads},
    types::Type,
    unify::Unifier,
    value::{Key, Kind, Value},
};

mod calls;
mod literals;
mod macros;
pub(super) mod schema;
mod template;

/// A checked expression.
pub(super) struct Lowered {
    pub(super) root: Expr,
    /// Levels that running it recurses.
    pub(super) depth: usize,
    pub(super) subject: Subject,
    pub(super) reads: Reads,
}

/// The result must be a boolean.
pub(super) fn compile_condition(expression: &str, subject: Subject) -> Result<Lowered, String> {
    let (lowered, typ) = check(expression, subject)?;
    match typ {
        Type::Plain(Kind::Bool) => Ok(lowered),
        typ => Err(format!("the result is of type {typ}, not bool")),
    }
}

/// The result may be of any type.
pub(super) fn compile(expression: &str, subject: Subject) -> Result<Lowered, String> {
    check(expression, subject).map(|(lowered, _)| lowered)
}

fn check(expression: &str, subject: Subject) -> Result<(Lowered, Type), String> {
    lower(expression, subject).map_err(|mistake| mistake.told(expression))
}

fn lower(expression: &str, subject: Subject) -> Result<(Lowered, Type), Mistake> {
    let tree = parser::parse(expression)?;
    let mut lowering = Lowering {
        subject,
        scope: Vec::new(),
        types: Unifier::default(),
        uniform: Vec::new(),
        templates: Vec::new(),
        exempt: 0,
        level: 0,
        deepest: 0,
    };
    let (root, typ) = lowering.lower(&tree, Base::Charged)?;
    lowering.check_uniform()?;
    lowering.check_templates()?;
    let typ = lowering.types.settle(&typ);
    let reads = reads::of(&root);
    let lowered = Lowered { root, depth: lowering.deepest, subject, reads };
    Ok((lowered, typ))
}

struct Lowering {
    subject: Subject,
    /// Variables of the loops around with their types, outermost first: a variable's index is its slot.
    scope: Vec<(String, Type)>,
    types: Unifier,
    /// What must be of one type in the end.
    uniform: Vec<Vec<Part>>,
    /// Of calls of `format`.
    templates: Vec<Template>,
    /// How many calls of `format` are around: their lists may be mixed.
    exempt: usize,
    level: usize,
    deepest: usize,
}

/// An element, a key or a value: where it is and of what type.
#[derive(Clone)]
struct Part {
    at: usize,
    typ: Type,
}

/// A constant template of `format`, and where its values are.
struct Template {
    text: String,
    at: usize,
    values: Vec<Part>,
}

type Typed = Result<(Expr, Type), Mistake>;

impl Lowering {
    /// `base`: whether the variable that it begins with is charged.
    fn lower(&mut self, node: &Node, base: Base) -> Typed {
        self.level += 1;
        self.deepest = self.deepest.max(self.level);
        let lowered = match &node.syntax {
            Syntax::Literal(value) => Ok((Expr::Literal(value.clone()), Type::of(value))),
            Syntax::Identifier(name) => self.identifier(node, name, base),
            Syntax::Select { operand, field } => self.select(node, operand, field, base),
            Syntax::List(elements) => self.list(elements),
            Syntax::Map(entries) => self.map(entries),
            Syntax::Call { name, target, arguments } => self.call(node, name, target.as_deref(), arguments, base),
        };
        self.level -= 1;
        lowered
    }

    fn identifier(&mut self, node: &Node, name: &str, base: Base) -> Typed {
        if let Some(slot) = self.scope.iter().rposition(|(variable, _)| variable == name) {
            return Ok((Expr::Local(slot, base), self.scope[slot].1.clone()));
        }
        let name = name.trim_start_matches('.');
        if let Some((typ, root)) = schema::variable(self.subject, name) {
            return Ok((Expr::Root(root, base), typ));
        }
        match named_type(name) {
            Some(kind) => Ok(type_literal(kind)),
            None => Err(Mistake::new(node.at, undeclared(name))),
        }
    }

    fn select(&mut self, node: &Node, operand: &Node, field: &str, base: Base) -> Typed {
        if let Some(name) = self.qualified_name(node)
            && let Some(kind) = named_type(&name)
        {
            return Ok(type_literal(kind));
        }
        let (operand, typ) = self.lower(operand, base)?;
        let typ = self.field(node.at, &typ, field, false)?;
        let base = extended(&operand, base);
        Ok((Expr::Select { operand: Box::new(operand), field: key(field), optional: false, base }, typ))
    }

    /// The type of a field of `operand`.
    fn field(&mut self, at: usize, operand: &Type, field: &str, optional: bool) -> Result<Type, Mistake> {
        let operand = self.types.resolve(operand);
        let (operand, was_optional) = match operand {
            Type::Optional(inner) => (Type::clone(&inner), true),
            other => (other, false),
        };
        let typ = match &operand {
            Type::Map(_, value) => Type::clone(value),
            Type::Object(object) => object.field(field).ok_or_else(|| {
                let fields: Vec<&str> = object.fields.iter().map(|field| field.0).collect();
                let words = format!("undefined field {field:?}: {} has {}", object.name, fields.join(", "));
                Mistake::new(at, words)
            })?,
            Type::Dyn => Type::Dyn,
            Type::Unknown(_) => {
                self.types.fit([(&Type::Dyn, &operand)]);
                Type::Dyn
            }
            other => return Err(Mistake::new(at, format!("type {other} does not support field selection"))),
        };
        Ok(if optional || was_optional { Type::optional(typ) } else { typ })
    }

    fn assert(&mut self, at: usize, wanted: &Type, found: &Type) -> Result<(), Mistake> {
        if self.types.fit([(found, wanted)]) {
            return Ok(());
        }
        Err(mismatch(at, wanted, &self.types.settle(found)))
    }

    /// `a.b.c` where `a` is no variable of a loop.
    fn qualified_name(&self, node: &Node) -> Option<String> {
        let name = dotted(node)?;
        let first = name.split('.').next().unwrap_or_default();
        if self.scope.iter().any(|(variable, _)| variable == first) {
            return None;
        }
        Some(name.trim_start_matches('.').to_owned())
    }
}

/// Fields and indexes charge for the variable that they extend; what they do not extend begins a new one.
fn extended(operand: &Expr, base: Base) -> Base {
    if operand.is_attribute() { Base::Free } else { base }
}

fn key(field: &str) -> Key {
    Key::String(field.into())
}

fn named_type(name: &str) -> Option<Kind> {
    // Kubernetes registers no names for the types of its own libraries but those of networks.
    Kind::named(name).filter(|_| !name.starts_with("kubernetes."))
}

fn type_literal(kind: Kind) -> (Expr, Type) {
    let typ = match kind {
        Kind::List => Type::list(Type::Dyn),
        Kind::Map => Type::map(Type::Dyn, Type::Dyn),
        Kind::Optional => Type::optional(Type::Dyn),
        Kind::Type => Type::Meta(Type::Dyn.into()),
        kind => Type::Plain(kind),
    };
    (Expr::Literal(Value::Type(kind)), Type::Meta(typ.into()))
}

fn mismatch(at: usize, wanted: &Type, found: &Type) -> Mistake {
    Mistake::new(at, format!("expected type {wanted} but found {found}"))
}

fn undeclared(name: &str) -> String {
    match name {
        "object" | "oldObject" | "namespaceObject" => format!("{name} is not available here: only request is"),
        "authorizer" | "params" => format!("{name} needs a cluster, which match conditions here do not have"),
        "cel" => "cel.bind is not available in Kubernetes' match conditions".to_owned(),
        "jsonpatch" => "jsonpatch.escapeKey is for mutation only, it is not available here".to_owned(),
        "variables" => "variables are not available in match conditions".to_owned(),
        _ => format!("undeclared reference to {name:?}"),
    }
}
