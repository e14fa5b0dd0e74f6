//! The macros: `has`, logic, conditions, fields and indexes, the comprehensions of one and two variables, optional values.

use super::{Lowering, Typed, extended, key, mismatch};
use crate::cel::{
    cost::Cost,
    expr::{Base, Expr, Fold, Loop},
    parser::{Mistake, Node, Syntax},
    types::Type,
    value::{Key, Kind, Value},
};

const BOOL: Type = Type::Plain(Kind::Bool);

impl Lowering {
    /// None: not a macro.
    pub(super) fn macro_call(
        &mut self,
        node: &Node,
        name: &str,
        target: Option<&Node>,
        arguments: &[Node],
        base: Base,
    ) -> Result<Option<(Expr, Type)>, Mistake> {
        match (name, target, arguments) {
            ("_&&_", None, terms) => self.terms(terms).map(|terms| (Expr::And(terms), BOOL)),
            ("_||_", None, terms) => self.terms(terms).map(|terms| (Expr::Or(terms), BOOL)),
            ("_?_:_", None, [condition, yes, no]) => self.condition(node, condition, yes, no),
            ("_?._", None, [operand, field]) => self.optional_field(node, operand, field, base),
            ("_[_]", None, [operand, index]) => self.index(node, operand, index, false, base),
            ("_[?_]", None, [operand, index]) => self.index(node, operand, index, true, base),
            ("has", None, [argument]) => self.presence(argument),
            ("or" | "orValue", Some(target), [alternative]) => self.or_else(node, name, target, alternative),
            ("optMap" | "optFlatMap", Some(target), [variable, body]) => {
                self.map_optional(node, name, target, variable, body)
            }
            (name, Some(range), arguments) => match shape(name, arguments.len()) {
                Some((fold, variables)) => self.comprehension(node, fold, range, arguments.split_at(variables)),
                None => return Ok(None),
            },
            _ => return Ok(None),
        }
        .map(Some)
    }

    fn terms(&mut self, terms: &[Node]) -> Result<Box<[Expr]>, Mistake> {
        terms.iter().map(|term| self.boolean(term)).collect()
    }

    fn boolean(&mut self, node: &Node) -> Result<Expr, Mistake> {
        let (expr, typ) = self.lower(node, Base::Charged)?;
        self.assert(node.at, &BOOL, &typ)?;
        Ok(expr)
    }

    fn condition(&mut self, node: &Node, condition: &Node, yes: &Node, no: &Node) -> Typed {
        let condition = self.boolean(condition)?;
        let (yes, one) = self.lower(yes, Base::Free)?;
        let (no, other) = self.lower(no, Base::Free)?;
        let (typ, _) = self.resolve(node.at, "_?_:_", false, &[BOOL, one, other])?;
        Ok((Expr::If(Box::new([condition, yes, no])), typ))
    }

    fn optional_field(&mut self, node: &Node, operand: &Node, field: &Node, base: Base) -> Typed {
        let Syntax::Literal(Value::String(field)) = &field.syntax else {
            return Err(Mistake::new(field.at, "the name of a field must follow"));
        };
        let (operand, typ) = self.lower(operand, base)?;
        let typ = self.field(node.at, &typ, field, true)?;
        let base = extended(&operand, base);
        Ok((Expr::Select { operand: Box::new(operand), field: key(field), optional: true, base }, typ))
    }

    fn index(&mut self, node: &Node, operand: &Node, index: &Node, optional: bool, base: Base) -> Typed {
        let (operand, container) = self.lower(operand, base)?;
        let at = index.at;
        let (index, typ) = self.lower(index, Base::Free)?;
        if let Expr::Literal(value) = &index
            && Key::of(value).is_none()
            && !matches!(value, Value::Double(_))
        {
            return Err(Mistake::new(at, format!("a value of type {} cannot be an index", value.kind().name())));
        }
        let name = if optional { "_[?_]" } else { "_[_]" };
        let (typ, _) = self.resolve(node.at, name, false, &[container, typ])?;
        let base = extended(&operand, base);
        Ok((Expr::Index { operand: Box::new(operand), index: Box::new(index), optional, base }, typ))
    }

    fn presence(&mut self, argument: &Node) -> Typed {
        let Syntax::Select { operand, field } = &argument.syntax else {
            return Err(Mistake::new(argument.at, "has() takes a field, as in has(object.metadata)"));
        };
        let (operand, typ) = self.lower(operand, Base::Free)?;
        self.field(argument.at, &typ, field, false)?;
        Ok((Expr::Has { operand: Box::new(operand), field: key(field) }, BOOL))
    }

    fn or_else(&mut self, node: &Node, name: &str, target: &Node, alternative: &Node) -> Typed {
        let (target, one) = self.lower(target, Base::Charged)?;
        let (alternative, other) = self.lower(alternative, Base::Charged)?;
        let (typ, _) = self.resolve(node.at, name, true, &[one, other])?;
        let (target, alternative) = (Box::new(target), Box::new(alternative));
        Ok((Expr::OrElse { target, alternative, unwrap: name == "orValue" }, typ))
    }

    fn map_optional(&mut self, node: &Node, name: &str, target: &Node, variable: &Node, body: &Node) -> Typed {
        let (target, typ) = self.lower(target, Base::Charged)?;
        let (inner, _) = self.resolve(node.at, "value", true, &[typ])?;
        let flat = name == "optFlatMap";
        let (body, typ) = self.scoped(&[(variable, inner)], |lowering| lowering.lower(body, Base::Charged))?;
        let typ = if flat { typ } else { Type::optional(typ) };
        let none = Type::optional(self.types.unknown());
        let (typ, _) = self.resolve(node.at, "_?_:_", false, &[BOOL, typ, none])?;
        Ok((Expr::MapOptional { target: Box::new(target), body: Box::new(body), flat }, typ))
    }

    fn comprehension(
        &mut self,
        node: &Node,
        mut fold: Fold,
        range_node: &Node,
        (variables, bodies): (&[Node], &[Node]),
    ) -> Typed {
        let (range, range_type) = self.lower(range_node, Base::Charged)?;
        let two = variables.len() == 2;
        let range_type = self.types.resolve(&range_type);
        let types = match &range_type {
            Type::List(item) if two => vec![Type::Plain(Kind::Int), Type::clone(item)],
            Type::List(item) => vec![Type::clone(item)],
            Type::Map(key, value) if two => vec![Type::clone(key), Type::clone(value)],
            Type::Map(key, _) => vec![Type::clone(key)],
            Type::Dyn | Type::Unknown(_) => {
                self.types.fit([(&Type::Dyn, &range_type)]);
                vec![Type::Dyn; variables.len()]
            }
            other => {
                let words = format!("the range is of type {other}: it must be a list, a map or dyn");
                return Err(Mistake::new(range_node.at, words));
            }
        };
        let scope: Vec<(&Node, Type)> = variables.iter().zip(types.iter().cloned()).collect();
        let (filter, body) = match bodies {
            [body] => (None, body),
            [filter, body] => (Some(filter), body),
            _ => return Err(Mistake::new(node.at, "a comprehension without a body")),
        };
        let (filter, (expr, typ)) = self.scoped(&scope, |lowering| {
            let filter = filter.map(|filter| lowering.boolean(filter)).transpose()?;
            Ok((filter, lowering.lower(body, Base::Charged)?))
        })?;
        if let Fold::All | Fold::Exists | Fold::ExistsOne | Fold::Filter = fold {
            self.assert(body.at, &BOOL, &typ)?;
        }
        let first = types.into_iter().next().unwrap_or(Type::Dyn);
        let result = match fold {
            Fold::All | Fold::Exists | Fold::ExistsOne => BOOL,
            Fold::Filter => Type::list(first),
            Fold::Collect => Type::list(typ),
            Fold::SortBy(_) => {
                let name = "@sortByAssociatedKeys";
                let (typ, fitting) = self.resolve(node.at, name, true, &[range_type, Type::list(typ)])?;
                let only = if let [only] = fitting[..] { Some(only) } else { None };
                fold = Fold::SortBy(Cost::of(name, true, only));
                typ
            }
            Fold::TransformMap => Type::map(first, typ),
            Fold::TransformMapEntry => match self.types.resolve(&typ) {
                map @ Type::Map(..) => map,
                Type::Dyn | Type::Unknown(_) => Type::map(Type::Dyn, Type::Dyn),
                other => return Err(mismatch(body.at, &Type::map(Type::Dyn, Type::Dyn), &other)),
            },
        };
        let result = self.types.resolve(&result);
        Ok((Expr::Loop(Box::new(Loop { fold, range, two_variables: two, filter, body: expr })), result))
    }

    /// Lowers with `variables` in scope.
    fn scoped<T>(
        &mut self,
        variables: &[(&Node, Type)],
        work: impl FnOnce(&mut Self) -> Result<T, Mistake>,
    ) -> Result<T, Mistake> {
        let base = self.scope.len();
        for (variable, typ) in variables {
            match &variable.syntax {
                Syntax::Identifier(name) if name == "__result__" => {
                    return Err(Mistake::new(variable.at, "__result__ is not available as a variable"));
                }
                Syntax::Identifier(name)
                    if !name.starts_with('.') && !self.scope[base..].iter().any(|(other, _)| other == name) =>
                {
                    self.scope.push((name.clone(), typ.clone()));
                }
                _ => {
                    return Err(Mistake::new(variable.at, "the variable of a comprehension must be a simple name"));
                }
            }
        }
        let done = work(self);
        self.scope.truncate(base);
        done
    }
}

/// What a macro on a list or map folds to, and how many of its arguments are variables.
fn shape(name: &str, arguments: usize) -> Option<(Fold, usize)> {
    Some(match (name, arguments) {
        ("all", 2 | 3) => (Fold::All, arguments - 1),
        ("exists", 2 | 3) => (Fold::Exists, arguments - 1),
        ("exists_one", 2 | 3) => (Fold::ExistsOne, arguments - 1),
        ("existsOne", 3) => (Fold::ExistsOne, 2),
        ("filter", 2) => (Fold::Filter, 1),
        ("map", 2 | 3) => (Fold::Collect, 1),
        ("transformList", 3 | 4) => (Fold::Collect, 2),
        ("transformMap", 3 | 4) => (Fold::TransformMap, 2),
        ("transformMapEntry", 3 | 4) => (Fold::TransformMapEntry, 2),
        ("sortBy", 2) => (Fold::SortBy(Cost::One), 1),
        _ => return None,
    })
}
