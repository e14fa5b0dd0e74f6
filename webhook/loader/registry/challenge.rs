//! How a registry wants to be authenticated to: the header WWW-Authenticate (RFC 9110, 11.6.1).

use http::{HeaderMap, header::WWW_AUTHENTICATE};

/// What is known here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    /// By a token that is had elsewhere.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// The strongest that is known. None: there is none, or they cannot be read.
pub(super) fn read(headers: &HeaderMap) -> Option<Challenge> {
    let mut found = None;
    for value in headers.get_all(WWW_AUTHENTICATE).iter().take(MAX_HEADERS) {
        let Some(text) = value.to_str().ok().filter(|it| it.len() <= MAX_LENGTH) else { continue };
        for (scheme, parameters) in challenges(text).unwrap_or_default() {
            let get = |name: &str| parameters.iter().find(|it| it.0 == name).map(|it| it.1.clone());
            match (scheme.as_str(), get("realm")) {
                ("bearer", Some(realm)) => {
                    return Some(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
                }
                ("basic", _) => found = Some(Challenge::Basic),
                _ => {}
            }
        }
    }
    found
}

type Named = (String, Vec<(String, String)>);

/// Each scheme in lower case with its parameters, their names too. None: it is no list of challenges.
fn challenges(text: &str) -> Option<Vec<Named>> {
    let mut rest = Rest(text);
    let mut found: Vec<Named> = Vec::new();
    loop {
        rest.skip(|it| it == ' ' || it == '\t' || it == ',');
        if rest.0.is_empty() {
            return Some(found);
        }
        let word = rest.token()?.to_ascii_lowercase();
        let before = rest.0;
        rest.skip(|it| it == ' ' || it == '\t');
        if rest.eat('=') {
            rest.skip(|it| it == ' ' || it == '\t');
            let value = if rest.eat('"') { rest.quoted()? } else { rest.token()?.to_owned() };
            let (_, parameters) = found.last_mut()?;
            // Said twice, it is not to be told which is meant.
            if parameters.iter().any(|it| it.0 == word) {
                return None;
            }
            parameters.push((word, value));
        } else if before.is_empty() || before.starts_with([' ', '\t', ',']) {
            found.push((word, Vec::new()));
        } else {
            return None;
        }
    }
}

/// What was not read yet.
struct Rest<'t>(&'t str);

impl<'t> Rest<'t> {
    fn skip(&mut self, what: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(what);
    }

    fn eat(&mut self, what: char) -> bool {
        let rest = self.0.strip_prefix(what);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn token(&mut self) -> Option<&'t str> {
        let is_token = |it: char| it.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(it);
        let end = self.0.find(|it| !is_token(it)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// After its first quote.
    fn quoted(&mut self) -> Option<String> {
        let mut value = String::new();
        let mut characters = self.0.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                _ => value.push(character),
            }
        }
        None
    }
}

const MAX_HEADERS: usize = 8;
/// Bytes of each.
const MAX_LENGTH: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(lines: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, line.parse().unwrap());
        }
        read(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let owned = |it: Option<&str>| it.map(str::to_owned);
        Some(Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) })
    }

    #[test]
    fn challenges_are_read_as_they_are_sent() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let full = bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some("repository:a/b:pull,push"));
        assert_eq!(read_all(&[hub]), full);
        assert_eq!(read_all(&[&format!("Basic realm=\"x, y\", {hub}")]), full);
        assert_eq!(read_all(&["Basic realm=x", hub]), full);
        assert_eq!(read_all(&["BEARER Realm = \"a\\\"b\" , error=\"insufficient_scope\""]), bearer("a\"b", None, None));
        assert_eq!(read_all(&["Basic realm=\"Registry\""]), Some(Challenge::Basic));
        assert_eq!(read_all(&["basic"]), Some(Challenge::Basic));
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        let long = format!("Bearer realm=\"{}\"", "a".repeat(5000));
        for wrong in [
            "",
            ",,,",
            "Negotiate abc==",
            "Digest realm=\"x\"",
            "Bearer",
            "Bearer realm=\"x",
            "Bearer realm=\"x\\",
            "realm=\"x\"",
            "Bearer realm=a, realm=b",
            "Bearer realm=",
            "Bearer;realm=x",
            &long,
        ] {
            assert_eq!(read_all(&[wrong]), None, "{wrong:.40}");
        }
    }
}
