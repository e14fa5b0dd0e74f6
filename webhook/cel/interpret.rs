//! Runs a checked expression within a budget. Recursion is bounded by the checked tree's depth.
//!
//! What each step costs is what cel-go's interpreter charges for the macro's expansion, with Kubernetes' options.

use std::sync::Arc;

use super::{
    budget::{Budget, Fault, Outcome, failed},
    cost::{self, Cost},
    expr::{Base, Element, Entry, Expr, Fold, Loop, Root},
    functions::{Call, lists, operators},
    value::{Key, Map, Value},
    variables::Variables,
};

pub(super) struct Run<'a> {
    variables: &'a Variables,
    locals: Vec<Local>,
    budget: &'a mut Budget,
}

/// A variable of a loop.
struct Local {
    value: Value,
    /// What its first use costs: Kubernetes evaluates the variable of `optMap` only then.
    pending: u64,
}

impl From<Value> for Local {
    fn from(value: Value) -> Self {
        Self { value, pending: 0 }
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(variables: &'a Variables, budget: &'a mut Budget) -> Self {
        Self { variables, locals: Vec::new(), budget }
    }

    pub(super) fn run(&mut self, expr: &Expr) -> Outcome {
        self.budget.charge(1)?;
        match expr {
            Expr::Literal(value) => Ok(value.clone()),
            Expr::Local(slot, base) => {
                self.charge(*base)?;
                let Some(local) = self.locals.get_mut(*slot) else { return failed("undeclared reference") };
                self.budget.cost(std::mem::take(&mut local.pending))?;
                Ok(local.value.clone())
            }
            Expr::Root(root, base) => {
                self.charge(*base)?;
                Ok(match root {
                    Root::Request => self.variables.request.clone(),
                    Root::Object => self.variables.object.clone(),
                    Root::OldObject => self.variables.old_object.clone(),
                    Root::Null => Value::Null,
                })
            }
            Expr::Select { operand, field, optional, base } => {
                let operand = self.run(operand)?;
                self.charge(*base)?;
                self.look_up(&operand, *optional, |value| operators::field(value, field))?.map_or_else(
                    || match field {
                        Key::String(name) => Err(Fault::no_such_key(name)),
                        _ => failed("no such key"),
                    },
                    Ok,
                )
            }
            Expr::Index { operand, index, optional, base } => {
                let operand = self.run(operand)?;
                let index = self.run(index)?;
                self.charge(*base)?;
                // The key may come from the review: it stays out of the message.
                self.look_up(&operand, *optional, |value| operators::at(value, &index))?.map_or_else(
                    || failed(if let Value::List(_) = operand { "index out of bounds" } else { "no such key" }),
                    Ok,
                )
            }
            Expr::Has { operand, field } => {
                let operand = self.run(operand)?;
                let found = match &operand {
                    Value::Optional(None) => return Ok(Value::Bool(false)),
                    Value::Optional(Some(inner)) => operators::field(inner, field)?,
                    value => operators::field(value, field)?,
                };
                self.budget.cost(u64::from(found.is_some() || !matches!(operand, Value::Optional(_))))?;
                Ok(Value::Bool(found.is_some()))
            }
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
            Expr::Call { name, cost, overloads, arguments } => self.call(name, *cost, overloads, arguments),
            Expr::Loop(comprehension) => self.comprehend(comprehension),
            Expr::OrElse { target, alternative, unwrap } => match self.run(target)? {
                Value::Optional(Some(inner)) if *unwrap => Ok(Value::clone(&inner)),
                Value::Optional(None) => self.run(alternative),
                value => Ok(value),
            },
            Expr::MapOptional { target, body, flat } => self.map_optional(target, body, *flat),
        }
    }

    fn charge(&mut self, base: Base) -> Result<(), Fault> {
        self.budget.cost(u64::from(base == Base::Charged))
    }

    /// What `find` finds in `operand`, or in what it holds if it is optional. None: missing, which is an error.
    fn look_up(
        &mut self,
        operand: &Value,
        optional: bool,
        find: impl FnOnce(&Value) -> Result<Option<Value>, Fault>,
    ) -> Result<Option<Value>, Fault> {
        let value = match operand {
            Value::Optional(None) => return Ok(Some(Value::Optional(None))),
            Value::Optional(Some(inner)) => inner,
            value if optional => value,
            value => {
                self.budget.cost(1)?;
                return find(value);
            }
        };
        let found = find(value)?;
        self.budget.cost(u64::from(found.is_some()))?;
        Ok(Some(Value::Optional(found.map(Arc::new))))
    }

    fn call(&mut self, name: &str, cost: Cost, overloads: &[Call], arguments: &[Expr]) -> Outcome {
        let before = self.budget.mark();
        let mut few = [const { Value::Null }; FEW];
        let mut many;
        let values: &mut [Value] = if arguments.len() <= FEW {
            &mut few[..arguments.len()]
        } else {
            many = vec![Value::Null; arguments.len()];
            &mut many
        };
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = self.run(argument)?;
        }
        if !cost.needs_result() {
            self.budget.cost(cost.units(values, &Value::Null))?;
        }
        for call in overloads {
            match call(values, self.budget) {
                Err(Fault::Overload) => {}
                Err(fault) => return Err(fault),
                Ok(value) => {
                    if cost.needs_result() {
                        self.budget.cost(cost.units(values, &value))?;
                    }
                    self.budget.keep(before, &value)?;
                    return Ok(value);
                }
            }
        }
        Err(no_overload(name))
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
        self.budget.cost(cost::LIST)?;
        self.budget.memory(items.len() * size_of::<Value>())?;
        Ok(Value::List(items.into()))
    }

    fn map(&mut self, entries: &[Entry]) -> Outcome {
        let mut map = Map::new();
        for entry in entries {
            let key = self.run(&entry.key)?;
            let Some(key) = Key::of(&key) else { return failed("unsupported key type") };
            match self.run(&entry.value)? {
                value if !entry.optional => map.insert(key, value),
                Value::Optional(Some(inner)) => map.insert(key, Value::clone(&inner)),
                Value::Optional(None) => map.remove(&key),
                _ => return failed("an optional entry is not an optional value"),
            };
        }
        self.budget.cost(cost::MAP)?;
        self.budget.memory(map.len() * ENTRY)?;
        Ok(Value::Map(Arc::new(map)))
    }

    /// Kubernetes evaluates the target once for `hasValue` and once more for `value`.
    fn map_optional(&mut self, target: &Expr, body: &Expr, flat: bool) -> Outcome {
        let before = self.budget.spent();
        let target = self.run(target)?;
        let again = self.budget.spent() - before;
        self.budget.cost(1)?;
        let inner = match target {
            Value::Optional(Some(inner)) => inner,
            Value::Optional(None) => {
                self.budget.cost(1)?;
                return Ok(Value::Optional(None));
            }
            _ => return Err(no_overload("hasValue")),
        };
        let base = self.locals.len();
        self.locals.push(Local { value: Value::clone(&inner), pending: again + 1 });
        let outcome = self.run(body);
        self.locals.truncate(base);
        if flat {
            return outcome;
        }
        self.budget.cost(1)?;
        outcome.map(Value::some)
    }

    fn comprehend(&mut self, comprehension: &Loop) -> Outcome {
        let range = self.run(&comprehension.range)?;
        let base = self.locals.len();
        let outcome = match &range {
            Value::List(items) => {
                let pairs = items.iter().enumerate().map(|(at, item)| (Value::Int(at as i64), item.clone()));
                self.fold(comprehension, pairs, base)
            }
            Value::Map(map) if comprehension.two_variables => {
                self.fold(comprehension, map.iter().map(|(key, value)| (key.value(), value.clone())), base)
            }
            Value::Map(map) => self.fold(comprehension, map.keys().map(|key| (Value::Null, key.value())), base),
            _ => failed("the range of a comprehension is neither a list nor a map"),
        };
        self.locals.truncate(base);
        outcome
    }

    fn fold(&mut self, comprehension: &Loop, pairs: impl Iterator<Item = (Value, Value)>, base: usize) -> Outcome {
        let Loop { fold, filter, body, .. } = comprehension;
        let fold = *fold;
        let costs = Costs::of(comprehension);
        let mut matches = 0_usize;
        let mut error = None;
        let mut items = Vec::new();
        let mut sorted = Vec::new();
        let mut map = Map::new();
        let mut decided = false;
        for (first, second) in pairs {
            self.budget.charge(1)?;
            self.budget.cost(costs.look)?;
            if decided {
                break;
            }
            self.locals.truncate(base);
            if comprehension.two_variables {
                self.locals.push(first.clone().into());
            }
            self.locals.push(second.clone().into());
            if let Some(filter) = filter {
                match self.run(filter)? {
                    Value::Bool(true) => {}
                    Value::Bool(false) => continue,
                    _ => return failed("the filter of a comprehension is not bool"),
                }
            }
            self.budget.cost(costs.step)?;
            let value = match self.run(body) {
                Ok(value) => value,
                Err(fault) if fault.is_absorbed() && matches!(fold, Fold::All | Fold::Exists) => {
                    error = error.or(Some(fault));
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            match (fold, value) {
                (Fold::All | Fold::Exists, Value::Bool(flag)) => decided = flag == (fold == Fold::Exists),
                (Fold::All | Fold::Exists, _) => error = error.or(Some(not_bool())),
                (Fold::ExistsOne | Fold::Filter, Value::Bool(false)) => {}
                (Fold::ExistsOne, Value::Bool(true)) => {
                    self.budget.cost(costs.kept)?;
                    matches += 1;
                }
                (Fold::Filter, Value::Bool(true)) => {
                    self.budget.cost(costs.kept)?;
                    self.budget.memory(size_of::<Value>())?;
                    items.push(second);
                }
                (Fold::ExistsOne | Fold::Filter, _) => return Err(not_bool()),
                (Fold::Collect, value) => {
                    self.budget.memory(size_of::<Value>())?;
                    items.push(value);
                }
                (Fold::SortBy(_), value) => {
                    self.budget.memory(2 * size_of::<Value>())?;
                    items.push(value);
                    sorted.push(second);
                }
                (Fold::TransformMap, value) => {
                    let Some(key) = Key::of(&first) else { return failed("unsupported key type") };
                    self.budget.memory(ENTRY)?;
                    insert(&mut map, key, value)?;
                }
                (Fold::TransformMapEntry, Value::Map(entries)) => {
                    self.budget.charge(entries.len())?;
                    self.budget.memory(entries.len() * ENTRY)?;
                    for (key, value) in entries.iter() {
                        insert(&mut map, key.clone(), value.clone())?;
                    }
                }
                (Fold::TransformMapEntry, _) => return failed("transformMapEntry needs a map of entries"),
            }
        }
        self.budget.cost(costs.end)?;
        match fold {
            Fold::All | Fold::Exists if decided => Ok(Value::Bool(fold == Fold::Exists)),
            Fold::All | Fold::Exists => error.map_or(Ok(Value::Bool(fold == Fold::All)), Err),
            Fold::ExistsOne => Ok(Value::Bool(matches == 1)),
            Fold::Collect | Fold::Filter => Ok(Value::List(items.into())),
            Fold::SortBy(cost) => {
                let keys = Value::List(items.into());
                self.budget.cost(cost.units(std::slice::from_ref(&keys), &Value::Null))?;
                let Value::List(keys) = &keys else { return Err(Fault::Overload) };
                lists::sort_by(sorted, keys, self.budget)
            }
            Fold::TransformMap | Fold::TransformMapEntry => Ok(Value::Map(Arc::new(map))),
        }
    }
}

/// What a comprehension costs beside its range, filter and body.
struct Costs {
    /// For each element: the condition that says whether to go on.
    look: u64,
    /// For each element that passes the filter.
    step: u64,
    /// For each element for which the body is true.
    kept: u64,
    end: u64,
}

impl Costs {
    fn of(comprehension: &Loop) -> Self {
        let made = if let Expr::Literal(_) = comprehension.body { 0 } else { cost::LIST };
        let (look, step, kept, end) = match comprehension.fold {
            Fold::All => (2, 1, 0, 1),
            Fold::Exists => (3, 1, 0, 1),
            Fold::ExistsOne => (0, 0, 2, 2),
            Fold::Filter => (0, 0, 3 + cost::LIST, 1),
            Fold::Collect => (0, 2 + made, 0, 1),
            Fold::SortBy(_) => (0, 2 + made, 0, 3),
            Fold::TransformMap => (0, 3, 0, 1),
            Fold::TransformMapEntry => (0, 2, 0, 1),
        };
        Self { look, step, kept, end }
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

/// Arguments that need no allocation.
const FEW: usize = 3;
/// Bytes of a map's entry, about.
const ENTRY: usize = 2 * size_of::<Value>() + size_of::<Key>();
