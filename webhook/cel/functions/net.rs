//! IP addresses and networks. No zones, no IPv4 in IPv6, no leading zeros, as in Kubernetes.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Function, function};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(&["ip(string) -> net.IP"], |args, budget| Ok(Value::Ip(address_of(args.first(), budget)?))),
    function(&["isIP(string) -> bool"], |args, budget| is(text(args, budget)?, |text| parse_ip(text).is_some())),
    function(&["ip.isCanonical(string) -> bool"], |args, budget| {
        let address = address_of(args.first(), budget)?;
        is(text(args, budget)?, |text| address.to_string() == text)
    }),
    function(&["cidr(string) -> net.CIDR"], |args, budget| Ok(Value::Cidr(network_of(args.first(), budget)?))),
    function(&["isCIDR(string) -> bool"], |args, budget| is(text(args, budget)?, |text| parse_cidr(text).is_some())),
    function(&["net.IP.family() -> int"], |args, _| match args {
        [Value::Ip(address)] => Ok(Value::Int(if address.is_ipv4() { 4 } else { 6 })),
        _ => Err(Fault::Overload),
    }),
    function(&["net.IP.isUnspecified() -> bool"], |args, _| property(args, |address| address.is_unspecified())),
    function(&["net.IP.isLoopback() -> bool"], |args, _| property(args, |address| address.is_loopback())),
    function(&["net.IP.isLinkLocalMulticast() -> bool"], |args, _| property(args, link_local_multicast)),
    function(&["net.IP.isLinkLocalUnicast() -> bool"], |args, _| property(args, link_local_unicast)),
    function(&["net.IP.isGlobalUnicast() -> bool"], |args, _| property(args, global_unicast)),
    function(
        &["net.CIDR.containsIP(string) -> bool", "net.CIDR.containsIP(net.IP) -> bool"],
        |args, budget| match args {
            [Value::Cidr(network), other] => Ok(Value::Bool(network.contains(&address_of(Some(other), budget)?))),
            _ => Err(Fault::Overload),
        },
    ),
    function(&["net.CIDR.containsCIDR(string) -> bool", "net.CIDR.containsCIDR(net.CIDR) -> bool"], |args, budget| {
        match args {
            [Value::Cidr(network), other] => Ok(Value::Bool(network.contains(&network_of(Some(other), budget)?))),
            _ => Err(Fault::Overload),
        }
    }),
    function(&["net.CIDR.ip() -> net.IP"], |args, _| match args {
        [Value::Cidr(network)] => Ok(Value::Ip(network.addr())),
        _ => Err(Fault::Overload),
    }),
    function(&["net.CIDR.masked() -> net.CIDR"], |args, _| match args {
        [Value::Cidr(network)] => Ok(Value::Cidr(network.trunc())),
        _ => Err(Fault::Overload),
    }),
    function(&["net.CIDR.prefixLength() -> int"], |args, _| match args {
        [Value::Cidr(network)] => Ok(Value::Int(i64::from(network.prefix_len()))),
        _ => Err(Fault::Overload),
    }),
];

fn is(text: &str, holds: impl FnOnce(&str) -> bool) -> Outcome {
    Ok(Value::Bool(holds(text)))
}

pub(super) fn text<'a>(args: &'a [Value], budget: &mut Budget) -> Result<&'a str, Fault> {
    let [Value::String(text)] = args else { return Err(Fault::Overload) };
    budget.bytes(text.len())?;
    Ok(text)
}

fn address_of(value: Option<&Value>, budget: &mut Budget) -> Result<IpAddr, Fault> {
    match value {
        Some(Value::Ip(address)) => Ok(*address),
        Some(Value::String(text)) => {
            budget.bytes(text.len())?;
            parse_ip(text).map_or_else(|| failed("not an IP address"), Ok)
        }
        _ => Err(Fault::Overload),
    }
}

fn network_of(value: Option<&Value>, budget: &mut Budget) -> Result<IpNet, Fault> {
    match value {
        Some(Value::Cidr(network)) => Ok(*network),
        Some(Value::String(text)) => {
            budget.bytes(text.len())?;
            parse_cidr(text).map_or_else(|| failed("not a network in CIDR notation"), Ok)
        }
        _ => Err(Fault::Overload),
    }
}

fn parse_ip(text: &str) -> Option<IpAddr> {
    let address = text.parse().ok()?;
    match address {
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => None,
        address => Some(address),
    }
}

fn parse_cidr(text: &str) -> Option<IpNet> {
    let (address, bits) = text.rsplit_once('/')?;
    let canonical = !bits.starts_with('+') && (bits == "0" || !bits.starts_with('0'));
    IpNet::new(parse_ip(address)?, bits.parse().ok().filter(|_| canonical)?).ok()
}

fn property(args: &[Value], holds: fn(&IpAddr) -> bool) -> Outcome {
    match args {
        [Value::Ip(address)] => Ok(Value::Bool(holds(address))),
        _ => Err(Fault::Overload),
    }
}

fn link_local_multicast(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => matches!(address.octets(), [224, 0, 0, _]),
        IpAddr::V6(address) => matches!(address.octets(), [0xff, scope, ..] if scope & 0x0f == 2),
    }
}

fn link_local_unicast(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn global_unicast(address: &IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(broadcast
        || address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || link_local_unicast(address))
}
