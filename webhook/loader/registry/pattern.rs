//! Hosts, patterns of hosts and paths, and mirrors, as operators write them.

use std::{fmt, str::FromStr};

use url::Url;

use crate::spec::{Repository, is_host_and_port};

/// HOST or HOST:PORT, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host(pub(super) String);

/// HOST[:PORT][/PATH]: `ghcr.io/team` is that path and what is below it, `ghcr.io/team/*` only what is below it, `ghcr.io/*/policies`
/// any one word, `*.example.org` any one label. Without a port: 443, and 80 over plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// `*` is any.
    labels: Vec<String>,
    port: Option<u16>,
    /// `*` is any.
    path: Vec<String>,
}

/// HOST[:PORT]=HOST[:PORT][/PREFIX]: who is asked instead of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    pub(super) of: Host,
    pub(super) at: Host,
    pub(super) prefix: String,
}

/// What is wrong with a host, a pattern or a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAnAddress(&'static str);

impl Pattern {
    /// Whether images of this repository are among what it means.
    pub fn fits_image(&self, repository: &Repository) -> bool {
        let path: Vec<&str> = repository.path().split('/').collect();
        let home = Url::parse(&format!("https://{}/", repository.registry()));
        home.is_ok_and(|it| self.fits_host(&it)) && self.fits_path(&path)
    }

    /// Whether this URL is.
    pub fn fits_url(&self, url: &Url) -> bool {
        let path: Vec<&str> = url.path().trim_matches('/').split('/').collect();
        self.fits_host(url) && (self.is_of_host() || is_clear(url) && self.fits_path(&path))
    }

    pub(super) fn fits_host(&self, url: &Url) -> bool {
        let usual = if url.scheme() == "http" { 80 } else { 443 };
        let labels: Vec<&str> = url.host_str().unwrap_or_default().split('.').collect();
        url.port_or_known_default() == Some(self.port.unwrap_or(usual))
            && self.labels.len() == labels.len()
            && fit(&self.labels, &labels)
    }

    /// Whether any path fits.
    pub(super) fn is_of_host(&self) -> bool {
        self.path.is_empty()
    }

    pub(super) fn fits_path(&self, path: &[&str]) -> bool {
        path.len() >= self.path.len() && fit(&self.path, path)
    }
}

/// Whether no server takes its path for another one.
pub(super) fn is_clear(url: &Url) -> bool {
    let lower = url.path().to_ascii_lowercase();
    !["%2e", "%2f", "%5c", "\\"].iter().any(|it| lower.contains(it))
}

fn fit(patterns: &[String], words: &[&str]) -> bool {
    patterns.iter().zip(words).all(|(pattern, word)| if pattern == "*" { !word.is_empty() } else { pattern == word })
}

impl FromStr for Host {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        if !is_host_and_port(text) {
            return Err(NotAnAddress("expected HOST or HOST:PORT in lower case, without a scheme and without a path"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for Pattern {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
        let (name, port) = match host.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        };
        // As a host, with a label for each star.
        if !is_host_and_port(&host.replace('*', "x")) || name.split('.').any(|it| it.contains('*') && it != "*") {
            return Err(NotAnAddress(
                "expected HOST[:PORT][/PATH] in lower case without a scheme; * stands for one whole label",
            ));
        }
        if name.split('.').all(|it| it == "*") {
            return Err(NotAnAddress("it names no host; where everything is allowed, leave it out"));
        }
        let path: Vec<String> = path.into_iter().flat_map(|it| it.split('/')).map(str::to_owned).collect();
        let is_word = |it: &String| {
            it == "*"
                || !it.bytes().all(|it| it == b'.')
                    && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"._~+@-".contains(&it))
        };
        if !path.iter().all(is_word) {
            return Err(NotAnAddress("its path must be words with '/' between them; * stands for one whole word"));
        }
        let port = port.and_then(|it| it.parse().ok());
        Ok(Self { labels: name.split('.').map(str::to_owned).collect(), port, path })
    }
}

impl FromStr for Mirror {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        const EXPECTED: NotAnAddress = NotAnAddress("expected HOST[:PORT]=HOST[:PORT][/PREFIX] without schemes");
        let (of, at) = text.split_once('=').ok_or(EXPECTED)?;
        let (at, prefix) = at.split_once('/').unwrap_or((at, ""));
        if !prefix.is_empty() && format!("any.host/{prefix}").parse::<Repository>().is_err() {
            return Err(EXPECTED);
        }
        let host = |it: &str| it.parse().map_err(|_| EXPECTED);
        Ok(Self { of: host(of)?, at: host(at)?, prefix: prefix.to_owned() })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_pattern_has_its_words() {
        let words = |text: &str| text.parse::<Pattern>().unwrap_err().to_string();
        for wrong in ["", "https://ghcr.io", "Ghcr.io", "a*.example.org", "ghcr.io:x", "user@ghcr.io"] {
            assert!(words(wrong).starts_with("expected HOST[:PORT][/PATH]"), "{wrong}");
        }
        for wrong in ["*", "*.*", "*:443/a"] {
            assert!(words(wrong).starts_with("it names no host"), "{wrong}");
        }
        for wrong in ["ghcr.io/", "ghcr.io/a//b", "ghcr.io/te*", "ghcr.io/..", "ghcr.io/a?b", "ghcr.io/%41"] {
            assert!(words(wrong).starts_with("its path must be words"), "{wrong}");
        }
        assert!("ghcr.io=https://x".parse::<Mirror>().is_err());
        assert!("ghcr.io".parse::<Mirror>().is_err());
        assert!("ghcr.io=localhost:5000".parse::<Mirror>().is_ok());
        assert!("https://x".parse::<Host>().is_err());
    }
}
