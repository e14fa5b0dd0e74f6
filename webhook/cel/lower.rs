//! From the syntax tree to the checked expression, in one pass that does what cel-go's checker and planner do: every name
//! is resolved, every type compared, or the expression is refused with its position.
//!
//! Macros are resolved here, not expanded, so that they cannot multiply the tree.

use std::{
    ptr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Subject,
    budget::{Budget, Fault},
    cost::Cost,
    expr::{Base, Element, Entry, Expr},
    functions::{self, Call, Overload, regex::Pattern},
    parser::{self, Mistake, Node, Syntax, dotted},
    reads::{self, Reads},
    types::Type,
    unify::{Unifier, general},
    value::{Key, Kind, Map, Value},
};

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
    lower(expression, subject).map_err(|mistake| {
        let before = expression.get(..mistake.at).unwrap_or(expression);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {line}, column {column}: {}", mistake.words)
    })
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
    /// Types that must be the same in the end, and where each is.
    uniform: Vec<Vec<(usize, Type)>>,
    /// Constant templates of `format`, and where each value is and its type.
    templates: Vec<(String, usize, Vec<(usize, Type)>)>,
    /// How many calls of `format` are around: their lists may be mixed.
    exempt: usize,
    level: usize,
    deepest: usize,
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

    fn list(&mut self, elements: &[parser::Element]) -> Typed {
        self.elements(elements).map(|(list, typ, _)| (list, typ))
    }

    /// The list, its type, and where each element is and its type.
    fn elements(&mut self, elements: &[parser::Element]) -> Result<(Expr, Type, Vec<(usize, Type)>), Mistake> {
        let mut typ = None;
        let mut types = Vec::new();
        let mut lowered = Vec::with_capacity(elements.len());
        for parser::Element { value, optional } in elements {
            let (expr, element) = self.lower(value, Base::Charged)?;
            let element = if *optional { self.unwrap(value.at, &element)? } else { element };
            typ = Some(self.join(typ, &element));
            types.push((value.at, element));
            lowered.push(Element { value: expr, optional: *optional });
        }
        self.must_be_uniform(&types);
        let typ = typ.unwrap_or_else(|| self.types.unknown());
        Ok((fold_list(lowered), Type::list(typ), types))
    }

    fn map(&mut self, entries: &[parser::Entry]) -> Typed {
        let (mut key_type, mut value_type) = (None, None);
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let mut lowered = Vec::with_capacity(entries.len());
        for parser::Entry { key, value, optional } in entries {
            let (key_expr, typ) = self.lower(key, Base::Charged)?;
            key_type = Some(self.join(key_type, &typ));
            keys.push((key.at, typ));
            let (value_expr, typ) = self.lower(value, Base::Charged)?;
            let typ = if *optional { self.unwrap(value.at, &typ)? } else { typ };
            value_type = Some(self.join(value_type, &typ));
            values.push((value.at, typ));
            lowered.push(Entry { key: key_expr, value: value_expr, optional: *optional });
        }
        self.must_be_uniform(&keys);
        self.must_be_uniform(&values);
        let (key, value) = match (key_type, value_type) {
            (Some(key), Some(value)) => (key, value),
            _ => (self.types.unknown(), self.types.unknown()),
        };
        Ok((fold_map(lowered), Type::map(key, value)))
    }

    /// What the optional element holds.
    fn unwrap(&self, at: usize, typ: &Type) -> Result<Type, Mistake> {
        match self.types.resolve(typ) {
            Type::Optional(inner) => Ok(Type::clone(&inner)),
            Type::Dyn => Ok(Type::Dyn),
            other => Err(mismatch(at, &Type::optional(other.clone()), &other)),
        }
    }

    /// The common type of the elements so far and of one more; `dyn` where there is none, which only `format` allows.
    fn join(&mut self, before: Option<Type>, typ: &Type) -> Type {
        match before {
            None => typ.clone(),
            Some(before) if self.types.fit([(&before, typ)]) => general(&before, typ).clone(),
            Some(_) => Type::Dyn,
        }
    }

    fn must_be_uniform(&mut self, types: &[(usize, Type)]) {
        if self.exempt == 0 && types.len() > 1 {
            self.uniform.push(types.to_vec());
        }
    }

    fn check_uniform(&self) -> Result<(), Mistake> {
        for types in &self.uniform {
            let mut types = types.iter().map(|(at, typ)| (*at, self.types.settle(typ)));
            let Some((_, first)) = types.next() else { continue };
            if let Some((at, other)) = types.find(|(_, typ)| *typ != first) {
                return Err(mismatch(at, &first, &other));
            }
        }
        Ok(())
    }

    fn call(&mut self, node: &Node, name: &str, target: Option<&Node>, arguments: &[Node], base: Base) -> Typed {
        if let Some(lowered) = self.macro_call(node, name, target, arguments, base)? {
            return Ok(lowered);
        }
        let mut name = name.trim_start_matches('.').to_owned();
        let mut target = target;
        // `sets.contains(a, b)` is a function with a dot in its name.
        if let Some(space) = target.and_then(|target| self.qualified_name(target)) {
            let qualified = format!("{space}.{name}");
            if !functions::overloads(&qualified, false).is_empty() {
                (name, target) = (qualified, None);
            }
        }
        self.exempt += usize::from(name == "format");
        let mut lowered = Vec::with_capacity(arguments.len() + 1);
        let mut types = Vec::with_capacity(arguments.len() + 1);
        for argument in target.into_iter().chain(arguments) {
            let (expr, typ) = match (&argument.syntax, target.map(|target| &target.syntax)) {
                (Syntax::List(elements), Some(Syntax::Literal(Value::String(template)))) if name == "format" => {
                    let (expr, typ, values) = self.elements(elements)?;
                    self.templates.push((template.to_string(), argument.at, values));
                    (expr, typ)
                }
                _ => self.lower(argument, Base::Charged)?,
            };
            lowered.push(expr);
            types.push(typ);
        }
        self.exempt -= usize::from(name == "format");
        let (typ, fitting) = self.resolve(node.at, &name, target.is_some(), &types)?;
        let [first, rest @ ..] = &fitting[..] else { return Err(Mistake::new(node.at, "no such overload")) };
        let only = rest.is_empty().then_some(*first);
        compile_pattern(&name, &mut lowered).map_err(|words| Mistake::new(node.at, words))?;
        if name == "@in"
            && only.is_some()
            && let Some(Expr::Literal(Value::List(items))) = lowered.get(1)
        {
            // Kubernetes looks constants up in a table, at no cost.
            if items.is_empty() {
                return Ok((Expr::Literal(Value::Bool(false)), typ));
            }
            let cost = if items.iter().all(is_primitive) { Cost::Nothing } else { Cost::Elements };
            return Ok((self.finish(first, cost, lowered), typ));
        }
        let cost = Cost::of(&name, target.is_some(), only);
        let call = self.finish(first, cost, lowered);
        fold_conversion(node.at, call).map(|expr| (expr, typ))
    }

    fn finish(&self, overload: &'static Overload, cost: Cost, arguments: Vec<Expr>) -> Expr {
        let member = overload.member;
        let overloads = distinct(functions::overloads(overload.name, member), arguments.len());
        Expr::Call { name: overload.name, cost, overloads, arguments: arguments.into() }
    }

    /// The result's type, and the overloads that fit the arguments, of which there is at least one.
    fn resolve(
        &mut self,
        at: usize,
        name: &str,
        member: bool,
        types: &[Type],
    ) -> Result<(Type, Vec<&'static Overload>), Mistake> {
        let overloads = functions::overloads(name, member);
        if overloads.is_empty() && functions::overloads(name, !member).is_empty() {
            return Err(Mistake::new(at, unknown_function(name, member)));
        }
        let mut result: Option<Type> = None;
        let mut fitting = Vec::new();
        for overload in overloads.iter().filter(|overload| overload.arguments.len() == types.len()) {
            let declared: Vec<&Type> = overload.arguments.iter().chain([&overload.result]).collect();
            let fresh = self.types.instantiate(&declared);
            let Some((of, wanted)) = fresh.split_last() else { continue };
            if self.types.fit(types.iter().zip(wanted)) {
                let of = self.types.resolve(of);
                result = Some(match result {
                    Some(before) if before != Type::Dyn && before != of => Type::Dyn,
                    Some(before) => before,
                    None => of,
                });
                fitting.push(overload);
            }
        }
        match result {
            Some(result) => Ok((result, fitting)),
            None => {
                let found: Vec<String> = types.iter().map(|typ| self.types.settle(typ).to_string()).collect();
                Err(Mistake::new(at, no_overload(name, member, &found)))
            }
        }
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

/// The code of all overloads with this many arguments, each once: several signatures may share it.
fn distinct(overloads: &[Overload], arguments: usize) -> Box<[Call]> {
    let mut calls: Vec<Call> = Vec::new();
    for overload in overloads.iter().filter(|overload| overload.arguments.len() == arguments) {
        if !calls.iter().any(|call| ptr::fn_addr_eq(*call, overload.call)) {
            calls.push(overload.call);
        }
    }
    calls.into()
}

/// Fields and indexes charge for the variable that they extend; what they do not extend begins a new one.
fn extended(operand: &Expr, base: Base) -> Base {
    if operand.is_attribute() { Base::Free } else { base }
}

fn compile_pattern(name: &str, arguments: &mut [Expr]) -> Result<(), String> {
    if let "matches" | "find" | "findAll" = name
        && let Some(Expr::Literal(value @ Value::String(_))) = arguments.get_mut(1)
        && let Value::String(pattern) = &*value
    {
        *value = Value::Pattern(Arc::new(Pattern::constant(pattern)?));
    }
    Ok(())
}

/// Conversions of constants are constants, as in Kubernetes, so that bad ones (`duration('1 hour')`) show at load.
fn fold_conversion(at: usize, call: Expr) -> Result<Expr, Mistake> {
    let Expr::Call { name, overloads, arguments, .. } = &call else { return Ok(call) };
    let [Expr::Literal(constant)] = &arguments[..] else { return Ok(call) };
    if !CONVERSIONS.contains(name) {
        return Ok(call);
    }
    let mut budget = Budget::new(Instant::now() + FOLDING_TIME);
    let mut wrong = "no such overload".into();
    for overload in overloads {
        match overload(std::slice::from_ref(constant), &mut budget) {
            Ok(value) => return Ok(Expr::Literal(value)),
            Err(Fault::Failed(words)) => wrong = words,
            Err(_) => {}
        }
    }
    Err(Mistake::new(at, wrong))
}

/// A list of constants is a constant.
fn fold_list(elements: Vec<Element>) -> Expr {
    let constants: Option<Vec<Value>> = elements
        .iter()
        .map(|element| match &element.value {
            Expr::Literal(value) if !element.optional => Some(value.clone()),
            _ => None,
        })
        .collect();
    match constants {
        Some(items) => Expr::Literal(Value::List(items.into())),
        None => Expr::List(elements.into()),
    }
}

/// A map of constants is a constant.
fn fold_map(entries: Vec<Entry>) -> Expr {
    let constants: Option<Map> = entries
        .iter()
        .map(|entry| match (&entry.key, &entry.value) {
            (Expr::Literal(key), Expr::Literal(value)) if !entry.optional => Some((Key::of(key)?, value.clone())),
            _ => None,
        })
        .collect();
    match constants {
        Some(map) => Expr::Literal(Value::Map(Arc::new(map))),
        None => Expr::Map(entries.into()),
    }
}

fn key(field: &str) -> Key {
    Key::String(field.into())
}

fn is_primitive(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::String(_))
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

fn no_overload(name: &str, member: bool, found: &[String]) -> String {
    let show = |types: &[String]| match types {
        [target, arguments @ ..] if member => format!("{target}.({})", arguments.join(", ")),
        _ => format!("({})", types.join(", ")),
    };
    let wanted: Vec<String> = functions::overloads(name, member)
        .iter()
        .map(|overload| show(&overload.arguments.iter().map(ToString::to_string).collect::<Vec<_>>()))
        .collect();
    let wanted = match &wanted[..] {
        [] if member => "it is not called on a value".to_owned(),
        [] => "it is called on a value".to_owned(),
        wanted => format!("expected {}", wanted.join(" or ")),
    };
    format!("found no matching overload of {name} for {}: {wanted}", show(found))
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

fn unknown_function(name: &str, member: bool) -> String {
    let dot = if member { "." } else { "" };
    format!("undeclared function {dot}{name}()")
}

/// What cel-go calls conversions of types.
const CONVERSIONS: [&str; 10] =
    ["bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"];
const FOLDING_TIME: Duration = Duration::from_millis(100);
