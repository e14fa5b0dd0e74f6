//! Lists and maps: the common type of their elements, which must be the same for all but within `format`.

use std::sync::Arc;

use super::{Lowering, Part, Typed, mismatch};
use crate::cel::{
    expr::{Base, Element, Entry, Expr},
    parser::{self, Mistake},
    types::Type,
    unify::general,
    value::{Key, Map, Value},
};

impl Lowering {
    pub(super) fn list(&mut self, elements: &[parser::Element]) -> Typed {
        self.elements(elements).map(|(list, typ, _)| (list, typ))
    }

    /// The list, its type, and its elements.
    pub(super) fn elements(&mut self, elements: &[parser::Element]) -> Result<(Expr, Type, Vec<Part>), Mistake> {
        let mut typ = None;
        let mut types = Vec::new();
        let mut lowered = Vec::with_capacity(elements.len());
        for parser::Element { value, optional } in elements {
            let (expr, element) = self.lower(value, Base::Charged)?;
            let element = if *optional { self.unwrap(value.at, &element)? } else { element };
            typ = Some(self.join(typ, &element));
            types.push(Part { at: value.at, typ: element });
            lowered.push(Element { value: expr, optional: *optional });
        }
        self.must_be_uniform(&types);
        let typ = typ.unwrap_or_else(|| self.types.unknown());
        Ok((fold_list(lowered), Type::list(typ), types))
    }

    pub(super) fn map(&mut self, entries: &[parser::Entry]) -> Typed {
        let (mut key_type, mut value_type) = (None, None);
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        let mut lowered = Vec::with_capacity(entries.len());
        for parser::Entry { key, value, optional } in entries {
            let (key_expr, typ) = self.lower(key, Base::Charged)?;
            key_type = Some(self.join(key_type, &typ));
            keys.push(Part { at: key.at, typ });
            let (value_expr, typ) = self.lower(value, Base::Charged)?;
            let typ = if *optional { self.unwrap(value.at, &typ)? } else { typ };
            value_type = Some(self.join(value_type, &typ));
            values.push(Part { at: value.at, typ });
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

    fn must_be_uniform(&mut self, types: &[Part]) {
        if self.exempt == 0 && types.len() > 1 {
            self.uniform.push(types.to_vec());
        }
    }

    pub(super) fn check_uniform(&self) -> Result<(), Mistake> {
        for types in &self.uniform {
            let mut types = types.iter().map(|part| (part.at, self.types.settle(&part.typ)));
            let Some((_, first)) = types.next() else { continue };
            if let Some((at, other)) = types.find(|(_, typ)| *typ != first) {
                return Err(mismatch(at, &first, &other));
            }
        }
        Ok(())
    }
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
