//! URLs as Go's `net/url` splits them: absolute, or an absolute path. Nothing is normalized but the scheme.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{Function, function, net::text};
use crate::cel::{
    budget::{Budget, Fault, Outcome, failed},
    value::{Key, Map, Value},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function(&["url(string) -> kubernetes.URL"], |args, budget| match Address::parse(text(args, budget)?) {
        Some(address) => Ok(Value::Url(Arc::new(address))),
        None => failed("url(): neither an absolute URL nor an absolute path"),
    }),
    function(&["isURL(string) -> bool"], |args, budget| Ok(Value::Bool(Address::parse(text(args, budget)?).is_some()))),
    function(&["kubernetes.URL.getScheme() -> string"], |args, budget| part(args, budget, |url| url.scheme.clone())),
    function(&["kubernetes.URL.getHost() -> string"], |args, budget| part(args, budget, |url| url.host.clone())),
    function(&["kubernetes.URL.getHostname() -> string"], |args, budget| {
        part(args, budget, |url| url.name_and_port().0)
    }),
    function(&["kubernetes.URL.getPort() -> string"], |args, budget| part(args, budget, |url| url.name_and_port().1)),
    function(&["kubernetes.URL.getEscapedPath() -> string"], |args, budget| part(args, budget, |url| url.path.clone())),
    function(&["kubernetes.URL.getQuery() -> map(string, list(string))"], query),
];

pub(super) fn is_request_uri(text: &str) -> bool {
    Address::parse(text).is_some()
}

#[derive(PartialEq, Eq)]
pub(in crate::cel) struct Address {
    scheme: String,
    user: String,
    host: String,
    /// Escaped.
    path: String,
    query: String,
    fragment: String,
}

/// What expressions can see of it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.scheme, self.host, self.path, self.query)
    }
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (scheme, rest) = split_scheme(text)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut url = Self {
            scheme: scheme.to_ascii_lowercase(),
            user: String::new(),
            host: String::new(),
            path: String::new(),
            query: query.to_owned(),
            fragment: unescape(fragment)?,
        };
        if !rest.starts_with('/') {
            // An opaque URL such as mailto:someone has neither host nor path.
            return (!scheme.is_empty()).then_some(url).map(|mut url| {
                url.user = rest.to_owned();
                url
            });
        }
        let path = match rest.strip_prefix("//") {
            Some(rest) if !scheme.is_empty() || !rest.starts_with('/') => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
                url.user = valid_user(user)?;
                url.host = valid_host(host)?;
                path
            }
            _ => rest,
        };
        url.path = escaped_path(path)?;
        Some(url)
    }

    fn name_and_port(&self) -> (String, String) {
        let (name, port) = match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
            _ => (&*self.host, ""),
        };
        let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        (name.to_owned(), port.to_owned())
    }
}

/// None: the scheme is missing before its colon.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return None,
            b':' => return Some((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Some(("", text))
}

fn valid_user(user: &str) -> Option<String> {
    let fine = user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte));
    unescape(user).filter(|_| fine)
}

fn valid_host(host: &str) -> Option<String> {
    let port = match host.strip_prefix('[') {
        Some(rest) => rest.rsplit_once(']')?.1,
        None => host.rfind(':').map_or("", |at| &host[at..]),
    };
    let digits = port.strip_prefix(':').unwrap_or("");
    if !(port.is_empty() || port.starts_with(':')) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fine = |byte: u8| byte >= 0x80 || byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]<>\"%".contains(&byte);
    // Within brackets `%` begins a zone; elsewhere only what is no ASCII may be escaped.
    let escapes = host.starts_with('[')
        || host.match_indices('%').all(|(at, _)| {
            host.get(at + 1..at + 2).is_some_and(|digit| {
                digit.starts_with(['8', '9', 'a', 'b', 'c', 'd', 'e', 'f', 'A', 'B', 'C', 'D', 'E', 'F'])
            })
        });
    if !host.bytes().all(fine) || !escapes {
        return None;
    }
    unescape(host)
}

/// As it is if it is escaped already, else escaped anew.
fn escaped_path(path: &str) -> Option<String> {
    let plain = unescape_bytes(path)?;
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~$&+,/:;=@".contains(&byte);
    if path.bytes().all(|byte| stays(byte) || b"!'()*[]%".contains(&byte)) {
        return Some(path.to_owned());
    }
    let mut escaped = String::with_capacity(path.len() + 16);
    for byte in plain {
        if stays(byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    Some(escaped)
}

/// None: a `%` without two hexadecimal digits. What is no UTF-8 becomes U+FFFD.
fn unescape(text: &str) -> Option<String> {
    unescape_bytes(text).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn unescape_bytes(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, next)) = rest.split_first() {
        rest = next;
        if byte == b'%' {
            let (digits, next) = rest.split_at_checked(2)?;
            let digit = |byte: u8| char::from(byte).to_digit(16);
            bytes.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
            rest = next;
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

fn part(args: &[Value], budget: &mut Budget, of: fn(&Address) -> String) -> Outcome {
    let [Value::Url(url)] = args else { return Err(Fault::Overload) };
    budget.bytes(url.host.len() + url.path.len())?;
    Ok(Value::string(of(url)))
}

/// Pairs that cannot be read are dropped, as by Go's `Query()`.
fn query(args: &[Value], budget: &mut Budget) -> Outcome {
    let [Value::Url(url)] = args else { return Err(Fault::Overload) };
    budget.bytes(2 * url.query.len())?;
    let mut values: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for pair in url.query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        budget.charge(1)?;
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Some(name), Some(value)) = (unescape(&name.replace('+', " ")), unescape(&value.replace('+', " "))) {
            values.entry(name).or_default().push(Value::string(value));
        }
    }
    let map: Map =
        values.into_iter().map(|(name, values)| (Key::String(name.into()), Value::List(values.into()))).collect();
    Ok(Value::Map(Arc::new(map)))
}
