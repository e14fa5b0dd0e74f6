//! Calls of functions and operators: the overloads that fit the arguments' types, what they cost, constants.

use std::{
    ptr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Lowering, Template, Typed};
use crate::cel::{
    budget::{Budget, Fault},
    cost::Cost,
    expr::{Base, Expr},
    functions::{self, Call, Overload, regex::Pattern},
    parser::{Mistake, Node, Syntax},
    types::Type,
    value::Value,
};

impl Lowering {
    pub(super) fn call(
        &mut self,
        node: &Node,
        name: &str,
        target: Option<&Node>,
        arguments: &[Node],
        base: Base,
    ) -> Typed {
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
                    self.templates.push(Template { text: template.to_string(), at: argument.at, values });
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
    pub(super) fn resolve(
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

fn is_primitive(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::String(_))
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

fn unknown_function(name: &str, member: bool) -> String {
    let dot = if member { "." } else { "" };
    format!("undeclared function {dot}{name}()")
}

/// What cel-go calls conversions of types.
const CONVERSIONS: [&str; 10] =
    ["bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"];
const FOLDING_TIME: Duration = Duration::from_millis(100);
