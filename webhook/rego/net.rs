//! `net.cidr_…`: networks as Go's `net.ParseCIDR` reads them. An IPv4 address in IPv6 is one of IPv4.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{
    Fault, Function, Outcome, function,
    value::Value,
    work::{Exhausted, Work},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function("net.cidr_contains_matches", 2, contains_matches),
    function("net.cidr_expand", 1, expand),
    function("net.cidr_is_valid", 1, is_valid),
];

/// All addresses of a network.
fn expand(arguments: &[Value], work: &mut Work) -> Outcome {
    let [Value::String(text)] = arguments else { return Err(Fault::Undefined) };
    let network = Network::parse(text).ok_or(Fault::Undefined)?;
    let count = 1_usize.checked_shl(u32::from(network.bits() - network.prefix)).ok_or(Exhausted)?;
    work.bytes(count.checked_mul(size_of::<Value>() + MAX_ADDRESS).ok_or(Exhausted)?)?;
    work.steps(count * STEPS_AN_ADDRESS)?;
    let last = network.first + (count as u128 - 1);
    let addresses: BTreeSet<Value> =
        (network.first..=last).map(|it| Value::string(network.address(it).to_string())).collect();
    Ok(Value::Set(addresses))
}

fn is_valid(arguments: &[Value], work: &mut Work) -> Outcome {
    let [Value::String(text)] = arguments else { return Ok(Value::Bool(false)) };
    work.steps(text.len() / 8)?;
    Ok(Value::Bool(Network::parse(text).is_some()))
}

/// Pairs of what names a network and what names one, or an address, within it.
fn contains_matches(arguments: &[Value], work: &mut Work) -> Outcome {
    let [networks, parts] = arguments else { return Err(Fault::Undefined) };
    let (networks, parts) = (named(networks, work)?, named(parts, work)?);
    let mut found = BTreeSet::new();
    for (network, network_name) in &networks {
        for (part, part_name) in &parts {
            work.steps(STEPS_AN_ADDRESS + (network.len() + part.len()) / 8)?;
            let network = Network::parse(network).ok_or(Fault::Undefined)?;
            let part = Network::address_or_network(part).ok_or(Fault::Undefined)?;
            if network.contains(&part) {
                work.bytes(size_of::<Value>())?;
                found.insert(Value::Array(vec![network_name.copied(work)?, part_name.copied(work)?]));
            }
        }
    }
    Ok(Value::Set(found))
}

/// Each network with its name: itself, its place in an array, its key, the element of a set.
fn named<'v>(value: &'v Value, work: &mut Work) -> Result<Vec<(&'v str, Value)>, Fault> {
    /// A network may be the first of a list.
    fn text(value: &Value) -> Result<&str, Fault> {
        match value {
            Value::Array(values) => values.first().ok_or(Fault::Undefined)?.text(),
            other => other.text(),
        }
    }
    match value {
        Value::String(network) => Ok(vec![(network, value.copied(work)?)]),
        Value::Array(values) => {
            let place = |at| Value::int(i64::try_from(at).unwrap_or(i64::MAX));
            values.iter().enumerate().map(|(at, it)| Ok((text(it)?, place(at)))).collect()
        }
        Value::Set(values) => values.iter().map(|it| Ok((text(it)?, it.copied(work)?))).collect(),
        Value::Object(object) => object.iter().map(|(key, it)| Ok((text(it)?, key.copied(work)?))).collect(),
        _ => Ok(Vec::new()),
    }
}

struct Network {
    is_ipv4: bool,
    first: u128,
    /// Up to [`Self::bits`].
    prefix: u8,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let digits = prefix.trim_start_matches('0');
        if prefix.is_empty() || digits.len() > 3 || !prefix.bytes().all(|it| it.is_ascii_digit()) {
            return None;
        }
        let prefix: u16 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        let (bits, first) = match address.parse().ok()? {
            IpAddr::V4(address) => (32, u128::from(u32::from(address))),
            IpAddr::V6(address) => (128, u128::from(address)),
        };
        let prefix = u8::try_from(prefix).ok().filter(|it| *it <= bits)?;
        let first = first & !Self::rest(bits - prefix);
        // In IPv6 as ::ffff:1.2.3.4
        Some(if bits == 128 && first >> 32 == 0xffff && prefix >= 96 {
            Self { is_ipv4: true, first: first & u128::from(u32::MAX), prefix: prefix - 96 }
        } else {
            Self { is_ipv4: bits == 32, first, prefix }
        })
    }

    fn address_or_network(text: &str) -> Option<Self> {
        let Ok(address) = text.parse::<IpAddr>() else { return Self::parse(text) };
        Some(match address.to_canonical() {
            IpAddr::V4(address) => Self { is_ipv4: true, first: u32::from(address).into(), prefix: 32 },
            IpAddr::V6(address) => Self { is_ipv4: false, first: address.into(), prefix: 128 },
        })
    }

    fn contains(&self, other: &Self) -> bool {
        self.is_ipv4 == other.is_ipv4
            && self.prefix <= other.prefix
            && self.first == other.first & !Self::rest(self.bits() - self.prefix)
    }

    fn bits(&self) -> u8 {
        if self.is_ipv4 { 32 } else { 128 }
    }

    fn address(&self, number: u128) -> IpAddr {
        match u32::try_from(number) {
            Ok(number) if self.is_ipv4 => IpAddr::V4(Ipv4Addr::from(number)),
            _ => IpAddr::V6(Ipv6Addr::from(number)),
        }
    }

    /// As many ones as `bits` says, at the end.
    fn rest(bits: u8) -> u128 {
        1_u128.checked_shl(bits.into()).map_or(u128::MAX, |it| it - 1)
    }
}

/// Letters of an address.
const MAX_ADDRESS: usize = 40;
const STEPS_AN_ADDRESS: usize = 30;
