//! Runs a checked expression within a budget. Recursion is bounded by the checked tree's depth.

use std::sync::Arc;

use super::{
    budget::{Budget, Fault, Outcome, failed},
    expr::{Element, Entry, Expr, Fold, Loop, Root},
    functions::{lists, operators},
    value::{Key, Map, Value},
    variables::Variables,
};

pub(super) struct Run<'a> {
    variables: &'a Variables,
    locals: Vec<Value>,
    budget: &'a mut Budget,
}

impl<'a> Run<'a> {
    pub(super) fn new(variables: &'a Variables, budget: &'a mut Budget) -> Self {
        Self { variables, locals: Vec::new(), budget }
    }

    pub(super) fn run(&mut self, expr: &Expr) -> Outcome {
        self.budget.charge(1)?;
        match expr {
            Expr::Literal(value) => Ok(value.clone()),
            Expr::Local(slot) => match self.locals.get(*slot) {
                Some(value) => Ok(value.clone()),
                None => failed("undeclared reference"),
            },
            Expr::Root(Root::Request) => Ok(self.variables.request.clone()),
            Expr::Root(Root::Object) => Ok(self.variables.object.clone()),
            Expr::Root(Root::OldObject) => Ok(self.variables.old_object.clone()),
            Expr::Select { operand, field } => operators::select(&self.run(operand)?, field),
            Expr::Has { operand, field } => operators::has(&self.run(operand)?, field),
            Expr::And(terms) => self.logic(terms, false),
            Expr::Or(terms) => self.logic(terms, true),
            Expr::If(parts) => {
                let [condition, yes, no] = &**parts;
                match self.run(condition)? {
                    Value::Bool(true) => self.run(yes),
                    Value::Bool(false) => self.run(no),
                    _ => Err(no_overload("_?_:_")),
                }
            }
            Expr::List(elements) => self.list(elements),
            Expr::Map(entries) => self.map(entries),
            Expr::Call { name, overloads, arguments, .. } => {
                let arguments = arguments.iter().map(|argument| self.run(argument)).collect::<Result<Vec<_>, _>>()?;
                for call in overloads {
                    match call(&arguments, self.budget) {
                        Err(Fault::Overload) => {}
                        outcome => return outcome,
                    }
                }
                Err(no_overload(name))
            }
            Expr::Loop(comprehension) => self.comprehend(comprehension),
            Expr::OrElse { target, alternative, unwrap } => match self.run(target)? {
                Value::Optional(Some(inner)) if *unwrap => Ok(Value::clone(&inner)),
                value @ Value::Optional(Some(_)) => Ok(value),
                Value::Optional(None) => match self.run(alternative)? {
                    value if *unwrap => Ok(value),
                    value @ Value::Optional(_) => Ok(value),
                    _ => Err(no_overload("or")),
                },
                _ => Err(no_overload(if *unwrap { "orValue" } else { "or" })),
            },
            Expr::MapOptional { target, body, flat } => match self.run(target)? {
                Value::Optional(None) => Ok(Value::Optional(None)),
                Value::Optional(Some(inner)) => {
                    let base = self.locals.len();
                    self.locals.push(Value::clone(&inner));
                    let outcome = self.run(body);
                    self.locals.truncate(base);
                    match outcome? {
                        value @ Value::Optional(_) if *flat => Ok(value),
                        _ if *flat => Err(no_overload("optFlatMap")),
                        value => Ok(Value::some(value)),
                    }
                }
                _ => Err(no_overload(if *flat { "optFlatMap" } else { "optMap" })),
            },
        }
    }

    /// `&&` and `||`: one term that decides outweighs errors in the others.
    fn logic(&mut self, terms: &[Expr], decisive: bool) -> Outcome {
        let mut error = None;
        for term in terms {
            match self.run(term) {
                Ok(Value::Bool(flag)) if flag == decisive => return Ok(Value::Bool(decisive)),
                Ok(Value::Bool(_)) => {}
                Ok(_) => error = error.or(Some(no_overload(if decisive { "_||_" } else { "_&&_" }))),
                Err(fault) if fault.is_absorbed() => error = error.or(Some(fault)),
                Err(fault) => return Err(fault),
            }
        }
        error.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn list(&mut self, elements: &[Element]) -> Outcome {
        let mut items = Vec::with_capacity(elements.len());
        for element in elements {
            let value = self.run(&element.value)?;
            match value {
                value if !element.optional => items.push(value),
                Value::Optional(Some(inner)) => items.push(Value::clone(&inner)),
                Value::Optional(None) => {}
                _ => return failed("an optional element is not an optional value"),
            }
        }
        Ok(Value::List(items.into()))
    }

    fn map(&mut self, entries: &[Entry]) -> Outcome {
        let mut map = Map::new();
        for entry in entries {
            let key = Key::of(&self.run(&entry.key)?);
            let value = match self.run(&entry.value)? {
                value if !entry.optional => value,
                Value::Optional(Some(inner)) => Value::clone(&inner),
                Value::Optional(None) => continue,
                _ => return failed("an optional entry is not an optional value"),
            };
            let Some(key) = key else { return failed("unsupported key type") };
            insert(&mut map, key, value)?;
        }
        Ok(Value::Map(Arc::new(map)))
    }

    fn comprehend(&mut self, comprehension: &Loop) -> Outcome {
        let range = self.run(&comprehension.range)?;
        let base = self.locals.len();
        let outcome = match &range {
            Value::List(items) => {
                let pairs = items.iter().enumerate().map(|(at, item)| (Value::Int(at as i64), item.clone()));
                self.fold(comprehension, pairs, comprehension.two_variables, base)
            }
            Value::Map(map) if comprehension.two_variables => {
                self.fold(comprehension, map.iter().map(|(key, value)| (key.value(), value.clone())), true, base)
            }
            Value::Map(map) => self.fold(comprehension, map.keys().map(|key| (Value::Null, key.value())), false, base),
            _ => Err(Fault::Failed("the range of a comprehension is neither a list nor a map".into())),
        };
        self.locals.truncate(base);
        outcome
    }

    fn fold(
        &mut self,
        comprehension: &Loop,
        pairs: impl Iterator<Item = (Value, Value)>,
        two_variables: bool,
        base: usize,
    ) -> Outcome {
        let fold = comprehension.fold;
        let mut matches = 0_usize;
        let mut error = None;
        let mut items = Vec::new();
        let mut map = Map::new();
        for (first, second) in pairs {
            self.budget.charge(1)?;
            self.locals.truncate(base);
            if two_variables {
                self.locals.push(first.clone());
            }
            self.locals.push(second.clone());
            if let Some(filter) = &comprehension.filter {
                match self.run(filter)? {
                    Value::Bool(true) => {}
                    Value::Bool(false) => continue,
                    _ => return failed("the filter of a comprehension is not bool"),
                }
            }
            let value = match self.run(&comprehension.body) {
                Ok(value) => value,
                Err(fault) if fault.is_absorbed() && matches!(fold, Fold::All | Fold::Exists) => {
                    error = error.or(Some(fault));
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            match (fold, value) {
                (Fold::All, Value::Bool(false)) => return Ok(Value::Bool(false)),
                (Fold::Exists, Value::Bool(true)) => return Ok(Value::Bool(true)),
                (Fold::All | Fold::Exists, Value::Bool(_)) => {}
                (Fold::All | Fold::Exists, _) => error = error.or(Some(not_bool())),
                (Fold::ExistsOne, Value::Bool(flag)) => matches += usize::from(flag),
                (Fold::Filter, Value::Bool(flag)) => {
                    if flag {
                        items.push(second);
                    }
                }
                (Fold::ExistsOne | Fold::Filter, _) => return Err(not_bool()),
                (Fold::Collect, value) => items.push(value),
                (Fold::SortBy, value) => items.push(Value::List([value, second].into())),
                (Fold::TransformMap, value) => {
                    let Some(key) = Key::of(&first) else { return failed("unsupported key type") };
                    insert(&mut map, key, value)?;
                }
                (Fold::TransformMapEntry, Value::Map(entries)) => {
                    self.budget.charge(entries.len())?;
                    for (key, value) in entries.iter() {
                        insert(&mut map, key.clone(), value.clone())?;
                    }
                }
                (Fold::TransformMapEntry, _) => return failed("transformMapEntry needs a map of entries"),
            }
        }
        match fold {
            Fold::All => error.map_or(Ok(Value::Bool(true)), Err),
            Fold::Exists => error.map_or(Ok(Value::Bool(false)), Err),
            Fold::ExistsOne => Ok(Value::Bool(matches == 1)),
            Fold::Collect | Fold::Filter => Ok(Value::List(items.into())),
            Fold::SortBy => lists::sort_pairs(&items, self.budget),
            Fold::TransformMap | Fold::TransformMapEntry => Ok(Value::Map(Arc::new(map))),
        }
    }
}

fn insert(map: &mut Map, key: Key, value: Value) -> Result<(), Fault> {
    match map.insert(key, value) {
        None => Ok(()),
        Some(_) => failed("a key is repeated"),
    }
}

fn not_bool() -> Fault {
    Fault::Failed("the predicate of a comprehension is not bool".into())
}

fn no_overload(name: &str) -> Fault {
    Fault::Failed(format!("no such overload of {name}").into())
}
