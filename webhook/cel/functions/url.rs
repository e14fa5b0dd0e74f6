//! URLs as Go's `net/url` splits them: absolute, or an absolute path. Nothing is normalized but the scheme.

use std::{collections::BTreeMap, fmt, net::Ipv6Addr, sync::Arc};

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
    function(&["isURL(string) -> bool"], |args, budget| Ok(Value::Bool(is_request_uri(text(args, budget)?)))),
    function(&["kubernetes.URL.getScheme() -> string"], |args, budget| part(args, budget, |url| url.scheme.clone())),
    function(&["kubernetes.URL.getHost() -> string"], |args, budget| part(args, budget, |url| url.host.clone())),
    function(&["kubernetes.URL.getHostname() -> string"], |args, budget| {
        part(args, budget, |url| url.name_and_port().0)
    }),
    function(&["kubernetes.URL.getPort() -> string"], |args, budget| part(args, budget, |url| url.name_and_port().1)),
    function(&["kubernetes.URL.getEscapedPath() -> string"], |args, budget| part(args, budget, |url| url.path.clone())),
    function(&["kubernetes.URL.getQuery() -> map(string, list(string))"], query),
];

/// As Go's url.ParseRequestURI, to which `#` is a character like any other.
pub(super) fn is_request_uri(text: &str) -> bool {
    Address::split(text, true).is_some()
}

/// Equal if they are written the same way.
#[derive(Default, PartialEq, Eq)]
pub(in crate::cel) struct Address {
    scheme: String,
    /// What follows the scheme in `mailto:someone`.
    opaque: String,
    user: Option<String>,
    host: String,
    /// There is a path behind the scheme but not even an empty host.
    no_host: bool,
    /// Escaped.
    path: String,
    query: Option<String>,
    fragment: String,
}

/// What expressions can see of it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.scheme, self.host, self.path, self.query.as_deref().unwrap_or_default())
    }
}

impl Address {
    /// Kubernetes asks both of Go's parsers: the strict one decides, the other one splits the fragment off.
    fn parse(text: &str) -> Option<Self> {
        Self::split(text, true)?;
        let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
        let url = Self::split(before, false)?;
        Some(Self { fragment: unescape(fragment)?, ..url })
    }

    /// Without a fragment. `strict`: two slashes begin a host only behind a scheme.
    fn split(text: &str, strict: bool) -> Option<Self> {
        if text.is_empty() && strict || text.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        if text == "*" {
            return Some(Self { path: text.to_owned(), ..Self::default() });
        }
        let (scheme, rest) = split_scheme(text)?;
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query.to_owned())));
        let mut url = Self { scheme: scheme.to_ascii_lowercase(), query, ..Self::default() };
        if !rest.starts_with('/') {
            return (!scheme.is_empty()).then(|| Self { opaque: rest.to_owned(), ..url });
        }
        let path = match rest.strip_prefix("//") {
            Some(behind) if !scheme.is_empty() || !strict && !behind.starts_with('/') => {
                let (authority, path) = behind.split_at(behind.find('/').unwrap_or(behind.len()));
                let (user, host) =
                    authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
                url.user = user.map(valid_user).map_or(Some(None), |user| user.map(Some))?;
                url.host = valid_host(&url.scheme, host)?;
                path
            }
            _ => {
                url.no_host = !scheme.is_empty();
                rest
            }
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

fn valid_host(scheme: &str, host: &str) -> Option<String> {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.rsplit_once(']')?;
        let (address, zone) = match address.split_once("%25") {
            Some((address, zone)) => (address, format!("%{}", unescape(zone).filter(|zone| !zone.is_empty())?)),
            None => (address, String::new()),
        };
        let plain = zone.bytes().all(|byte| byte >= 0x80 || is_host_byte(byte) || b" %".contains(&byte));
        address.parse::<Ipv6Addr>().ok().filter(|_| plain && is_port(port))?;
        return Some(format!("[{address}{zone}]{port}"));
    }
    // Only for these two schemes Go refuses a second colon.
    let colon = if matches!(scheme, "http" | "https") { host.find(':') } else { host.rfind(':') };
    let port = colon.map_or("", |at| &host[at..]);
    // What is ASCII cannot be escaped, but for the percent sign.
    let escapes = host.match_indices('%').all(|(at, _)| {
        host[at..].starts_with("%25")
            || host.as_bytes().get(at + 1).is_some_and(|digit| b"89abcdefABCDEF".contains(digit))
    });
    let plain = host.bytes().all(|byte| byte >= 0x80 || byte == b'%' || is_host_byte(byte));
    if host.contains('[') || !is_port(port) || !escapes || !plain {
        return None;
    }
    unescape(host)
}

/// Nothing, or a colon and digits or none.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// ASCII that a host may have unescaped.
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]<>\"".contains(&byte)
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
    let query = url.query.as_deref().unwrap_or_default();
    budget.bytes(2 * query.len())?;
    let mut values: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
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
