//! The macros: `has`, logic, the comprehensions of one and two variables, `optMap` and `optFlatMap`.

use cel::common::ast::{CallExpr, Expr as Ast, IdedExpr, operators};

use super::{Lowering, field_key};
use crate::cel::{
    expr::{Expr, Fold, Loop},
    value::Kind,
};

impl Fold {
    pub(super) fn gives(self) -> Kind {
        match self {
            Self::All | Self::Exists | Self::ExistsOne => Kind::Bool,
            Self::Filter | Self::Collect | Self::SortBy => Kind::List,
            Self::TransformMap | Self::TransformMapEntry => Kind::Map,
        }
    }
}

impl Lowering<'_> {
    /// None: not a macro.
    pub(super) fn macro_call(
        &mut self,
        node: &IdedExpr,
        call: &CallExpr,
        depth: usize,
    ) -> Result<Option<Expr>, String> {
        match (&*call.func_name, call.target.as_deref(), &call.args[..]) {
            (operators::LOGICAL_AND, None, _) => {
                Ok(Some(Expr::And(self.terms(node, operators::LOGICAL_AND, depth)?.into())))
            }
            (operators::LOGICAL_OR, None, _) => {
                Ok(Some(Expr::Or(self.terms(node, operators::LOGICAL_OR, depth)?.into())))
            }
            (operators::CONDITIONAL, None, [condition, yes, no]) => Ok(Some(Expr::If(Box::new([
                self.lower(condition, depth + 1)?,
                self.lower(yes, depth + 1)?,
                self.lower(no, depth + 1)?,
            ])))),
            (operators::HAS, None, [argument]) => self.presence(node, argument, depth).map(Some),
            (name @ ("optMap" | "optFlatMap"), Some(target), [variable, body]) => {
                let target = Box::new(self.lower(target, depth + 1)?);
                let body = Box::new(self.scoped(&[variable], &[body], depth)?.remove(0));
                Ok(Some(Expr::MapOptional { target, body, flat: name == "optFlatMap" }))
            }
            (name @ ("or" | "orValue"), Some(target), [alternative]) => Ok(Some(Expr::OrElse {
                target: Box::new(self.lower(target, depth + 1)?),
                alternative: Box::new(self.lower(alternative, depth + 1)?),
                unwrap: name == "orValue",
            })),
            (name, Some(range), arguments) => match shape(name, arguments.len()) {
                Some((fold, variables)) => self.comprehension(fold, range, arguments, variables, depth).map(Some),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    fn presence(&mut self, node: &IdedExpr, argument: &IdedExpr, depth: usize) -> Result<Expr, String> {
        let (operand, field) = match &argument.expr {
            Ast::Select(select) => (&*select.operand, &*select.field),
            _ => return Err(self.error(node, "has() takes a field, as in has(object.metadata)")),
        };
        let lowered = self.lower(operand, depth + 1)?;
        self.check_field(argument, operand, field)?;
        Ok(Expr::Has { operand: Box::new(lowered), field: field_key(field) })
    }

    /// `a || b || c` as one list of terms: the parser nests them.
    fn terms(&mut self, node: &IdedExpr, operator: &str, depth: usize) -> Result<Vec<Expr>, String> {
        let mut pending = vec![node];
        let mut terms = Vec::new();
        while let Some(node) = pending.pop() {
            match &node.expr {
                Ast::Call(call) if call.func_name == operator && call.target.is_none() => {
                    pending.extend(call.args.iter().rev());
                }
                _ => terms.push(self.lower(node, depth + 1)?),
            }
        }
        Ok(terms)
    }

    fn comprehension(
        &mut self,
        fold: Fold,
        range: &IdedExpr,
        arguments: &[IdedExpr],
        variables: usize,
        depth: usize,
    ) -> Result<Expr, String> {
        let range = self.lower(range, depth + 1)?;
        let (variables, bodies) = arguments.split_at(variables);
        let names: Vec<&IdedExpr> = variables.iter().collect();
        let bodies: Vec<&IdedExpr> = bodies.iter().collect();
        let mut bodies = self.scoped(&names, &bodies, depth)?;
        let (filter, body) = match (bodies.pop(), bodies.pop()) {
            (Some(body), filter) => (filter, body),
            (None, _) => return Err("a comprehension without a body".to_owned()),
        };
        Ok(Expr::Loop(Box::new(Loop { fold, range, two_variables: names.len() == 2, filter, body })))
    }

    /// Lowers `bodies` with `variables` in scope.
    fn scoped(&mut self, variables: &[&IdedExpr], bodies: &[&IdedExpr], depth: usize) -> Result<Vec<Expr>, String> {
        let base = self.scope.len();
        for variable in variables {
            match &variable.expr {
                Ast::Ident(name) if !name.starts_with('.') && !self.scope[base..].contains(name) => {
                    self.scope.push(name.clone());
                }
                _ => return Err(self.error(variable, "the variable of a comprehension must be a simple name")),
            }
        }
        let lowered = bodies.iter().map(|body| self.lower(body, depth + 1)).collect();
        self.scope.truncate(base);
        lowered
    }
}

/// What a macro on a list or map folds to, and how many of its arguments are variables.
fn shape(name: &str, arguments: usize) -> Option<(Fold, usize)> {
    Some(match (name, arguments) {
        ("all", 2 | 3) => (Fold::All, arguments - 1),
        ("exists", 2 | 3) => (Fold::Exists, arguments - 1),
        ("exists_one", 2) => (Fold::ExistsOne, 1),
        ("existsOne", 2 | 3) => (Fold::ExistsOne, arguments - 1),
        ("filter", 2) => (Fold::Filter, 1),
        ("map", 2 | 3) => (Fold::Collect, 1),
        ("transformList", 3 | 4) => (Fold::Collect, 2),
        ("transformMap", 3 | 4) => (Fold::TransformMap, 2),
        ("transformMapEntry", 3 | 4) => (Fold::TransformMapEntry, 2),
        ("sortBy", 2) => (Fold::SortBy, 1),
        _ => return None,
    })
}
