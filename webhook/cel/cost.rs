//! What calls cost by Kubernetes' measure: cel-go's `interpreter/runtimecost.go` and the estimator of k8s.io/apiserver's
//! `pkg/cel/library/cost.go`, which knows the libraries. A call whose overload is only known when it runs costs 1, as
//! there, unless the estimator goes by its name.

use super::{functions::Overload, value::Value};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cost {
    Nothing,
    One,
    /// A tenth of the first argument's size.
    Scan,
    /// A fifth of it.
    ScanTwice,
    /// A fifth of the result's size.
    Result,
    /// All that the first argument holds.
    Traverse,
    /// Text times pattern.
    Search,
    /// Text times part.
    Find,
    /// As many as the list has elements.
    Elements,
    Equal,
    /// A tenth of the smaller one.
    Compare,
    /// A tenth of both together.
    Join,
    /// Of a network with an address, or with one to be parsed.
    ContainsIp {
        parsed: bool,
    },
    ContainsCidr {
        parsed: bool,
    },
    Validate,
    /// A new list of the result's size.
    Build,
    /// A new list, and the first argument's size times the depth.
    Flatten,
    /// Every element of the first argument with every other, and a new list.
    SelfCompare,
    /// Every element of one list with every one of the other, this many times.
    Sets(u64),
}

impl Cost {
    /// `overload`: the only one that fits, if there is only one.
    pub(super) fn of(name: &str, member: bool, overload: Option<&Overload>) -> Self {
        let signature: Vec<String> =
            overload.map(|overload| overload.arguments.iter().map(ToString::to_string).collect()).unwrap_or_default();
        let types: Vec<&str> = signature.iter().map(String::as_str).collect();
        match (name, &types[..]) {
            ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf", _) => Self::Traverse,
            ("url" | "lowerAscii" | "upperAscii" | "substring" | "trim", _)
            | ("cidr" | "isIP" | "isCIDR" | "quantity" | "isQuantity" | "semver" | "isSemver", _)
            | ("startsWith" | "endsWith" | "format" | "strings.quote", _)
            | ("bytes", ["string"])
            | ("string", ["bytes"]) => Self::Scan,
            ("ip", types) if types != ["net.CIDR"] => Self::Scan,
            ("replace" | "split" | "ip.isCanonical", _) => Self::ScanTwice,
            ("join", _) => Self::Result,
            // `matches(text, pattern)` is another overload, which costs 1.
            ("find" | "findAll", _) => Self::Search,
            ("matches", ["string", "string"]) if member => Self::Search,
            ("contains", _) => Self::Find,
            ("@in", [_, list]) if list.starts_with("list(") => Self::Elements,
            ("_==_", _) => Self::Equal,
            ("_!=_", _) | ("_<_" | "_<=_" | "_>_" | "_>=_", ["string" | "bytes", _]) => Self::Compare,
            ("_+_", ["string" | "bytes", _]) => Self::Join,
            ("containsIP", types) => Self::ContainsIp { parsed: types == ["net.CIDR", "string"] },
            ("containsCIDR", types) => Self::ContainsCidr { parsed: types == ["net.CIDR", "string"] },
            ("validate", _) => Self::Validate,
            ("slice" | "reverse" | "lists.range", [_, ..]) => Self::Build,
            ("flatten", [_, ..]) => Self::Flatten,
            ("distinct" | "sort" | "@sortByAssociatedKeys", [_, ..]) => Self::SelfCompare,
            ("sets.contains" | "sets.intersects", [_, ..]) => Self::Sets(1),
            ("sets.equivalent", [_, ..]) => Self::Sets(2),
            _ => Self::One,
        }
    }

    /// Whether the result must be known for it.
    pub(super) fn needs_result(self) -> bool {
        matches!(self, Self::Result | Self::Build)
    }

    pub(super) fn units(self, args: &[Value], result: &Value) -> u64 {
        let of = |at: usize| args.get(at).map_or(1, size);
        match self {
            Self::Nothing => 0,
            Self::One => 1,
            Self::Scan => tenth(of(0)),
            Self::ScanTwice => fifth(of(0)),
            Self::Result => fifth(size(result)),
            Self::Traverse => args.first().map_or(0, traverse),
            Self::Search => search(of(0), of(1)),
            Self::Find => tenth(of(0)).saturating_mul(tenth(of(1))),
            Self::Elements => of(1),
            Self::Equal if args.first().is_some_and(is_constant_size) => 1,
            Self::Equal | Self::Compare => tenth(args.iter().map(size_within).min().unwrap_or(1)),
            Self::Join => tenth(of(0) + of(1)),
            Self::ContainsIp { parsed } => tenth(2 * of(0)) + if parsed { tenth(of(1)) } else { 0 },
            Self::ContainsCidr { parsed } => {
                tenth(2 * of(0)) + tenth(of(0)) + 1 + if parsed { tenth(of(1)) } else { 0 }
            }
            Self::Validate => match args {
                [Value::Format(format), text] => search(size(text), pattern_size(format.name)),
                _ => 1,
            },
            Self::Build => 1 + LIST + size(result),
            Self::Flatten => {
                let depth = if let Some(Value::Int(depth)) = args.get(1) { *depth } else { 1 };
                let elements = of(0).saturating_mul(u64::try_from(depth).unwrap_or(0));
                elements.saturating_add(1 + LIST)
            }
            Self::SelfCompare => {
                let Some(Value::List(items)) = args.first() else { return 1 };
                let text = matches!(items.first(), Some(Value::String(_) | Value::Bytes(_)));
                let pairs = of(0).saturating_mul(of(0)) as f64;
                ((pairs * if text { 2.1 } else { 2.0 }) as u64).saturating_add(1 + LIST)
            }
            Self::Sets(times) => of(0).saturating_mul(of(1)).saturating_mul(times).saturating_add(1),
        }
    }
}

/// Elements, entries, code points or bytes; 1 for what has no size.
fn size(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.chars().count() as u64,
        Value::Pattern(pattern) => pattern.source().chars().count() as u64,
        Value::Bytes(bytes) => bytes.len() as u64,
        Value::List(items) => items.len() as u64,
        Value::Map(map) => map.len() as u64,
        Value::Ip(address) => {
            if address.is_ipv4() {
                4
            } else {
                16
            }
        }
        Value::Cidr(network) => u64::from(network.prefix_len().div_ceil(8)),
        _ => 1,
    }
}

/// The same, of what an optional value holds.
fn size_within(value: &Value) -> u64 {
    match value {
        Value::Optional(Some(inner)) => size_within(inner),
        value => size(value),
    }
}

/// Recursion as deep as the value.
fn traverse(value: &Value) -> u64 {
    match value {
        Value::String(text) => (text.len() as f64 * 0.1) as u64,
        Value::Bytes(bytes) => (bytes.len() as f64 * 0.1) as u64,
        Value::List(items) => items.iter().map(traverse).sum(),
        Value::Map(map) => map.iter().map(|(key, value)| traverse(&key.value()) + traverse(value)).sum(),
        _ => 1,
    }
}

fn is_constant_size(value: &Value) -> bool {
    matches!(
        value,
        Value::Quantity(_) | Value::Ip(_) | Value::Cidr(_) | Value::Format(_) | Value::Url(_) | Value::Semver(_)
    )
}

fn search(text: u64, pattern: u64) -> u64 {
    tenth(text.saturating_add(1)).saturating_mul((pattern as f64 * 0.25).ceil() as u64)
}

fn tenth(size: u64) -> u64 {
    (size as f64 * 0.1).ceil() as u64
}

fn fifth(size: u64) -> u64 {
    (size as f64 * 2.0 * 0.1).ceil() as u64
}

/// Of a named format: the length of a pattern that would do its work, as Kubernetes estimates it.
fn pattern_size(format: &str) -> u64 {
    match format {
        "uri" => 1103,
        "byte" => 84,
        "date" | "datetime" => 71,
        "uuid" => 70,
        "labelValue" => 40,
        "dns1123Label" | "dns1123LabelPrefix" | "dns1035Label" | "dns1035LabelPrefix" => 30,
        _ => 60,
    }
}

/// A new list, a new map.
pub(super) const LIST: u64 = 10;
pub(super) const MAP: u64 = 30;
