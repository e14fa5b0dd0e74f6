//! From `cel`'s syntax tree to the checked expression: every name is resolved here or refused, with its position.
//!
//! Macros are left as calls by the parser and resolved here, so that they cannot multiply the tree.

use std::{
    panic, ptr,
    sync::Arc,
    time::{Duration, Instant},
};

use cel::common::ast::{CallExpr, EntryExpr, Expr as Ast, IdedExpr, LiteralValue, SourceInfo, operators};

use super::{
    MAX_DEPTH, Subject,
    budget::{Budget, Fault},
    expr::{Element, Entry, Expr, Root},
    functions::{self, Call, Overload, regex::Pattern},
    value::{Key, Kind, Value},
};

mod macros;
mod schema;

/// A checked expression.
pub(super) struct Lowered {
    pub(super) root: Expr,
    pub(super) uses_object: bool,
    pub(super) uses_old_object: bool,
}

/// As [`compile`], but the result must be able to be bool.
pub(super) fn compile_condition(expression: &str, subject: Subject) -> Result<Lowered, String> {
    let lowered = compile(expression, subject)?;
    match obvious_kind(&lowered.root).filter(|kind| *kind != Kind::Bool) {
        Some(kind) => Err(format!("the result is of type {}, not bool", kind.name())),
        None => Ok(lowered),
    }
}

pub(super) fn compile(expression: &str, subject: Subject) -> Result<Lowered, String> {
    let parser = cel::Env::default().parser().enable_ident_escape_syntax(true);
    // The parser's recovery from bad input is not ours to trust.
    let parsed = panic::catch_unwind(panic::AssertUnwindSafe(|| parser.parse_with_source_info(expression)))
        .map_err(|_| "the parser gave up on it".to_owned())?;
    let (tree, source) = parsed.map_err(|errors| match errors.errors.first() {
        Some(error) => at(error.pos, &error.msg.chars().take(200).collect::<String>()),
        None => "syntax error".to_owned(),
    })?;
    let mut lowering =
        Lowering { subject, source: &source, scope: Vec::new(), uses_object: false, uses_old_object: false };
    let root = lowering.lower(&tree, 0)?;
    Ok(Lowered { root, uses_object: lowering.uses_object, uses_old_object: lowering.uses_old_object })
}

struct Lowering<'a> {
    subject: Subject,
    source: &'a SourceInfo,
    /// Variables of the loops around, outermost first: a variable's index is its slot.
    scope: Vec<String>,
    uses_object: bool,
    uses_old_object: bool,
}

impl Lowering<'_> {
    fn lower(&mut self, node: &IdedExpr, depth: usize) -> Result<Expr, String> {
        if depth > MAX_DEPTH {
            return Err(self.error(node, &format!("the expression nests deeper than {MAX_DEPTH} levels")));
        }
        match &node.expr {
            Ast::Literal(literal) => Ok(Expr::Literal(convert_literal(literal))),
            Ast::Ident(name) => self.identifier(node, name),
            Ast::Select(select) => {
                if let Some(kind) = self.qualified_name(node).and_then(|name| Kind::named(&name)) {
                    return Ok(Expr::Literal(Value::Type(kind)));
                }
                let operand = self.lower(&select.operand, depth + 1)?;
                self.check_field(node, &select.operand, &select.field)?;
                Ok(Expr::Select { operand: Box::new(operand), field: field_key(&select.field) })
            }
            Ast::List(list) => list
                .elements
                .iter()
                .enumerate()
                .map(|(index, element)| {
                    let optional = list.optional_indices.contains(&index);
                    Ok(Element { value: self.lower(element, depth + 1)?, optional })
                })
                .collect::<Result<Box<[_]>, String>>()
                .map(fold_list),
            Ast::Map(map) => map
                .entries
                .iter()
                .map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Ok(Entry {
                        key: self.lower(&entry.key, depth + 1)?,
                        value: self.lower(&entry.value, depth + 1)?,
                        optional: entry.optional,
                    }),
                    EntryExpr::StructField(_) => Err(self.error(node, "a field in a map literal")),
                })
                .collect::<Result<Box<[_]>, String>>()
                .map(Expr::Map),
            Ast::Call(call) => self.call(node, call, depth),
            Ast::Struct(message) => {
                Err(self.error(node, &format!("messages such as {} cannot be made here", message.type_name)))
            }
            Ast::Comprehension(_) | Ast::Unspecified => Err(self.error(node, "syntax error")),
        }
    }

    fn identifier(&mut self, node: &IdedExpr, name: &str) -> Result<Expr, String> {
        if let Some(slot) = self.scope.iter().rposition(|variable| variable == name) {
            return Ok(Expr::Local(slot));
        }
        match (name.trim_start_matches('.'), self.subject) {
            ("request", _) => Ok(Expr::Root(Root::Request)),
            ("object", Subject::Admission) => {
                self.uses_object = true;
                Ok(Expr::Root(Root::Object))
            }
            ("oldObject", Subject::Admission) => {
                self.uses_old_object = true;
                Ok(Expr::Root(Root::OldObject))
            }
            (name @ ("object" | "oldObject"), _) => {
                Err(self.error(node, &format!("{name} is not available here: only request is")))
            }
            (name @ ("authorizer" | "namespaceObject" | "params"), _) => {
                Err(self.error(node, &format!("{name} needs a cluster at hand, which match conditions have not")))
            }
            ("variables", _) => Err(self.error(node, "variables are not available in match conditions")),
            (name, _) => match Kind::named(name).filter(|kind| !kind.name().contains('.')) {
                Some(kind) => Ok(Expr::Literal(Value::Type(kind))),
                None => Err(self.error(node, &format!("undeclared reference to {name:?}"))),
            },
        }
    }

    /// `a.b.c` where `a` is no variable.
    fn qualified_name(&self, node: &IdedExpr) -> Option<String> {
        let mut segments = Vec::new();
        let mut node = node;
        loop {
            match &node.expr {
                Ast::Ident(name) if !self.scope.contains(name) => {
                    segments.push(name.trim_start_matches('.'));
                    segments.reverse();
                    return Some(segments.join("."));
                }
                Ast::Select(select) if segments.len() < 4 => {
                    segments.push(&select.field);
                    node = &select.operand;
                }
                _ => return None,
            }
        }
    }

    /// Fields of `request` are known: a slip of the pen must not become a condition that never matches.
    fn check_field(&self, node: &IdedExpr, operand: &IdedExpr, field: &str) -> Result<(), String> {
        let Some(path) = self.qualified_name(operand) else { return Ok(()) };
        match schema::fields(self.subject, &path) {
            Some(fields) if !fields.contains(&field) => {
                Err(self.error(node, &format!("undefined field {field:?} of {path}: it has {}", fields.join(", "))))
            }
            _ => Ok(()),
        }
    }

    fn call(&mut self, node: &IdedExpr, call: &CallExpr, depth: usize) -> Result<Expr, String> {
        if let Some(expr) = self.macro_call(node, call, depth)? {
            return Ok(expr);
        }
        let mut name = call.func_name.trim_start_matches('.').to_owned();
        let mut target = call.target.as_deref();
        // `sets.contains(a, b)` is a function with a dot in its name.
        if let Some(space) = target.and_then(|target| self.qualified_name(target)) {
            let qualified = format!("{space}.{name}");
            if !functions::overloads(&qualified, false).is_empty() {
                (name, target) = (qualified, None);
            }
        }
        let given = call.args.len() + usize::from(target.is_some());
        let candidates = functions::overloads(&name, target.is_some());
        let Some(first) = candidates.first() else {
            return Err(self.error(node, &unknown_function(&name, target.is_some())));
        };
        let fitting: Vec<&Overload> = candidates.iter().filter(|overload| overload.arguments.len() == given).collect();
        if fitting.is_empty() {
            return Err(self.error(node, &format!("{name}() does not take {} arguments", call.args.len())));
        }
        if let OPT_SELECT = &*name
            && let [operand, field] = &call.args[..]
            && let Ast::Literal(LiteralValue::String(field)) = &field.expr
        {
            self.check_field(node, operand, field.inner())?;
        }
        let mut arguments = Vec::with_capacity(given);
        for argument in target.into_iter().chain(&call.args) {
            arguments.push(self.lower(argument, depth + 1)?);
        }
        if let "matches" | "find" | "findAll" = first.name
            && let Some(Expr::Literal(value @ Value::String(_))) = arguments.get_mut(1)
            && let Value::String(pattern) = &*value
        {
            let compiled = Pattern::constant(pattern).map_err(|reason| self.error(node, &reason))?;
            *value = Value::Pattern(Arc::new(compiled));
        }
        let call = Expr::Call {
            name: first.name,
            gives: fitting
                .iter()
                .map(|overload| overload.result.kind())
                .reduce(|one, other| one.filter(|_| one == other))
                .flatten(),
            overloads: distinct(&fitting),
            arguments: arguments.into(),
        };
        self.fold_constant(node, call)
    }

    /// Runs calls of constants now: it saves the work later and finds bad constants (`quantity('Three')`) at load.
    fn fold_constant(&self, node: &IdedExpr, call: Expr) -> Result<Expr, String> {
        let Expr::Call { name, overloads, arguments, .. } = &call else { return Ok(call) };
        let Some(constants) = arguments
            .iter()
            .map(|argument| match argument {
                Expr::Literal(value) => Some(value.clone()),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
        else {
            return Ok(call);
        };
        let mut budget = Budget::new(Instant::now() + FOLDING_TIME);
        for overload in overloads {
            match overload(&constants, &mut budget) {
                Ok(value) => return Ok(Expr::Literal(value)),
                Err(Fault::Failed(words)) if CONSTRUCTORS.contains(name) => return Err(self.error(node, &words)),
                Err(_) => {}
            }
        }
        Ok(call)
    }

    fn error(&self, node: &IdedExpr, words: &str) -> String {
        match self.source.offset_for(node.id) {
            Some((start, _)) => {
                let before = self.source.source.get(..start as usize).unwrap_or_default();
                let (line, column) = before.chars().fold((1, 1), |(line, column), letter| match letter {
                    '\n' => (line + 1, 1),
                    _ => (line, column + 1),
                });
                at((line, column), words)
            }
            None => words.to_owned(),
        }
    }
}

fn at((line, column): (isize, isize), words: &str) -> String {
    format!("line {line}, column {column}: {words}")
}

fn field_key(field: &str) -> Key {
    Key::String(field.into())
}

fn convert_literal(literal: &LiteralValue) -> Value {
    match literal {
        LiteralValue::Boolean(flag) => Value::Bool(*flag.inner()),
        LiteralValue::Bytes(bytes) => Value::Bytes(bytes.inner().into()),
        LiteralValue::Double(number) => Value::Double(*number.inner()),
        LiteralValue::Int(number) => Value::Int(*number.inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(text) => Value::string(text.inner()),
        LiteralValue::UInt(number) => Value::Uint(*number.inner()),
    }
}

/// A list of constants is a constant.
fn fold_list(elements: Box<[Element]>) -> Expr {
    let constants: Option<Arc<[Value]>> = elements
        .iter()
        .map(|element| match &element.value {
            Expr::Literal(value) if !element.optional => Some(value.clone()),
            _ => None,
        })
        .collect();
    match constants {
        Some(items) => Expr::Literal(Value::List(items)),
        None => Expr::List(elements),
    }
}

/// The type of the result, where it is plain to see.
fn obvious_kind(expr: &Expr) -> Option<Kind> {
    match expr {
        Expr::Literal(value) => Some(value.kind()),
        Expr::List(_) => Some(Kind::List),
        Expr::Map(_) => Some(Kind::Map),
        Expr::MapOptional { .. } => Some(Kind::Optional),
        Expr::Has { .. } | Expr::And(_) | Expr::Or(_) => Some(Kind::Bool),
        Expr::If(parts) => obvious_kind(&parts[1]).filter(|kind| *kind != Kind::Bool).or(obvious_kind(&parts[2])),
        Expr::Loop(comprehension) => Some(comprehension.fold.gives()),
        Expr::Call { gives, .. } => *gives,
        Expr::Root(_) | Expr::Local(_) | Expr::Select { .. } | Expr::OrElse { .. } => None,
    }
}

/// The code behind them, each once: several signatures may share it.
fn distinct(overloads: &[&Overload]) -> Box<[Call]> {
    let mut calls: Vec<Call> = Vec::new();
    for overload in overloads {
        if !calls.iter().any(|call| ptr::fn_addr_eq(*call, overload.call)) {
            calls.push(overload.call);
        }
    }
    calls.into()
}

fn unknown_function(name: &str, member: bool) -> String {
    match name {
        "bind" => "cel.bind is not available in Kubernetes' match conditions".to_owned(),
        "escapeKey" => "jsonpatch.escapeKey is for mutation only, it is not available here".to_owned(),
        "group" | "resource" | "path" | "serviceAccount" | "check" | "allowed" | "requestResource" => {
            format!("undeclared function {name}(): checks of the authorizer need a cluster at hand")
        }
        _ if member => format!("undeclared function .{name}()"),
        _ => format!("undeclared function {name}()"),
    }
}

const OPT_SELECT: &str = operators::OPT_SELECT;
const CONSTRUCTORS: [&str; 7] = ["duration", "timestamp", "ip", "cidr", "quantity", "url", "semver"];
const FOLDING_TIME: Duration = Duration::from_millis(100);
