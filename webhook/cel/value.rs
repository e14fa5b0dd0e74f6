//! The values of CEL and of the Kubernetes libraries: what they are called, when they are equal, how they compare.
//!
//! Cheap to clone (shared behind `Arc`), never printed: a review may hold tokens, so there is no `Debug`.

use std::{cmp::Ordering, collections::BTreeMap, net::IpAddr, sync::Arc};

use ipnet::IpNet;
use time::OffsetDateTime;

use super::{
    budget::{Budget, Fault},
    functions::{format::Format, quantity::Quantity, regex::Pattern, url::Address},
    list::List,
};

#[derive(Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
    List(List),
    Map(Arc<Map>),
    /// Nanoseconds, as in Go.
    Duration(i64),
    Timestamp(OffsetDateTime),
    Type(Kind),
    Optional(Option<Arc<Value>>),
    /// A constant regular expression, compiled at load.
    Pattern(Arc<Pattern>),
    Url(Arc<Address>),
    Ip(IpAddr),
    Cidr(IpNet),
    Quantity(Quantity),
    Semver(Arc<semver::Version>),
    Format(&'static Format),
}

pub(super) type Map = BTreeMap<Key, Value>;

/// A key of a map. `1`, `1u` and `1.0` are one key.
#[derive(Clone)]
pub(super) enum Key {
    Bool(bool),
    Int(i64),
    Uint(u64),
    String(Arc<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    List,
    Map,
    Duration,
    Timestamp,
    Type,
    Optional,
    Url,
    Ip,
    Cidr,
    Quantity,
    Semver,
    Format,
}

impl Value {
    pub(super) fn string(text: impl Into<Arc<str>>) -> Self {
        Self::String(text.into())
    }

    pub(super) fn some(value: Self) -> Self {
        Self::Optional(Some(Arc::new(value)))
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Uint(_) => Kind::Uint,
            Self::Double(_) => Kind::Double,
            Self::String(_) | Self::Pattern(_) => Kind::String,
            Self::Bytes(_) => Kind::Bytes,
            Self::List(_) => Kind::List,
            Self::Map(_) => Kind::Map,
            Self::Duration(_) => Kind::Duration,
            Self::Timestamp(_) => Kind::Timestamp,
            Self::Type(_) => Kind::Type,
            Self::Optional(_) => Kind::Optional,
            Self::Url(_) => Kind::Url,
            Self::Ip(_) => Kind::Ip,
            Self::Cidr(_) => Kind::Cidr,
            Self::Quantity(_) => Kind::Quantity,
            Self::Semver(_) => Kind::Semver,
            Self::Format(_) => Kind::Format,
        }
    }

    /// Whether it is its type's zero value, as `optional.ofNonZeroValue` and `?` in lists mean it.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) | Self::Int(0) | Self::Uint(0) | Self::Duration(0) => true,
            Self::Double(number) => *number == 0.0,
            Self::String(text) => text.is_empty(),
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Map(map) => map.is_empty(),
            // Go's zero time, the beginning of the year 1.
            Self::Timestamp(instant) => instant.unix_timestamp_nanos() == -62_135_596_800_000_000_000,
            _ => false,
        }
    }
}

impl Kind {
    /// The name that expressions use for the type; empty where Kubernetes gives it none.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::List => "list",
            Self::Map => "map",
            Self::Duration => "google.protobuf.Duration",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Type => "type",
            Self::Optional => "optional_type",
            Self::Url => "kubernetes.URL",
            Self::Ip => "net.IP",
            Self::Cidr => "net.CIDR",
            Self::Quantity => "kubernetes.Quantity",
            Self::Semver => "kubernetes.Semver",
            Self::Format => "kubernetes.NamedFormat",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [
            Self::Null,
            Self::Bool,
            Self::Int,
            Self::Uint,
            Self::Double,
            Self::String,
            Self::Bytes,
            Self::List,
            Self::Map,
            Self::Duration,
            Self::Timestamp,
            Self::Type,
            Self::Optional,
            Self::Url,
            Self::Ip,
            Self::Cidr,
            Self::Quantity,
            Self::Semver,
            Self::Format,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

impl Key {
    /// None: not usable as a key. A whole double finds its integer.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(flag) => Some(Self::Bool(*flag)),
            Value::Int(number) => Some(Self::Int(*number)),
            Value::Uint(number) => Some(Self::Uint(*number)),
            Value::Double(number) if number.fract() == 0.0 && number.abs() < 9e18 => Some(Self::Int(*number as i64)),
            Value::String(text) => Some(Self::String(Arc::clone(text))),
            _ => None,
        }
    }

    pub(super) fn value(&self) -> Value {
        match self {
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Int(number) => Value::Int(*number),
            Self::Uint(number) => Value::Uint(*number),
            Self::String(text) => Value::String(Arc::clone(text)),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            _ => 8,
        }
    }

    fn rank(&self) -> (u8, i128, &str) {
        match self {
            Self::Bool(flag) => (0, i128::from(*flag), ""),
            Self::Int(number) => (1, i128::from(*number), ""),
            Self::Uint(number) => (1, i128::from(*number), ""),
            Self::String(text) => (2, 0, text),
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

/// CEL equality: numbers by value, everything else of different types is unequal. Depth is the depth of the values,
/// which JSON and the nesting cap bound.
pub(super) fn equal(left: &Value, right: &Value, budget: &mut Budget) -> Result<bool, Fault> {
    budget.charge(1)?;
    Ok(match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::String(a), Value::String(b)) => {
            budget.bytes(a.len().min(b.len()))?;
            a == b
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            budget.bytes(a.len().min(b.len()))?;
            a == b
        }
        (Value::List(a), Value::List(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                if !equal(a, b, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for ((key, a), (other, b)) in a.iter().zip(b.iter()) {
                budget.bytes(key.len())?;
                if key != other || !equal(a, b, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Optional(a), Value::Optional(b)) => match (a, b) {
            (Some(a), Some(b)) => equal(a, b, budget)?,
            (None, None) => true,
            _ => false,
        },
        (Value::Duration(a), Value::Duration(b)) => a == b,
        (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
        (Value::Type(a), Value::Type(b)) => a == b,
        (Value::Url(a), Value::Url(b)) => a == b,
        (Value::Ip(a), Value::Ip(b)) => a == b,
        (Value::Cidr(a), Value::Cidr(b)) => a == b,
        (Value::Quantity(a), Value::Quantity(b)) => a == b,
        (Value::Semver(a), Value::Semver(b)) => a.cmp_precedence(b).is_eq(),
        (Value::Format(a), Value::Format(b)) => a.name == b.name,
        _ => number_order(left, right).is_some_and(Ordering::is_eq),
    })
}

/// The order of two comparable values. `None`: NaN is involved. Err: these types have no order.
pub(super) fn order(left: &Value, right: &Value, budget: &mut Budget) -> Result<Option<Ordering>, Fault> {
    Ok(match (left, right) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) => {
            budget.bytes(a.len().min(b.len()))?;
            Some(a.cmp(b))
        }
        (Value::Bytes(a), Value::Bytes(b)) => {
            budget.bytes(a.len().min(b.len()))?;
            Some(a.cmp(b))
        }
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Some(a.cmp(b)),
        _ if is_number(left) && is_number(right) => number_order(left, right),
        _ => return Err(Fault::Overload),
    })
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Uint(_) | Value::Double(_))
}

/// As cel-go: beside a double every number is rounded to one.
fn number_order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Double(a), _) => a.partial_cmp(&(whole(right)? as f64)),
        (_, Value::Double(b)) => (whole(left)? as f64).partial_cmp(b),
        _ => Some(whole(left)?.cmp(&whole(right)?)),
    }
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Uint(number) => Some(i128::from(*number)),
        _ => None,
    }
}
