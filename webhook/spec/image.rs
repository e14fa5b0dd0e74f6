//! The name of an image in a registry: REGISTRY/REPOSITORY:TAG, REGISTRY/REPOSITORY@sha256:DIGEST, or both.
//!
//! Strict, as the distribution spec of OCI has it: nothing is filled in. There is no default registry and no default tag,
//! so that what is read is what is fetched.

use std::{fmt, str::FromStr};

use super::Digest;

/// Where versions of one thing lie.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: String,
    path: String,
}

/// One version in a repository: by tag, by the digest of its manifest, or by both, in which case the digest decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Image {
    repository: Repository,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// What is wrong with the name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnImage {
    /// No host at its front.
    #[error("it must begin with a registry, as in registry.example.org/policies/labels:1.0")]
    NoRegistry,
    /// As a part of a URL would have it.
    #[error("the registry is written without {0}")]
    Scheme(&'static str),
    /// The host is none.
    #[error("its registry must be a host name in lower case or an address, with a port or without")]
    Registry,
    /// A path that no registry takes.
    #[error(
        "its repository must be words of a-z and 0-9, which '.', '_', '__' or '-' may join, with '/' between them; at most 255 characters"
    )]
    Repository,
    /// A tag that no registry takes.
    #[error("its tag must have at most 128 of a-z, A-Z, 0-9, '_', '.' and '-', and not begin with '.' or '-'")]
    Tag,
    /// A digest that is not SHA-256.
    #[error("its digest must be sha256: and 64 hex digits in lower case")]
    Digest,
    /// Neither.
    #[error("it needs a tag or a digest, as in :1.0 or @sha256:...; no tag is assumed")]
    NoVersion,
}

impl Repository {
    /// HOST or HOST:PORT, as it was written.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Without the registry: `policies/labels`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What has this digest here.
    pub fn at(&self, digest: Digest) -> Image {
        Image { repository: self.clone(), tag: None, digest: Some(digest) }
    }

    /// What has this tag here.
    ///
    /// # Errors
    /// No registry takes such a tag.
    pub fn tagged(&self, tag: &str) -> Result<Image, NotAnImage> {
        if !is_tag(tag) {
            return Err(NotAnImage::Tag);
        }
        Ok(Image { repository: self.clone(), tag: Some(tag.to_owned()), digest: None })
    }
}

impl Image {
    /// Where it lies.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Never None while there is no digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Of its manifest. Never None while there is no tag.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same, pinned.
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.repository.fmt(f)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match self.digest {
            Some(digest) => write!(f, "@sha256:{digest}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Repository {
    type Err = NotAnImage;

    fn from_str(text: &str) -> Result<Self, NotAnImage> {
        if let Some(scheme) =
            ["https://", "http://", "registry://", "oci://", "docker://"].into_iter().find(|it| text.starts_with(it))
        {
            return Err(NotAnImage::Scheme(scheme));
        }
        let (registry, path) = text.split_once('/').ok_or(NotAnImage::NoRegistry)?;
        // As everywhere: a first part that could be a folder of a default registry is no host.
        if !registry.contains(['.', ':']) && registry != "localhost" {
            return Err(NotAnImage::NoRegistry);
        }
        if !is_host_and_port(registry) {
            return Err(NotAnImage::Registry);
        }
        if path.len() > MAX_PATH || text.len() > MAX_PATH || !path.split('/').all(is_path_component) {
            return Err(NotAnImage::Repository);
        }
        Ok(Self { registry: registry.to_owned(), path: path.to_owned() })
    }
}

impl FromStr for Image {
    type Err = NotAnImage;

    fn from_str(text: &str) -> Result<Self, NotAnImage> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => {
                let digest = digest.strip_prefix("sha256:").and_then(|it| it.parse().ok());
                (named, Some(digest.ok_or(NotAnImage::Digest)?))
            }
            None => (text, None),
        };
        // A colon before the last slash is that of a port.
        let colon = named.rfind(':').filter(|at| named.rfind('/').is_some_and(|slash| slash < *at));
        let (repository, tag) = match colon {
            Some(at) => (&named[..at], Some(&named[at + 1..])),
            None => (named, None),
        };
        let repository: Repository = repository.parse()?;
        if tag.is_some_and(|it| !is_tag(it)) {
            return Err(NotAnImage::Tag);
        }
        if tag.is_none() && digest.is_none() {
            return Err(NotAnImage::NoVersion);
        }
        Ok(Self { repository, tag: tag.map(str::to_owned), digest })
    }
}

/// HOST or HOST:PORT in lower case, where HOST is a name, an IPv4 address, or an IPv6 address in brackets.
pub(crate) fn is_host_and_port(text: &str) -> bool {
    let (host, port) = match text.rfind(':').filter(|at| !text[*at..].contains(']')) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let port_is_good = port
        .is_none_or(|it| it.bytes().all(|it| it.is_ascii_digit()) && !it.starts_with('0') && it.parse::<u16>().is_ok());
    let host_is_good = match host.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(address) => {
            address.parse::<std::net::Ipv6Addr>().is_ok() && !address.contains(|it: char| it.is_uppercase())
        }
        None => host.len() <= 253 && host.split('.').all(is_label),
    };
    port_is_good && host_is_good
}

/// Of a host name.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(part: &str) -> bool {
    let is_word = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit();
    part.starts_with(is_word)
        && part.ends_with(is_word)
        && part.split(is_word).all(|it| matches!(it, "" | "." | "_" | "__") || it.bytes().all(|it| it == b'-'))
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && tag.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.' | b'-'))
        && !tag.starts_with(['.', '-'])
}

/// Of a repository with its registry, as other clients take it.
const MAX_PATH: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn image(text: &str) -> Result<Image, NotAnImage> {
        text.parse()
    }

    #[test]
    fn what_is_read_is_what_is_shown() {
        for text in [
            "registry.example.org/labels:1.0",
            "registry.example.org/policies/team-a/required__labels.v1:1.0_rc.1-2",
            "localhost/labels:1",
            "localhost:5000/labels:1",
            "127.0.0.1:5000/labels:1",
            "[::1]:5000/labels:1",
            "[fe80::1]/labels:latest",
            "r.example/a--b:V1",
            &format!("r.example/a@sha256:{DIGEST}"),
            &format!("r.example:443/a:1@sha256:{DIGEST}"),
        ] {
            assert_eq!(image(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn its_parts_are_told_apart() {
        let parsed = image(&format!("localhost:5000/a/b:1.2@sha256:{DIGEST}")).unwrap();
        assert_eq!(parsed.repository().registry(), "localhost:5000");
        assert_eq!(parsed.repository().path(), "a/b");
        assert_eq!(parsed.tag(), Some("1.2"));
        assert_eq!(parsed.digest(), Some(DIGEST.parse().unwrap()));
        assert_eq!(image("localhost:5000/a/b:1.2").unwrap().pinned(DIGEST.parse().unwrap()), parsed);
        assert_eq!(parsed.repository().tagged("x").unwrap().to_string(), "localhost:5000/a/b:x");
        assert_eq!(parsed.repository().tagged("x/y"), Err(NotAnImage::Tag));
    }

    #[test]
    fn each_fault_has_its_words() {
        let long = "a".repeat(256);
        for (text, fault) in [
            ("", NotAnImage::NoRegistry),
            ("labels:1", NotAnImage::NoRegistry),
            ("policies/labels:1", NotAnImage::NoRegistry),
            ("https://r.example/a:1", NotAnImage::Scheme("https://")),
            ("registry://r.example/a:1", NotAnImage::Scheme("registry://")),
            ("R.example/a:1", NotAnImage::Registry),
            ("r..example/a:1", NotAnImage::Registry),
            ("-r.example/a:1", NotAnImage::Registry),
            ("r.example:/a:1", NotAnImage::Registry),
            ("r.example:0/a:1", NotAnImage::Registry),
            ("r.example:65536/a:1", NotAnImage::Registry),
            ("r.example:+80/a:1", NotAnImage::Registry),
            ("user:secret@r.example/a:1", NotAnImage::Digest),
            ("[::1/a:1", NotAnImage::Registry),
            ("[zz::1]/a:1", NotAnImage::Registry),
            ("r.example/:1", NotAnImage::Repository),
            ("r.example/A:1", NotAnImage::Repository),
            ("r.example/a//b:1", NotAnImage::Repository),
            ("r.example/../b:1", NotAnImage::Repository),
            ("r.example/a___b:1", NotAnImage::Repository),
            ("r.example/a._b:1", NotAnImage::Repository),
            ("r.example/-a:1", NotAnImage::Repository),
            ("r.example/a?x=1:1", NotAnImage::Repository),
            ("r.example/a%2fb:1", NotAnImage::Repository),
            (&format!("r.example/{long}:1"), NotAnImage::Repository),
            ("r.example/a:", NotAnImage::Tag),
            ("r.example/a:.x", NotAnImage::Tag),
            ("r.example/a:x y", NotAnImage::Tag),
            (&format!("r.example/a:{}", &long[..129]), NotAnImage::Tag),
            ("r.example/a@sha256:00", NotAnImage::Digest),
            ("r.example/a@sha512:00", NotAnImage::Digest),
            (&format!("r.example/a@sha256:{DIGEST}@sha256:{DIGEST}"), NotAnImage::Digest),
            ("r.example/a", NotAnImage::NoVersion),
            ("r.example:5000/a", NotAnImage::NoVersion),
        ] {
            assert_eq!(image(text), Err(fault), "{text}");
        }
    }
}
