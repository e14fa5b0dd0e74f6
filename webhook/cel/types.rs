//! The types that expressions are checked with before they run: declared once as text, `list(A)`, and printed the same.

use std::{fmt, sync::Arc};

use super::{
    lower::schema,
    value::{Kind, Value},
};

/// A type as the checker knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Known only when it runs.
    Dyn,
    /// Everything without parameters; never a list, a map, an optional value or a type.
    Plain(Kind),
    List(Arc<Type>),
    Map(Arc<Type>, Arc<Type>),
    Optional(Arc<Type>),
    /// The type of a type.
    Meta(Arc<Type>),
    /// With declared fields, such as `request`.
    Object(&'static Object),
    /// A parameter of a signature, such as `A`.
    Parameter(char),
    /// Not known yet: the number of a variable of [`Unifier`].
    ///
    /// [`Unifier`]: super::unify::Unifier
    Unknown(usize),
}

/// A type with declared fields.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) name: &'static str,
    /// Names and types.
    pub(super) fields: &'static [(&'static str, &'static str)],
}

impl Object {
    pub(super) fn field(&self, name: &str) -> Option<Type> {
        self.fields.iter().find(|field| field.0 == name).and_then(|field| Type::parse(field.1))
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Object {}

impl Type {
    /// None: the text names no type.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let inner = |prefix: &str| text.strip_prefix(prefix)?.strip_suffix(')');
        if let Some(inner) = inner("list(") {
            return Some(Self::List(Arc::new(Self::parse(inner)?)));
        }
        if let Some(inner) = inner("map(") {
            let [key, value] = &split(inner)[..] else { return None };
            return Some(Self::Map(Arc::new(Self::parse(key)?), Arc::new(Self::parse(value)?)));
        }
        if let Some(inner) = inner("optional_type(") {
            return Some(Self::Optional(Arc::new(Self::parse(inner)?)));
        }
        if let Some(inner) = inner("type(") {
            return Some(Self::Meta(Arc::new(Self::parse(inner)?)));
        }
        match text {
            "dyn" => Some(Self::Dyn),
            "duration" => Some(Self::Plain(Kind::Duration)),
            "timestamp" => Some(Self::Plain(Kind::Timestamp)),
            _ if text.len() == 1 && text.as_bytes()[0].is_ascii_uppercase() => text.chars().next().map(Self::Parameter),
            _ if let Some(object) = schema::object(text) => Some(Self::Object(object)),
            _ => Kind::named(text)
                .filter(|kind| !matches!(kind, Kind::List | Kind::Map | Kind::Optional | Kind::Type))
                .map(Self::Plain),
        }
    }

    /// The type of a literal.
    pub(super) fn of(value: &Value) -> Self {
        match value.kind() {
            Kind::List => Self::list(Self::Dyn),
            Kind::Map => Self::map(Self::Dyn, Self::Dyn),
            kind => Self::Plain(kind),
        }
    }

    pub(super) fn list(item: Self) -> Self {
        Self::List(Arc::new(item))
    }

    pub(super) fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new(key), Arc::new(value))
    }

    pub(super) fn optional(inner: Self) -> Self {
        Self::Optional(Arc::new(inner))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => out.write_str("dyn"),
            Self::Plain(Kind::Duration) => out.write_str("duration"),
            Self::Plain(Kind::Timestamp) => out.write_str("timestamp"),
            Self::Plain(kind) => out.write_str(kind.name()),
            Self::List(item) => write!(out, "list({item})"),
            Self::Map(key, value) => write!(out, "map({key}, {value})"),
            Self::Optional(inner) => write!(out, "optional_type({inner})"),
            Self::Meta(inner) => write!(out, "type({inner})"),
            Self::Object(object) => out.write_str(object.name),
            Self::Parameter(name) => write!(out, "{name}"),
            Self::Unknown(_) => out.write_str("dyn"),
        }
    }
}

/// At commas outside of brackets.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let parts = text.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}
