//! Whether one type may stand where another is wanted, as cel-go's checker decides it: `dyn` fits everywhere, null fits
//! messages, times and opaque types, and what is unknown becomes known by where it stands.

use super::{types::Type, value::Kind};

/// What became known of the unknown types of one expression.
#[derive(Default)]
pub(super) struct Unifier {
    known: Vec<Option<Type>>,
}

impl Unifier {
    /// A type that nothing is known of yet, as of the elements of `[]`.
    pub(super) fn unknown(&mut self) -> Type {
        self.known.push(None);
        Type::Unknown(self.known.len() - 1)
    }

    /// Whether `given` fits `wanted`, each for each. What is learned stays only if all fit.
    pub(super) fn fit<'a>(&mut self, pairs: impl IntoIterator<Item = (&'a Type, &'a Type)>) -> bool {
        let before = self.known.clone();
        let fits = pairs.into_iter().all(|(given, wanted)| self.fits(given, wanted));
        if !fits {
            self.known = before;
        }
        fits
    }

    /// `typ` with all that is known by now.
    pub(super) fn resolve(&self, typ: &Type) -> Type {
        match typ {
            Type::Unknown(at) => match &self.known[*at] {
                Some(known) => self.resolve(known),
                None => typ.clone(),
            },
            Type::List(item) => Type::list(self.resolve(item)),
            Type::Map(key, value) => Type::map(self.resolve(key), self.resolve(value)),
            Type::Optional(inner) => Type::optional(self.resolve(inner)),
            Type::Meta(inner) => Type::Meta(self.resolve(inner).into()),
            other => other.clone(),
        }
    }

    /// The same; what is still unknown is `dyn`.
    pub(super) fn settle(&self, typ: &Type) -> Type {
        match self.resolve(typ) {
            Type::Unknown(_) => Type::Dyn,
            Type::List(item) => Type::list(self.settle(&item)),
            Type::Map(key, value) => Type::map(self.settle(&key), self.settle(&value)),
            Type::Optional(inner) => Type::optional(self.settle(&inner)),
            Type::Meta(inner) => Type::Meta(self.settle(&inner).into()),
            other => other,
        }
    }

    /// The signature's types with fresh unknown ones for its parameters.
    pub(super) fn instantiate(&mut self, types: &[&Type]) -> Vec<Type> {
        let mut fresh: Vec<(char, Type)> = Vec::new();
        types.iter().map(|typ| self.replace(typ, &mut fresh)).collect()
    }

    fn replace(&mut self, typ: &Type, fresh: &mut Vec<(char, Type)>) -> Type {
        match typ {
            Type::Parameter(name) => match fresh.iter().find(|(known, _)| known == name) {
                Some((_, typ)) => typ.clone(),
                None => {
                    let typ = self.unknown();
                    fresh.push((*name, typ.clone()));
                    typ
                }
            },
            Type::List(item) => Type::list(self.replace(item, fresh)),
            Type::Map(key, value) => Type::map(self.replace(key, fresh), self.replace(value, fresh)),
            Type::Optional(inner) => Type::optional(self.replace(inner, fresh)),
            Type::Meta(inner) => Type::Meta(self.replace(inner, fresh).into()),
            other => other.clone(),
        }
    }

    fn fits(&mut self, given: &Type, wanted: &Type) -> bool {
        if let Type::Unknown(at) = wanted {
            match self.learn(given, *at) {
                Learned::Fits => return true,
                Learned::Differs => return false,
                // Perhaps the other way around.
                Learned::Cyclic => {}
            }
        }
        if let Type::Unknown(at) = given {
            return matches!(self.learn(wanted, *at), Learned::Fits);
        }
        match (given, wanted) {
            (Type::Dyn, _) | (_, Type::Dyn) => true,
            (Type::Plain(Kind::Null), other) | (other, Type::Plain(Kind::Null)) => nullable(other),
            (Type::Plain(given), Type::Plain(wanted)) => given == wanted,
            (Type::Object(given), Type::Object(wanted)) => given == wanted,
            (Type::Meta(_), Type::Meta(_)) => true,
            (Type::List(given), Type::List(wanted)) | (Type::Optional(given), Type::Optional(wanted)) => {
                self.fits(given, wanted)
            }
            (Type::Map(key, value), Type::Map(wanted_key, wanted_value)) => {
                self.fits(key, wanted_key) && self.fits(value, wanted_value)
            }
            _ => false,
        }
    }

    fn learn(&mut self, typ: &Type, at: usize) -> Learned {
        if *typ == Type::Unknown(at) {
            return Learned::Fits;
        }
        match self.known[at].clone() {
            Some(known) if *typ == known => Learned::Fits,
            Some(known) => {
                if !self.fits(typ, &known) {
                    return Learned::Differs;
                }
                let general = general(typ, &known);
                if !self.occurs(at, general) {
                    self.known[at] = Some(general.clone());
                }
                Learned::Fits
            }
            None if self.occurs(at, typ) => Learned::Cyclic,
            None => {
                self.known[at] = Some(typ.clone());
                Learned::Fits
            }
        }
    }

    fn occurs(&self, at: usize, within: &Type) -> bool {
        match within {
            Type::Unknown(other) => {
                *other == at || self.known[*other].as_ref().is_some_and(|known| self.occurs(at, known))
            }
            Type::List(inner) | Type::Optional(inner) | Type::Meta(inner) => self.occurs(at, inner),
            Type::Map(key, value) => self.occurs(at, key) || self.occurs(at, value),
            _ => false,
        }
    }
}

enum Learned {
    Fits,
    /// Something else is known already.
    Differs,
    /// The type would hold itself.
    Cyclic,
}

/// The more general of two types that fit.
pub(super) fn general<'a>(one: &'a Type, other: &'a Type) -> &'a Type {
    if covers(one, other) { one } else { other }
}

fn covers(general: &Type, special: &Type) -> bool {
    match (general, special) {
        (Type::Dyn | Type::Unknown(_), _) => true,
        (_, Type::Dyn | Type::Unknown(_)) => false,
        (Type::List(one), Type::List(other)) | (Type::Optional(one), Type::Optional(other)) => covers(one, other),
        (Type::Map(key, value), Type::Map(other_key, other_value)) => {
            covers(key, other_key) && covers(value, other_value)
        }
        (Type::Meta(_), Type::Meta(_)) => true,
        _ => general == special,
    }
}

/// What null may stand for.
fn nullable(typ: &Type) -> bool {
    match typ {
        Type::Plain(kind) => {
            !matches!(kind, Kind::Bool | Kind::Int | Kind::Uint | Kind::Double | Kind::String | Kind::Bytes)
        }
        Type::Optional(_) | Type::Object(_) => true,
        _ => false,
    }
}
