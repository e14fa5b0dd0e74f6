//! The types that expressions are checked with before they run: declared once as text, `list(A)`, and printed the same.

use std::{fmt, sync::Arc};

use super::value::Kind;

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
    Type(Arc<Type>),
    /// A parameter of a signature, such as `A`.
    Parameter(Arc<str>),
}

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
            return Some(Self::Type(Arc::new(Self::parse(inner)?)));
        }
        match text {
            "dyn" => Some(Self::Dyn),
            "duration" => Some(Self::Plain(Kind::Duration)),
            "timestamp" => Some(Self::Plain(Kind::Timestamp)),
            _ if text.len() == 1 && text.as_bytes()[0].is_ascii_uppercase() => Some(Self::Parameter(text.into())),
            _ => Kind::named(text)
                .filter(|kind| !matches!(kind, Kind::List | Kind::Map | Kind::Optional | Kind::Type))
                .map(Self::Plain),
        }
    }

    /// What kind of value it is; None: that is known only when it runs.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Dyn | Self::Parameter(_) => None,
            Self::Plain(kind) => Some(*kind),
            Self::List(_) => Some(Kind::List),
            Self::Map(..) => Some(Kind::Map),
            Self::Optional(_) => Some(Kind::Optional),
            Self::Type(_) => Some(Kind::Type),
        }
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
            Self::Type(inner) => write!(out, "type({inner})"),
            Self::Parameter(name) => out.write_str(name),
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
